import { describe, expect, test } from 'vitest';

import { checkConfig, parseConfig, refusedOptions } from '../../../src/builds/kernel/kernel-config.ts';

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

  test('that is not granted names every option', () => {
    const check = (): void => checkConfig('CONFIG_A=y\nCONFIG_SMP=n\n', GRANTED, 'Linux 7.3.4');
    expect(check).toThrow('Linux 7.3.4 does not grant these options:\n  CONFIG_A=y (is n)\n  CONFIG_SMP=n (is y)');
  });
});
