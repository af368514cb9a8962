/**
 * What a page below a limit costs, as struct pages looked at and locks taken, on a zone with 0.5 GiB below the limit
 * and on one with 1 TiB, and what is left alone: mm/shmem_limit.c as the series leaves it, compiled for the host.
 */
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readSeries } from '../../../src/builds/tree/patch-series.ts';
import { repositoryPath } from '../../../src/config/paths.ts';

const HARNESS = repositoryPath('test/unit/series/limit-cost');
const SMALL = 512;
const MEDIUM = 64 * 1024;
const LARGE = 1024 * 1024;
const PAGES = [1, 100, 10_000] as const;

/** A search ends after 64 pageblocks, and of each it looks at all 512 pages; of these two tell whose zone it is. */
const SEARCH = 64 * (512 + 2);

interface Cost {
  readonly got: number;
  readonly looked: number;
  /** The most struct pages looked at without letting go of a mutex. */
  readonly longest: number;
  /** The most struct pages that others looked at while a task waited for a mutex. */
  readonly longestWait: number;
  readonly zoneLock: number;
  readonly lruLock: number;
  readonly mutexes: number;
  readonly drains: number;
  /** Folios that were moved up, and that were reclaimed. */
  readonly moved: number;
  readonly reclaimed: number;
  /** Of the latter, what memory.low or memory.min protects. */
  readonly protected: number;
}

let folder = '';

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'dgpu-rig-test-'));
  for (const { file, text } of await readSeries(repositoryPath('guest-kernel/patches'))) {
    if (!/^diff --git a\/mm\/shmem_limit\.[ch] /m.test(text)) continue;
    await execa('git', ['apply', '--include=mm/shmem_limit.[ch]', file], {
      cwd: folder,
      env: { GIT_CEILING_DIRECTORIES: path.dirname(folder) },
    });
  }
  const sources = await Promise.all(['c', 'h'].map((suffix) => readFile(sourceFile(suffix), 'utf8')));
  // kernel.h stands for all of Linux's headers.
  for (const [, header = ''] of sources.join('').matchAll(/^#include [<"](.+)[>"]$/gm)) {
    if (header === 'shmem_limit.h') continue;
    await mkdir(path.join(folder, 'include', path.dirname(header)), { recursive: true });
    await writeFile(path.join(folder, 'include', header), '');
  }
  await compile('limit-cost');
}, 60_000);

afterAll(() => rm(folder, { recursive: true }));

function sourceFile(suffix: string): string {
  return path.join(folder, `mm/shmem_limit.${suffix}`);
}

/** As the program "control", with other code in the place of some of it. */
async function compileControl(from: string, to: string): Promise<void> {
  const source = await readFile(sourceFile('c'), 'utf8');
  expect(source.split(from)).toHaveLength(2);
  await writeFile(sourceFile('c'), source.replace(from, to));
  await compile('control');
  await writeFile(sourceFile('c'), source);
}

async function compile(program: string): Promise<void> {
  const warnings = ['-Wall', '-Wno-unused-function'];
  const stack = ['-fstack-usage', '-dumpdir', './', '-dumpbase', program];
  const flags = ['-O2', '-std=gnu11', ...warnings, ...stack, '-Iinclude', `-I${HARNESS}`, '-I.'];
  await execa('cc', [...flags, '-o', program, path.join(HARNESS, 'limit-cost.c')], { cwd: folder });
}

/** Tasks that ask for pages, each of which begins when so many more struct pages have been looked at. */
interface Tasks {
  readonly tasks: number;
  readonly apart: number;
}

const ONE = { tasks: 1, apart: 0 };

async function cost(
  mebibytes: number,
  below: string,
  pages: number,
  { tasks, apart }: Tasks = ONE,
  program = 'limit-cost',
  scope = 'none',
): Promise<Cost> {
  const args = [mebibytes, below, pages, tasks, apart, scope].map(String);
  return JSON.parse((await execa(path.join(folder, program), args)).stdout) as Cost;
}

/**
 * What is free is found on the way: one in eight pages at worst here. A pageblock that is made free does for 512 pages,
 * and is preceded by a search in vain.
 */
function mostLookedAt(pages: number): number {
  return 12 * pages + Math.ceil(pages / 512) * (SEARCH + 512 + 8);
}

const FOUND = ['free', 'scattered', 'anon', 'cache'] as const;

test.for(FOUND)('%s: a page costs no more on 1 TiB than on 0.5 GiB', { timeout: 60_000 }, async (below) => {
  for (const pages of PAGES) {
    const [small, large] = [await cost(SMALL, below, pages), await cost(LARGE, below, pages)];
    expect(large).toEqual(small);
    expect(large.got).toBe(pages);
    expect(large.looked).toBeLessThanOrEqual(mostLookedAt(pages));
    expect(large.longest).toBeLessThanOrEqual(SEARCH);
    expect(large.zoneLock).toBe(pages);
    // A pageblock that is made free takes five more, one of them for where to go on.
    expect(large.mutexes).toBeLessThanOrEqual(1 + pages + 5 * Math.ceil(pages / 512));
    expect(large.lruLock).toBeLessThanOrEqual(512 * Math.ceil(pages / 512));
    expect(large.drains).toBeLessThanOrEqual(Math.ceil(pages / 512));
  }
});

test.for([
  [
    'that begins at the beginning of the zone',
    'if (search->pfn < start || search->pfn >= end)\n\t\tsearch->pfn = start;',
    'search->pfn = start;',
    'scattered',
    1000,
  ],
  ['without an end', '#define SHMEM_LIMIT_SEARCH_BLOCKS\t64', '#define SHMEM_LIMIT_SEARCH_BLOCKS\tUINT_MAX', 'anon', 1],
] as const)('control: a search %s is seen to cost more', { timeout: 60_000 }, async ([, from, to, below, pages]) => {
  await compileControl(from, to);
  const { got, looked } = await cost(LARGE, below, pages, ONE, 'control');
  expect(got < pages || looked > mostLookedAt(pages)).toBe(true);
});

/** Searches look for free pages, for folios to move, for page cache, and for what can be reclaimed. */
const SEARCHES = 4;

test.for(PAGES)('kernel: %i pages that are not there cost one look at each page a search', async (pages) => {
  for (const mebibytes of [SMALL, LARGE]) {
    const { got, looked, longest } = await cost(mebibytes, 'kernel', pages);
    expect(got).toBe(0);
    expect(longest).toBeLessThanOrEqual(SEARCH);
    // The last search for free pages begins anew, after the lists of CPUs were drained.
    expect(looked).toBeLessThanOrEqual((SEARCHES + 1) * mebibytes * (256 + 1));
  }
});

test('far: what lies at the end of 1 TiB is found, and others get the lock meanwhile', async () => {
  const { got, zoneLock, longest } = await cost(LARGE, 'far', 1);
  expect({ got, zoneLock }).toEqual({ got: 1, zoneLock: 1 });
  expect(longest).toBeLessThanOrEqual(SEARCH);
});

describe('tasks at once', () => {
  const two = { tasks: 2, apart: 0 };

  test.for(FOUND)(
    '%s: each gets its pages, and waits for one search at the most',
    { timeout: 60_000 },
    async (below) => {
      for (const pages of [1, 100, 5000]) {
        const [small, large] = [await cost(SMALL, below, pages, two), await cost(LARGE, below, pages, two)];
        expect(large).toEqual(small);
        expect(large.got).toBe(2 * pages);
        expect(large.looked).toBeLessThanOrEqual(2 * mostLookedAt(2 * pages));
        expect(large.longest).toBeLessThanOrEqual(SEARCH);
        expect(large.longestWait).toBeLessThanOrEqual(SEARCH);
        expect(large.zoneLock).toBe(2 * pages);
      }
    },
  );

  // The last one comes when most of the zone has been searched.
  const apart = (mebibytes: number, tasks: number): Tasks => ({ tasks, apart: (mebibytes * 256 * 0.9) / (tasks - 1) });

  /** All of the zone once, and what each task looks at before that. */
  const mostOfAll = (mebibytes: number, tasks: number): number =>
    mebibytes * (256 + 1) + tasks * (SEARCHES + 2) * SEARCH;

  test.for([
    [2, LARGE],
    [4, MEDIUM],
    [16, MEDIUM],
  ] as const)('kernel: %i of them search all of the zone once', { timeout: 120_000 }, async ([tasks, mebibytes]) => {
    const { got, looked, longest, longestWait } = await cost(mebibytes, 'kernel', 1, apart(mebibytes, tasks));
    expect(got).toBe(0);
    expect(looked).toBeLessThanOrEqual(mostOfAll(mebibytes, tasks));
    expect(longest).toBeLessThanOrEqual(SEARCH);
    expect(longestWait).toBeLessThanOrEqual(tasks * SEARCH);
  });

  test('control: a search that begins anew for whoever comes is seen to cost more', { timeout: 60_000 }, async () => {
    await compileControl('\t\tsearch->thorough = true;\n', '');
    const { looked } = await cost(MEDIUM, 'kernel', 1, apart(MEDIUM, 2), 'control');
    expect(looked).toBeGreaterThan(mostOfAll(MEDIUM, 2));
  });

  test('far: who comes late finds what lies at the end of the zone, too', { timeout: 60_000 }, async () => {
    const { got, longest } = await cost(MEDIUM, 'far', 1, apart(MEDIUM, 2));
    expect(got).toBe(2);
    expect(longest).toBeLessThanOrEqual(SEARCH);
  });

  test('room: a search that others have begin elsewhere is not taken for one of all of the zone', async () => {
    // The first page may be missed, and the next one is not.
    expect(await cost(MEDIUM, 'room', 2, apart(MEDIUM, 2))).toMatchObject({ got: 1 });
  });

  test('control: a search is seen to leave a part of the zone out', async () => {
    await compileControl('shmem_limit_search_anew(search, pfn);\n\tmutex_unlock', 'search->pfn = pfn;\n\tmutex_unlock');
    expect(await cost(MEDIUM, 'room', 2, apart(MEDIUM, 2), 'control')).toMatchObject({ got: 0 });
  });
});

describe('with sets of 1024 nodes', () => {
  /** While the page allocator reclaims, which takes a lot by itself: four sets, and a little more. */
  const MOST = 4 * 128 + 192;

  /** Bytes of the stack that gcc has a function take, with all that is inlined. */
  async function stackOf(name: string, program: string): Promise<number> {
    const usage = await readFile(path.join(folder, `${program}.su`), 'utf8');
    return Number(new RegExp(`:${name}(?:\\.\\S+)?\\t(\\d+)\\t`).exec(usage)?.[1]);
  }

  test('an allocation leaves most of the stack to reclaim', async () => {
    expect(await stackOf('shmem_limit_alloc', 'limit-cost')).toBeLessThanOrEqual(MOST);
  });

  test('control: an allocation that takes what only moving up needs is seen', async () => {
    await compileControl('static noinline_for_stack bool\n', 'static __attribute__((always_inline)) inline bool\n');
    expect(await stackOf('shmem_limit_alloc', 'control')).toBeGreaterThan(MOST);
  });
});

/** As memalloc_nofs_save(), memalloc_noio_save() and a system that goes to sleep have it. */
describe.for(['nofs', 'noio', 'sleep'])('where gfp flags are forbidden: %s', (scope) => {
  test('page cache stays, and anonymous memory moves up as ever', async () => {
    expect(await cost(SMALL, 'cache', 1, ONE, 'limit-cost', scope)).toMatchObject({ got: 0, moved: 0, reclaimed: 0 });
    expect(await cost(SMALL, 'anon', 1, ONE, 'limit-cost', scope)).toMatchObject({ got: 1, moved: 512, reclaimed: 0 });
  });

  test('control: an allocation that does not ask for the flags is seen to drop page cache', async () => {
    await compileControl('gfp = current_gfp_context(gfp) & gfp_allowed_mask & ~', 'gfp &= ~');
    expect(await cost(SMALL, 'cache', 1, ONE, 'control', scope)).toMatchObject({ got: 1, reclaimed: 512 });
  });
});

describe('to memory of a lower tier', () => {
  test('nothing moves up: what is below is reclaimed', async () => {
    expect(await cost(SMALL, 'slow', 1)).toMatchObject({ got: 1, moved: 0, reclaimed: 512 });
  });

  test('control: memory that moves up to any tier is seen', async () => {
    await compileControl('if (!node_is_toptier(nid))', 'if (false)');
    expect(await cost(SMALL, 'slow', 1, ONE, 'control')).toMatchObject({ got: 1, moved: 512, reclaimed: 0 });
  });
});

describe('page cache of a cgroup that is protected', () => {
  /** Of memory that is reclaimed, so much is not. */
  const others = ((SMALL - 64) / 4) * 1024;

  test('memory.low: it goes last', async () => {
    expect(await cost(SMALL, 'low', others)).toMatchObject({ got: others, protected: 0 });
    const { got, protected: last } = await cost(SMALL, 'low', others + 1024);
    expect(got).toBe(others + 1024);
    expect(last).toBe(1024);
  });

  test('memory.min: it stays', async () => {
    expect(await cost(SMALL, 'min', others + 1024)).toMatchObject({ got: others, protected: 0 });
  });

  test('control: who does not ask is seen to take it', async () => {
    await compileControl(
      'mem_cgroup_below_min(NULL, memcg) ||\n\t\t(choice && mem_cgroup_below_low(NULL, memcg))',
      'false',
    );
    for (const below of ['low', 'min']) {
      const { protected: taken } = await cost(SMALL, below, 1, ONE, 'control');
      expect(taken).toBe(512);
    }
  });
});
