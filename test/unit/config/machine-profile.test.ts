import { describe, expect, test } from 'vitest';
import { stringify } from 'yaml';

import { listMachineProfiles, loadMachineProfile, parseMachineProfile } from '../../../src/config/machine-profile.ts';
import type { MachineProfile } from '../../../src/config/machine-profile.ts';

const VALID = {
  name: 'example',
  description: 'an example',
  cpu: 'max',
  cpuNodes: [0, 1],
  memory: {
    boot: { node: 0, size: '512 MiB' },
    max: '600 TiB',
    dimms: [{ node: 1, size: '256 MiB', address: '1 TiB' }],
  },
  kernelArgs: ['swiotlb=2048,track_hiwater'],
};

async function parse(data: unknown, base: unknown = VALID): Promise<MachineProfile> {
  return parseMachineProfile(stringify(data), 'example.yaml', () => Promise.resolve(stringify(base)));
}

function withDimms(...dimms: { node: number; size: string; address: string }[]): unknown {
  return { ...VALID, memory: { ...VALID.memory, dimms } };
}

describe('the profiles of the rig', async () => {
  test.each(await listMachineProfiles())('%s is valid', async (name) => {
    expect((await loadMachineProfile(name)).name).toBe(name);
  });

  test('tiers has one range for each DMA mask to lose', async () => {
    const { memory, cpuNodes } = await loadMachineProfile('tiers');
    expect(memory.boot).toEqual({ node: 0, sizeMiB: 512 });
    expect(memory.dimms).toEqual([
      { node: 1, sizeMiB: 512, address: 8n << 30n },
      { node: 2, sizeMiB: 512, address: 1n << 40n },
      { node: 3, sizeMiB: 256, address: 1n << 48n },
    ]);
    expect(cpuNodes).toEqual([0, 1, 2, 3]);
  });
});

describe('parseMachineProfile', () => {
  test('reads sizes and addresses', async () => {
    const { memory } = await parse(VALID);
    expect(memory).toEqual({
      boot: { node: 0, sizeMiB: 512 },
      maxBytes: 600n << 40n,
      dimms: [{ node: 1, sizeMiB: 256, address: 1n << 40n }],
    });
  });

  test.each([
    ['an unknown key', { ...VALID, color: 'red' }, /color/],
    ['a size without a unit', withDimms({ node: 1, size: '256', address: '1 TiB' }), /"256" is not a size/],
    ['a fraction of a MiB', withDimms({ node: 1, size: '1 KiB', address: '1 TiB' }), /whole number of MiB/],
    ['an unknown vIOMMU', { ...VALID, iommu: 'arm' }, /iommu/],
    ['two kernel arguments in one', { ...VALID, kernelArgs: ['a b'] }, /kernelArgs/],
    [
      'a node without CPU and boot RAM',
      withDimms({ node: 2, size: '1 MiB', address: '1 TiB' }),
      /no CPU and no boot RAM/,
    ],
    ['a DIMM below 4 GiB', withDimms({ node: 1, size: '1 MiB', address: '0xfffff000' }), /below 4 GiB/],
    [
      'DIMMs that overlap by a byte',
      withDimms({ node: 1, size: '2 MiB', address: '8 GiB' }, { node: 1, size: '1 MiB', address: '0x2001fffff' }),
      /overlap/,
    ],
    ['a DIMM beyond the maximum', withDimms({ node: 1, size: '2 MiB', address: '0x257fffff00000' }), /memory\.max/],
  ])('refuses %s', async (_what, data, message) => {
    await expect(parse(data)).rejects.toMatchObject({
      failureClass: 'usage',
      message: expect.stringMatching(message) as string,
    });
  });

  test('accepts DIMMs that touch', async () => {
    const data = withDimms(
      { node: 1, size: '2 MiB', address: '8 GiB' },
      { node: 1, size: '1 MiB', address: '0x200200000' },
    );
    expect((await parse(data)).memory.dimms).toHaveLength(2);
  });

  test('a derived profile has what it does not say from the other', async () => {
    const profile = await parse({ name: 'derived', extends: 'example', swap: { kind: 'zram', size: '1 GiB' } });
    expect(profile).toMatchObject({ name: 'derived', cpu: 'max', swap: { kind: 'zram', sizeMiB: 1024 } });
  });

  test('only one level of extends', async () => {
    const data = { name: 'derived', extends: 'other' };
    await expect(parse(data, { ...VALID, extends: 'third' })).rejects.toThrow('extends another profile itself');
  });

  test('text that is not YAML', async () => {
    const parsing = parseMachineProfile('a: [', 'broken.yaml', () => Promise.resolve(''));
    await expect(parsing).rejects.toMatchObject({ failureClass: 'usage', remedy: 'Correct broken.yaml.' });
  });
});

test('an unknown machine: the message names those that exist', async () => {
  await expect(loadMachineProfile('../tiers')).rejects.toMatchObject({
    failureClass: 'usage',
    remedy: expect.stringContaining('tiers') as string,
  });
});
