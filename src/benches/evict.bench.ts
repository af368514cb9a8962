/**
 * What it costs to have objects leave memory, and to have them back: pages that are in shmem already and are let go of,
 * against pages that are copied there, as `backup` (what xe does) and `legacy` (what TTM does for other drivers) do. Of
 * many small objects and of a few huge ones, cached and write-combined; without what it takes to swap them, which is
 * the same for all (bench swap has it).
 */
import { describe } from 'vitest';
import { COUNTED_GUEST } from '../testbed/bench/counted-guest.ts';
import { allocationsPerPage, costPerPage, extraMiB, PAGE } from '../testbed/bench/cycle-figures.ts';
import { test } from '../testbed/fixtures.ts';
import { inTurn, measurements } from '../testbed/bench/in-turn.ts';
import { loadForSwap, swapWays } from '../testbed/bench/swap-ways.ts';
import type { Measurement } from '../plan/rig-context.ts';
import { cycleReport, type CycleReport } from '../testbed/programs/stress-program.ts';

const KIB = 2 ** 10;
const MIB = 2 ** 20;
/** Little enough for those that can only be told to stay below 4 GiB, and that copy all of it. */
const BYTES = 128 * MIB;
const PAGES = BYTES / PAGE;

const SIZES = [
  { size: 64 * KIB, name: 'small objects (64 KiB)' },
  { size: 64 * MIB, name: 'huge objects (64 MiB)' },
] as const;

const CACHINGS = [
  { caching: 'cached', aim: '≤ 0.25× backup' },
  { caching: 'wc', aim: undefined },
] as const;

const SHAPES = SIZES.flatMap((size) => CACHINGS.map((caching) => ({ ...size, ...caching })));

type Runs = ReadonlyMap<string, readonly CycleReport[]>;

function quantities(runs: Runs, cpuUnit: string, aim?: string): Measurement[] {
  const measured = measurements(runs);
  const perSecond = ({ phases }: CycleReport): number => PAGES / (phases.evict.cpuNs / 1e9);
  return [
    measured('out', `${cpuUnit}/page`, ({ phases }) => costPerPage(phases.evict, PAGES), aim),
    { ...measured('let go of', 'pages/CPU s', perSecond), better: 'more' },
    measured('back', `${cpuUnit}/page`, ({ phases }) => costPerPage(phases.use, PAGES)),
    measured('allocated on the way out', 'pages/page', ({ phases }) => allocationsPerPage(phases.evict, PAGES), '0'),
    measured('allocated on the way back', 'pages/page', ({ phases }) => allocationsPerPage(phases.use, PAGES)),
    measured('peak extra memory on the way out', 'MiB', ({ phases }) => extraMiB(phases.evict), '0'),
    measured('peak extra memory on the way back', 'MiB', ({ phases }) => extraMiB(phases.use)),
  ];
}

const cycle = { bytes: BYTES, evict: 'yes', swap: 'no' };

describe('out and back', () => {
  test.override({ machine: 'tiers', dmaBits: 40, ...COUNTED_GUEST });

  test.for(SHAPES)('$name, $caching', async ({ size, caching, aim }, { gpu, guest, run, rounds, report, cpuUnit }) => {
    const runs = await inTurn(await swapWays(guest), rounds, async (way) => {
      await loadForSwap(gpu, guest, way);
      const { report: said } = await run('cycle', { ...cycle, 'object-size': size, caching }, cycleReport);
      await gpu.unload();
      return said;
    });
    quantities(runs, cpuUnit, aim).forEach(report);
  });
});

/**
 * What a chunked copy costs that gives the memory back to another allocator, against pages that can stay where they
 * are.
 */
describe('memory set aside for devices', () => {
  const { kernelArgs, ...counted } = COUNTED_GUEST;
  test.override({ machine: 'tiers', dmaBits: 40, ...counted, kernelArgs: [...kernelArgs, 'cma=160M'] });

  test('borrowed, and the memory of shmem itself', async ({ gpu, run, rounds, report, cpuUnit }) => {
    await gpu.load({ backend: 'shmem' });
    const options = { ...cycle, 'object-size': 16 * MIB };
    const runs = await inTurn(['borrowed', 'shmem'], rounds, async (kind) => {
      const carveout = kind === 'borrowed' ? 'yes' : 'no';
      const { report: said } = await run('cycle', { ...options, carveout }, cycleReport);
      return said;
    });
    quantities(runs, cpuUnit).forEach(report);
  });
});
