import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';

import { checkConfig, parseConfig, refusedOptions } from '../../../src/builds/kernel/kernel-config.ts';
import { readUserConfig } from '../../../src/builds/kernel/user-config.ts';

const GRANTED = 'CONFIG_SMP=y\n# CONFIG_INPUT is not set\nCONFIG_DRM=m\nCONFIG_NR_CPUS=16\nCONFIG_NAME="a=b"\n';

describe('a configuration', () => {
  test('is read with what is off', () => {
    const options = { CONFIG_SMP: 'y', CONFIG_INPUT: 'n', CONFIG_DRM: 'm', CONFIG_NR_CPUS: '16', CONFIG_NAME: '"a=b"' };
    expect(Object.fromEntries(parseConfig(GRANTED))).toEqual(options);
  });

  test('of comments and empty lines is empty', () => {
    expect(parseConfig('# CONFIG_A=y\n\n#CONFIG_B is not set\n').size).toBe(0);
  });

  test.each([
    ['CONFIG_SMP=y', []],
    ['CONFIG_SMP=m', ['CONFIG_SMP=m (is y)']],
    ['CONFIG_DRM=y', ['CONFIG_DRM=y (is m)']],
    ['CONFIG_INPUT=n', []],
    ['CONFIG_UNKNOWN=n', []],
    ['CONFIG_UNKNOWN=y', ['CONFIG_UNKNOWN=y (is n)']],
    ['CONFIG_NR_CPUS=32', ['CONFIG_NR_CPUS=32 (is 16)']],
    ['CONFIG_NAME="a=b"', []],
  ])('%s', (asked, refused) => expect(refusedOptions(parseConfig(asked), parseConfig(GRANTED))).toEqual(refused));

  test('that is not granted names every option', async () => {
    const tree = { title: 'Linux 7.3.4', source: '/nosuch' };
    await expect(checkConfig({ fragment: 'CONFIG_A=y\nCONFIG_SMP=n\n' }, GRANTED, tree)).rejects.toThrow(
      'Linux 7.3.4 does not grant these options:\n  CONFIG_A=y (is n)\n  CONFIG_SMP=n (is y)',
    );
  });

  test('of a person’s own is told apart, and has the last word', async () => {
    const source = await folderWith('Kconfig.gpu', 'menuconfig DRM\n\ttristate "DRM"\nconfig A\n');
    const check = async (own: string): Promise<void> =>
      checkConfig({ fragment: 'CONFIG_SMP=n\nCONFIG_A=y', own }, GRANTED, { title: 'Linux', source });
    await check('CONFIG_SMP=y\nCONFIG_A=n');
    await expect(check('CONFIG_DRM=y\nCONFIG_DRMM=y')).rejects.toMatchObject({
      failureClass: 'usage',
      message:
        'Linux does not grant what --kconfig asks for:\n  CONFIG_DRM=y (is m)\n  CONFIG_DRMM=y (there is no such option in this tree)',
    });
    await expect(check('CONFIG_A=n')).rejects.toThrow(
      'Linux, with what --kconfig asks for, does not grant these options:\n  CONFIG_SMP=n (is y)',
    );
  });
});

async function folderWith(name: string, text: string): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'dgpu-rig-kconfig-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  await writeFile(path.join(folder, name), text);
  return folder;
}

describe('options of a person’s own', () => {
  const fileWith = async (text: string): Promise<string> => path.join(await folderWith('my.config', text), 'my.config');

  test('are words and files, in their order', async () => {
    const file = await fileWith('# a comment\n\nCONFIG_B=m\n# CONFIG_C is not set\n');
    const words = ['CONFIG_B=y', file, '# CONFIG_D is not set', 'CONFIG_E="a b"', 'CONFIG_F=0x10'];
    expect(Object.fromEntries(parseConfig(await readUserConfig(words)))).toEqual({
      ...{ CONFIG_B: 'm', CONFIG_C: 'n', CONFIG_D: 'n', CONFIG_E: '"a b"', CONFIG_F: '0x10' },
    });
  });

  test.for([
    ['CONFIG_A=maybe', 'CONFIG_A=maybe: that is no option with a value'],
    ['CONFIG_A', 'that is no option with a value'],
    ['SW_SYNC=y', 'neither an option nor a file'],
    ['/nosuch/my.config', 'there is no file /nosuch/my.config'],
  ] as const)('%s is none', async ([word, message]) => {
    await expect(readUserConfig([word])).rejects.toMatchObject({
      failureClass: 'usage',
      message: expect.stringContaining(message) as string,
    });
  });

  test('a mistake in a file has its line', async () => {
    const file = await fileWith('CONFIG_A=y\nCONFIG_B\n');
    await expect(readUserConfig([file])).rejects.toThrow(`${file}:2: "CONFIG_B" is no option with a value.`);
  });
});
