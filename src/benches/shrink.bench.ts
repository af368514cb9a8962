/**
 * What was argued about in the threads, measured: three ways to come by objects (a macro, a callback, the next
 * candidate), two policies (the pages asked for, or one object a call), for pages that are let go of (`shmem`) and
 * pages that are copied (`backup`, as xe does; `legacy`, as TTM does for others).
 *
 * Instructions are counted with one CPU at a time; contention, latency and fairness
 * are measured on four that really run at once, and wall-clock figures are only as good as the host is quiet.
 */
import { describe } from 'vitest';
import { COUNTED_LOCKS, countWaits, startCounting } from '../testbed/witnesses/contention.ts';
import { COUNTED_GUEST } from '../testbed/bench/counted-guest.ts';
import { test } from '../testbed/fixtures.ts';
import type { Guest } from '../testbed/guest/guest.ts';
import { POLICIES, WALKS, type DriverOptions, type Policy, type Walk } from '../testbed/device/gpu.ts';
import { inTurn, measurements } from '../testbed/bench/in-turn.ts';
import { reachableFreeBytes } from '../testbed/guest/proc-files.ts';
import type { Measurement } from '../plan/rig-context.ts';
import { BACKENDS } from '../config/combination.ts';
import { reclaimReport, type ReclaimReport } from '../testbed/programs/stress-program.ts';

const MIB = 2 ** 20;
const PAGE = 4096;
const OBJECT_SIZE = 4 * MIB;
const RECLAIMERS = [1, 2, 4] as const;

const FRONT_ENDS = WALKS.flatMap((walk) => POLICIES.map((policy) => ({ walk, policy, name: `${walk}, ${policy}` })));

type Figure<Result = ReclaimReport> = (report: Result) => number;

/** Of all devices. */
function sum(report: ReclaimReport, counter: string): number {
  return Object.values(report.devices).reduce((total, device) => total + (device[counter] ?? 0), 0);
}

const stat = (report: ReclaimReport, name: string): number => report.vmstat[name] ?? 0;
const atLeastOne = (count: number): number => Math.max(1, count);
/** What reclaim really got, from anybody. */
const stolen: Figure = (report) => stat(report, 'pgsteal_anon') + stat(report, 'pgsteal_file');
const taken: Figure = (report) => sum(report, 'reclaimed_pages');
const calls: Figure = (report) => sum(report, 'shrink_calls');
const instructionsPerPage: Figure = (report) => report.cpuNs / 1000 / atLeastOne(stolen(report));
const allocationsPerPage: Figure = (report) => stat(report, 'pgalloc_') / atLeastOne(taken(report));
const visitedPerCall: Figure = (report) => sum(report, 'shrink_visited') / atLeastOne(calls(report));
/** 1 if each call takes what it was asked for. */
const takenPerAsked: Figure = (report) => taken(report) / atLeastOne(sum(report, 'shrink_asked'));
const pagesPerCpuSecond: Figure = (report) => stolen(report) / (report.cpuNs / 1e9);

/** 1 if everybody gave the same share of what they had, 1/n if one gave all. */
export function jainIndex(shares: readonly number[]): number {
  const total = shares.reduce((a, b) => a + b, 0);
  const squares = shares.reduce((a, b) => a + b * b, 0);
  return squares === 0 ? 1 : (total * total) / (shares.length * squares);
}

const fairness: Figure = (report) => {
  const devices = Object.values(report.devices);
  const shares = devices.map((device) => (device['reclaimed_pages'] ?? 0) / atLeastOne(device['before_pages'] ?? 0));
  return jainIndex([...shares, stat(report, 'pgsteal_file') / atLeastOne(report.cacheBytes / PAGE)]);
};

describe('instructions', () => {
  const shape = { bytes: 96 * MIB, 'object-size': OBJECT_SIZE, reclaim: 48 * MIB };
  test.override({ machine: 'crowd', dmaBits: 40, ...COUNTED_GUEST });

  const quantities = (runs: ReadonlyMap<string, readonly ReclaimReport[]>, cpuUnit: string): Measurement[] => {
    const measured = measurements(runs);
    return [
      measured('reclaim', `${cpuUnit}/page reclaimed`, instructionsPerPage),
      measured('allocated in reclaim', 'pages/page taken', allocationsPerPage, '0'),
      measured('objects looked at', 'a call', visitedPerCall),
      measured('taken of what was asked for', '×', takenPerAsked),
      measured('calls', 'for 1000 pages taken', (said) => (calls(said) / atLeastOne(taken(said))) * 1000),
    ];
  };

  test.for(FRONT_ENDS)('backends, by $name', async ({ walk, policy }, { guest, gpu, run, rounds, report, cpuUnit }) => {
    const runs = await inTurn(BACKENDS, rounds, async (backend) => {
      await gpu.load({ backend, walk, policy });
      await loseSwapCache(guest);
      const { report: said } = await run('reclaim', shape, reclaimReport);
      await gpu.unload();
      return said;
    });
    quantities(runs, cpuUnit).forEach(report);
  });

  test('front ends, shmem', async ({ guest, gpu, run, rounds, report, cpuUnit }) => {
    const byName = new Map(FRONT_ENDS.map((front) => [front.name, front]));
    const runs = await inTurn([...byName.keys()], rounds, async (name) => {
      await gpu.load({ backend: 'shmem', ...frontEnd(byName.get(name)) });
      await loseSwapCache(guest);
      const { report: said } = await run('reclaim', shape, reclaimReport);
      await gpu.unload();
      return said;
    });
    quantities(runs, cpuUnit).forEach(report);
  });
});

/**
 * What is in swap may be in memory, too, and stay there when nobody wants it any more, thousands of pages of it: the
 * next run would find them and reclaim them for nothing.
 */
async function loseSwapCache(guest: Guest): Promise<void> {
  await guest.run('for swap in $(tail -n +2 /proc/swaps | cut -d " " -f 1); do swapoff $swap && swapon $swap; done');
}

interface FrontEnd {
  readonly walk: Walk;
  readonly policy: Policy;
}

function frontEnd(found: FrontEnd | undefined): Pick<DriverOptions, 'walk' | 'policy'> {
  return { walk: found?.walk ?? 'macro', policy: found?.policy ?? 'pages' };
}

/**
 * TTM's limit for pages from its pool, half the memory, is still there: it is the fallback of 2021, and `legacy` lives
 * with it.
 */
describe('the hard limit', () => {
  test.override({ machine: 'crowd', dmaBits: 40 });

  test('objects worth 70 % of free memory', async ({ guest, gpu, run, rounds, report }) => {
    const runs = await inTurn(BACKENDS, rounds, async (backend) => {
      await gpu.load({ backend });
      const bytes = objectsWorth(0.7, reachableFreeBytes(await guest.zones(), 64));
      const before = (await guest.vmstat()).get('pswpout') ?? 0;
      const { report: said } = await run('reclaim', { bytes, 'object-size': OBJECT_SIZE, reclaim: 0 }, reclaimReport);
      const swapped = ((await guest.vmstat()).get('pswpout') ?? 0) - before;
      await gpu.unload();
      return { held: sumBefore(said) / (bytes / PAGE), swapped };
    });
    const measured = measurements(runs);
    report({ ...measured('still in memory once all are filled', '%', ({ held }) => held * 100), better: 'more' });
    report(measured('swapped out meanwhile', 'pages', ({ swapped }) => swapped, '0'));
  });
});

function objectsWorth(share: number, free: number): number {
  return Math.floor((free * share) / OBJECT_SIZE) * OBJECT_SIZE;
}

function sumBefore(report: ReclaimReport): number {
  return sum(report, 'before_pages');
}

const crowd = {
  bytes: 96 * MIB,
  'object-size': OBJECT_SIZE,
  devices: 2,
  cache: 96 * MIB,
  reclaim: 144 * MIB,
  bystander: 'yes',
};

describe('reclaimers', () => {
  test.override({ machine: 'crowd', dmaBits: 40 });

  for (const threads of RECLAIMERS) {
    test.for(FRONT_ENDS)(
      `${reclaimers(threads)}, by $name`,
      async ({ walk, policy }, { guest, gpu, run, rounds, report }) => {
        const runs = await inTurn(BACKENDS, rounds, async (backend) => {
          await gpu.load({ backend, walk, policy });
          await loseSwapCache(guest);
          const { report: said } = await run('reclaim', { ...crowd, threads }, reclaimReport);
          await gpu.unload();
          return said;
        });
        const measured = measurements(runs);
        report({ ...measured('reclaimed', 'pages/CPU s', pagesPerCpuSecond, aimFor(threads)), better: 'more' });
        report({ ...measured('fairness: two devices, page cache', 'Jain', fairness), better: 'more' });
        report(measured('page fault of a bystander, median', 'µs', ({ bystander }) => bystander.p50Ns / 1000));
        report(
          measured('page fault of a bystander, p99', 'µs', ({ bystander }) => bystander.p99Ns / 1000, '≤ 1.0× backup'),
        );
        // Who reclaims three times as fast is a nuisance for a third of the time, in which a larger share of faults
        // meets it.
        report(
          measured('page faults of a bystander beyond 100 µs', 'for 1000 pages', (said) =>
            perThousand(said.bystander.slow, said),
          ),
        );
        report(measured('objects looked at', 'a call', visitedPerCall));
      },
    );
  }
});

interface Witnessed extends ReclaimReport {
  readonly waits: { lru: number; any: number };
}

/** In guests of their own: to have locks queued for changes what waiting for them costs. */
describe('waits for locks', () => {
  test.override({ machine: 'crowd', dmaBits: 40, ...COUNTED_LOCKS });

  test('control: waits for a lock that four want at once are counted', async ({ guest, gpu, report }) => {
    await gpu.load({ backend: 'shmem' });
    await startCounting(guest);
    await guest.run('for who in 1 2 3 4; do echo 500 > /sys/kernel/debug/dri/128/hold_lru_lock & done; wait');
    const { lru, any } = await countWaits(guest);
    report({ quantity: 'waits', unit: '', better: 'more', samples: { 'for it': [lru], any: [any] }, aim: '> 0' });
  });

  for (const threads of RECLAIMERS) {
    test.for(FRONT_ENDS)(
      `${reclaimers(threads)}, by $name`,
      async ({ walk, policy }, { guest, gpu, run, rounds, report }) => {
        const runs = await inTurn(BACKENDS, rounds, async (backend): Promise<Witnessed> => {
          await gpu.load({ backend, walk, policy });
          await startCounting(guest);
          await loseSwapCache(guest);
          const { report: said } = await run('reclaim', { ...crowd, threads }, reclaimReport);
          const waits = await countWaits(guest);
          await gpu.unload();
          return { ...said, waits };
        });
        const measured = measurements(runs);
        report(measured('for the LRU lock', 'for 1000 pages', ({ waits, ...said }) => perThousand(waits.lru, said)));
        report(measured('for any spinlock', 'for 1000 pages', ({ waits, ...said }) => perThousand(waits.any, said)));
      },
    );
  }
});

/** Do reclaimers get in each other's way? */
describe('more reclaimers', () => {
  const shape = { bytes: 96 * MIB, 'object-size': OBJECT_SIZE, devices: 2, cache: 96 * MIB, reclaim: 144 * MIB };
  test.override({ machine: 'crowd', dmaBits: 40 });

  test.for(FRONT_ENDS)('shmem, by $name', async ({ walk, policy }, { guest, gpu, run, rounds, report }) => {
    const names = RECLAIMERS.toReversed().map(reclaimers);
    const runs = await inTurn(names, rounds, async (name) => {
      await gpu.load({ backend: 'shmem', walk, policy });
      await loseSwapCache(guest);
      const { report: said } = await run('reclaim', { ...shape, threads: Number.parseInt(name) }, reclaimReport);
      await gpu.unload();
      return said;
    });
    const measured = measurements(runs);
    const together = measured('reclaimed by all together', 'pages/s', (said) => stolen(said) / (said.wallNs / 1e9));
    report({ ...together, better: 'more', aim: '≥ 3× 1 reclaimer' });
    report({ ...measured('reclaimed', 'pages/CPU s', pagesPerCpuSecond), better: 'more' });
  });
});

function reclaimers(threads: number): string {
  return threads === 1 ? '1 reclaimer' : `${String(threads)} reclaimers`;
}

function perThousand(count: number, report: ReclaimReport): number {
  return (count / atLeastOne(stolen(report))) * 1000;
}

function aimFor(threads: number): string | undefined {
  return threads === 4 ? '≥ 3× backup' : undefined;
}
