import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
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

describe('a mistake is told with its line and column', () => {
  const LINES = [
    'name: mine',
    'extends: example',
    'memory:',
    '  boot: { node: 0, size: 512 MiB }',
    '  max: 512 MiB',
    '  dimms: []',
    'swap: { kind: zram, size: 1 GiB }',
  ];
  const told = async (...lines: readonly string[]): Promise<string> => {
    const base = (): Promise<string> => Promise.resolve(stringify(VALID));
    const error: unknown = await parseMachineProfile(lines.join('\n'), 'mine.yaml', base).catch((e: unknown) => e);
    return error instanceof Error ? error.message : 'none';
  };

  test('none in a profile without one', async () => expect(await told(...LINES)).toBe('none'));

  test.for([
    [0, 'nam: mine', '1:1: there is no key "nam". Did you mean name?'],
    [3, '  boot: { node: 0, siz: 512 MiB }', '4:20: there is no key "siz". Did you mean size?'],
    [3, '  boot: { node: 0, size: 512 }', '4:20: memory.boot.size: '],
    [3, '  boot: { node: 0 }', '4:9: memory.boot.size: '],
    [4, '  max: much', '5:3: memory.max: "much" is not a size'],
    [5, '  dimms: [{ node: 0, size: 1 MiB, address: near }]', '6:35: memory.dimms.0.address: "near" is not a size'],
    [6, 'swap: { kind: tape, size: 1 GiB }', '7:9: swap.kind: '],
    [6, 'cpuNodes: []', '7:1: cpuNodes: '],
  ] as const)('line %i as %s', async ([line, text, what]) => {
    expect(await told(...LINES.with(line, text))).toContain(`\n  ${what}`);
  });

  test('text that is no YAML, too', async () => {
    expect(await told(...LINES.with(6, 'swap: {'))).toMatch(/^mine\.yaml is not YAML: .* at line 7, column 8/);
  });
});

describe('of a file of one’s own', () => {
  async function fileWith(name: string, text: string): Promise<string> {
    const folder = await mkdtemp(path.join(tmpdir(), 'dgpu-rig-machine-'));
    onTestFinished(() => rm(folder, { recursive: true }));
    await writeFile(path.join(folder, name), text);
    return path.join(folder, name);
  }
  const text = (name: string): string => `name: ${name}\nextends: tight\ndescription: mine\n`;

  test('extends one of the rig', async () => {
    expect(await loadMachineProfile(await fileWith('mine.yaml', text('mine')))).toMatchObject({
      ...{ name: 'mine', description: 'mine', swap: { kind: 'disk', sizeMiB: 2048 } },
    });
  });

  test.for([
    ['mine.yaml', 'other', /mine\.yaml calls itself other/],
    ['tiers.yaml', 'tiers', /the rig has a machine of the name tiers/],
  ] as const)('%s that says "name: %s" is refused', async ([file, name, message]) => {
    await expect(loadMachineProfile(await fileWith(file, text(name)))).rejects.toMatchObject({
      failureClass: 'usage',
      message: expect.stringMatching(message) as string,
    });
  });

  test('that is not there', async () => {
    await expect(loadMachineProfile('/nosuch/mine.yaml')).rejects.toMatchObject({
      failureClass: 'usage',
      message: 'There is no machine profile to read at /nosuch/mine.yaml.',
    });
  });
});

test('an unknown machine: the message names those that exist', async () => {
  await expect(loadMachineProfile('tigers')).rejects.toMatchObject({
    failureClass: 'usage',
    remedy: expect.stringContaining('tiers') as string,
  });
});
