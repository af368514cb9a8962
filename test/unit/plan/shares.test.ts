/** What is wrong with a folder of the host is told before a VM is booted for it. */
import { mkdir, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { parseShare } from '../../../src/config/share.ts';
import { checkedShares } from '../../../src/plan/shares.ts';

// Root may read every folder.
vi.mock('node:fs/promises', async (original) => {
  const real = await original<typeof import('node:fs/promises')>();
  const access: typeof real.access = async (file, mode) => {
    if (String(file).endsWith('/locked')) throw new Error('EACCES');
    return real.access(file, mode);
  };
  return { ...real, access };
});

let folder = '';
beforeAll(async () => {
  folder = await realpath(await mkdtemp(path.join(tmpdir(), 'dgpu-rig-test-')));
  for (const name of ['src', 'locked', 'a,b', 'a b']) await mkdir(path.join(folder, name));
  await writeFile(path.join(folder, 'file'), '');
});
afterAll(() => rm(folder, { recursive: true }));

describe('as a person gives it', () => {
  test('a place is a matter of choice', () => {
    expect(parseShare('a b')).toEqual({ folder: 'a b' });
    expect(parseShare('../src:/mnt/src')).toEqual({ folder: '../src', at: '/mnt/src' });
  });
  test.for(['', ':/mnt', 'a:', 'a:/b:/c'])('%o is refused', (text) => expect(parseShare(text)).toBeUndefined());
});

test('without a place it is in /mnt, by its own name; with one, there', async () => {
  const src = path.join(folder, 'src');
  expect(await checkedShares([{ folder: src }, { folder: `${src}/`, at: '/opt//it/' }])).toEqual([
    { folder: src, at: '/mnt/src' },
    { folder: src, at: '/opt/it' },
  ]);
  const [here] = await checkedShares([{ folder: '.' }]);
  expect(here?.folder).toBe(process.cwd());
});

async function complaint(name: string, at?: string): Promise<unknown> {
  const share = { folder: path.join(folder, name), ...(at === undefined ? {} : { at }) };
  return checkedShares([share]).catch((error: unknown) => error);
}

describe('what is wrong is told in one sentence', () => {
  test.for([
    ['nosuch', undefined, 'there is no such folder'],
    ['file', undefined, 'it is no folder'],
    ['locked', undefined, 'it may not be read'],
    ['a,b', undefined, 'QEMU takes no path with a comma or a blank in it'],
    ['a b', '/mnt/x', 'QEMU takes no path with a comma or a blank in it'],
    ['src', 'mnt', 'mnt is no absolute path of letters, digits and ._+@=-'],
    ['src', '/mnt/a b', '/mnt/a b is no absolute path of letters, digits and ._+@=-'],
    ['src', '/', 'the guest has files of its own in /'],
    ['src', '/usr/src', 'the guest has files of its own in /usr/src'],
    ['src', '/mnt/../etc', 'the guest has files of its own in /etc'],
    ['src', '/tmp', 'the guest has files of its own in /tmp'],
  ] as const)('%s at %s: %s', async ([name, at, why]) => {
    const message = `${path.join(folder, name)} can't be shared with the guest: ${why}.`;
    expect(await complaint(name, at)).toMatchObject({ failureClass: 'usage', message });
  });

  test('a place of two folders', async () => {
    const [one, two] = [path.join(folder, 'src'), folder];
    const both = checkedShares([{ folder: one }, { folder: two, at: '/mnt/src' }]);
    await expect(both).rejects.toThrow(`${two} can't be shared with the guest: ${one} is to be at /mnt/src, too.`);
  });
});
