import { readFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import {
  cacheComplaints,
  CACHE_STAGES,
  stageTypes,
  type CacheStage,
  type CacheTypes,
  type PageTypes,
} from '../../../src/testbed/witnesses/cache-witnesses.ts';
import { framesOfPages } from '../../../src/testbed/guest/object-frames.ts';
import {
  bytesByType,
  parsePageTables,
  parsePatConfiguration,
  typeAt,
  type MemoryType,
} from '../../../src/testbed/guest/page-tables.ts';

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

  test('knows where frame 0 is, though the first page is in another section', () => {
    expect(tables.directBase).toBe(0xff11000000000000n);
    expect(dump).toContain('Low Kernel Mapping ]---\n0xff11000000001000-');
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

test('a page is looked up in order of addresses', () => {
  const mappings = [
    { start: 0n, end: 0x1000n, type: 'WB' },
    { start: 0x2000n, end: 0x4000n, type: 'WC' },
  ] as const;
  const types = [0n, 0xfffn, 0x1000n, 0x2000n, 0x3fffn, 0x4000n].map((address) => typeAt(mappings, address));
  expect(types).toEqual(['WB', 'WB', undefined, 'WC', 'WC', undefined]);
});

test('a dump without the mapping of all memory is refused', () => {
  expect(() => parsePageTables('---[ User Space ]---\n', PAT)).toThrow('mapping of all memory');
});

describe('pages of objects', () => {
  const objects = framesOfPages(
    '100000 0 2 system 40\n100000 2 1 vram 7\n200000 0 1 system 99\n',
    new Set([0x100000n]),
  );

  test('are named one by one, and those of others are not', () => {
    expect(objects.system.map(({ page, frame }) => [page, frame])).toEqual([
      [0, 0x40n],
      [1, 0x41n],
    ]);
    expect(objects.vram).toEqual([{ offset: 0x100000n, page: 2, frame: 7n }]);
  });

  test('are found in both mappings, and after they were released', () => {
    const base = 0xff11000000000000n;
    const tables = {
      user: [{ start: 0x7000n, end: 0x8000n, type: 'WC' as const }],
      direct: [
        { start: base, end: base + 0x41000n, type: 'WC' as const },
        { start: base + 0x41000n, end: base + 0x80000n, type: 'WB' as const },
      ],
      directBase: base,
    };
    const known = new Set<bigint>([0x50n]);
    const found = stageTypes(tables, [{ start: 0x7000n, end: 0x9000n, offset: 0x100000n }], objects, known);
    expect(found.held).toEqual([
      { frame: 0x40n, user: 'WC', direct: 'WC' },
      { frame: 0x41n, user: undefined, direct: 'WB' },
    ]);
    expect(found.released).toEqual([{ frame: 0x50n, direct: 'WB' }]);
    expect(found.inVram).toBe(1);
    expect([...known]).toEqual([0x50n, 0x40n, 0x41n]);
  });
});

describe('the oracle', () => {
  const BYTES = 64 * KIB;
  const REST = { WB: 1_000_000, 'UC-': 4096 };
  const PAGES = BYTES / 4096;
  const pages = (type: MemoryType): PageTypes[] =>
    Array.from({ length: PAGES }, (_, frame) => ({ frame: BigInt(frame), user: type, direct: type }));
  const gone = { held: [], released: pages('WB'), inVram: 0, unsteady: false };
  const idle = { user: {}, direct: REST, ...gone };
  const held = { ...idle, user: { WC: BYTES }, direct: { ...REST, WC: BYTES }, held: pages('WC'), released: [] };
  const good: CacheTypes = {
    before: idle,
    held,
    evicted: idle,
    swapped: idle,
    back: held,
    vram: { ...idle, user: { WC: BYTES }, inVram: PAGES },
    returned: held,
    freed: idle,
    reused: { ...idle, user: { WB: BYTES } },
  };

  test('is silent on good', () => {
    expect(cacheComplaints(good, 'WC', BYTES)).toEqual([]);
  });

  test.for([
    // The kernel's own mapping was never changed.
    ['held: aliased', { held: { ...held, direct: REST } }],
    ['back: not-as-asked', { back: { ...held, user: { WC: BYTES - 4096, WB: 4096 } } }],
    ['evicted: stale-mapping', { evicted: { ...idle, user: { WC: 4096 } } }],
    ['swapped: not-restored', { swapped: { ...idle, direct: { ...REST, WC: 4096 } } }],
    ['vram: not-restored', { vram: { ...good.vram, direct: { ...REST, WC: BYTES } } }],
    ['freed: not-restored', { freed: { ...idle, direct: { ...REST, 'UC-': 8192 } } }],
    [
      'held: page-aliased',
      { held: { ...held, held: [...pages('WC').slice(1), { frame: 0n, user: 'WC', direct: 'WB' }] } },
    ],
    [
      'back: page-aliased',
      { back: { ...held, held: [...pages('WC').slice(1), { frame: 0n, user: 'UC', direct: 'WC' }] } },
    ],
    ['back: frames-missing', { back: { ...held, held: pages('WC').slice(1) } }],
    ['evicted: page-not-restored', { evicted: { ...idle, released: [{ frame: 0n, direct: 'WC' }] } }],
    ['swapped: frames-kept', { swapped: { ...idle, held: pages('WB').slice(1) } }],
    ['freed: unsteady', { freed: { ...idle, unsteady: true } }],
    ['reused: not-as-asked', { reused: { ...idle, user: { WC: BYTES } } }],
  ] as const)('%s', ([complaint, change]) => {
    expect(cacheComplaints({ ...good, ...change }, 'WC', BYTES)).toEqual([complaint]);
  });

  test('asks for the type that was asked for, at every stage where the object is in system memory', () => {
    const complaints = cacheComplaints(good, 'WB', BYTES);
    const stages: CacheStage[] = CACHE_STAGES.filter((stage) => ['held', 'back', 'returned'].includes(stage));
    expect(complaints).toEqual(
      stages.flatMap((stage) => [`${stage}: not-as-asked`, `${stage}: aliased`, `${stage}: page-aliased`]),
    );
  });
});
