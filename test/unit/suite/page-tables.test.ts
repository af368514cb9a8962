import { readFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { cacheComplaints, CACHE_STAGES, type CacheStage, type CacheTypes } from '../../../src/suite/cache-witnesses.ts';
import { bytesByType, parsePageTables, parsePatConfiguration } from '../../../src/suite/page-tables.ts';

const BOOT_LINE = '[    0.002879] x86/PAT: Configuration [0-7]: WB  WC  UC- UC  WB  WP  UC- WT  ';
const PAT = parsePatConfiguration(BOOT_LINE);
const KIB = 1024;

describe('memory types of the PAT', () => {
  test('in the order of their index', () => {
    expect(PAT).toEqual(['WB', 'WC', 'UC-', 'UC', 'WB', 'WP', 'UC-', 'WT']);
  });

  test.for(['', 'x86/PAT: Configuration [0-7]: WB WC', BOOT_LINE.replace('WP', 'XX')])('nonsense: "%s"', (text) => {
    expect(() => parsePatConfiguration(text)).toThrow('memory types');
  });
});

describe('a dump of a process with a write-combined object', async () => {
  const dump = await readFile(new URL('page-tables/write-combined.txt', import.meta.url), 'utf8');
  const tables = parsePageTables(dump, PAT);

  test('shows where user space has it, and the kernel itself', () => {
    expect(bytesByType(tables.user).WC).toBe(64 * KIB);
    expect(bytesByType(tables.direct).WC).toBe(64 * KIB);
    expect(bytesByType(tables.direct)['UC-']).toBeUndefined();
  });

  test("leaves out the kernel's other mappings, and what is not mapped", () => {
    const ends = tables.direct.map(({ end }) => end);
    expect(ends.every((end) => end <= 0xffa0000000000000n)).toBe(true);
    expect(tables.user.every(({ end }) => end <= 0x0000800000000000n)).toBe(true);
  });

  test('can be asked about a part', () => {
    const first = tables.user.find(({ type }) => type === 'WC');
    if (!first) throw new Error('nothing write-combined');
    const page = { start: first.start, end: first.start + 4096n };
    expect(bytesByType(tables.user, [page])).toEqual({ WC: 4096 });
  });
});

test.for([
  ['', 'WB'],
  ['PWT', 'WC'],
  ['PCD', 'UC-'],
  ['PWT PCD', 'UC'],
  ['PAT', 'WB'],
  ['PWT PCD         PAT', 'WT'],
] as const)('flags "%s" mean %s', ([flags, type]) => {
  const line = `0xff11000000000000-0xff11000000001000           4K     RW ${flags}   GLB NX pte`;
  const { direct } = parsePageTables(`---[ Low Kernel Mapping ]---\n${line}\n`, PAT);
  expect(direct).toEqual([{ start: 0xff11000000000000n, end: 0xff11000000001000n, type }]);
});

test('a dump without the mapping of all memory is refused', () => {
  expect(() => parsePageTables('---[ User Space ]---\n', PAT)).toThrow('mapping of all memory');
});

describe('the oracle', () => {
  const BYTES = 64 * KIB;
  const REST = { WB: 1_000_000, 'UC-': 4096 };
  const idle = { user: {}, direct: REST };
  const held = { user: { WC: BYTES }, direct: { ...REST, WC: BYTES } };
  const good: CacheTypes = {
    before: idle,
    held,
    evicted: idle,
    swapped: idle,
    back: held,
    vram: { user: { WC: BYTES }, direct: REST },
    returned: held,
    freed: idle,
    reused: { user: { WB: BYTES }, direct: REST },
  };

  test('is silent on good', () => {
    expect(cacheComplaints(good, 'WC', BYTES)).toEqual([]);
  });

  test.for([
    // The kernel's own mapping was never changed.
    ['held: aliased', { held: { user: { WC: BYTES }, direct: REST } }],
    ['back: not-as-asked', { back: { ...held, user: { WC: BYTES - 4096, WB: 4096 } } }],
    ['evicted: stale-mapping', { evicted: { ...idle, user: { WC: 4096 } } }],
    ['swapped: not-restored', { swapped: { ...idle, direct: { ...REST, WC: 4096 } } }],
    ['vram: not-restored', { vram: { ...good.vram, direct: { ...REST, WC: BYTES } } }],
    ['freed: not-restored', { freed: { ...idle, direct: { ...REST, 'UC-': 8192 } } }],
    ['reused: not-as-asked', { reused: { ...idle, user: { WC: BYTES } } }],
  ] as const)('%s', ([complaint, change]) => {
    expect(cacheComplaints({ ...good, ...change }, 'WC', BYTES)).toEqual([complaint]);
  });

  test('asks for the type that was asked for, at every stage where the object is in system memory', () => {
    const complaints = cacheComplaints(good, 'WB', BYTES);
    const stages: CacheStage[] = CACHE_STAGES.filter((stage) => ['held', 'back', 'returned'].includes(stage));
    expect(complaints).toEqual(stages.flatMap((stage) => [`${stage}: not-as-asked`, `${stage}: aliased`]));
  });
});
