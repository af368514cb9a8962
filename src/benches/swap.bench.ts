/**
 * What it costs to take memory from objects and to give it back: pages that are in shmem already and are let go,
 * against pages that are copied there, as `backup` (what xe does) and `legacy` (what TTM does for other drivers) do.
 */
import { describe } from 'vitest';
import { COUNTED_GUEST } from '../testbed/bench/counted-guest.ts';
import {
  allocationsPerPage,
  costPerPage,
  extraMiB,
  msPerGiB,
  PAGE,
  type Phase,
} from '../testbed/bench/cycle-figures.ts';
import { test } from '../testbed/fixtures.ts';
import { inTurn, measurements } from '../testbed/bench/in-turn.ts';
import { loadForSwap, swapWays } from '../testbed/bench/swap-ways.ts';
import { cycleReport, type CycleReport } from '../testbed/programs/stress-program.ts';

const MIB = 2 ** 20;
/** Little enough for those that can only be told to stay below 4 GiB. */
const BYTES = 128 * MIB;
const OBJECT_SIZE = 16 * MIB;
const PAGES = BYTES / PAGE;

const cycle = { bytes: BYTES, 'object-size': OBJECT_SIZE };

type Figure = (report: CycleReport) => number;

const perPage = (phase: Phase): number => costPerPage(phase, PAGES);

describe.for(['cached', 'wc'])('%s', (caching) => {
  test.override({ machine: 'tiers', dmaBits: 40, ...COUNTED_GUEST });

  test('the driver lets go of objects, the kernel swaps them', async ({ gpu, guest, run, rounds, report, cpuUnit }) => {
    const cycles = await inTurn(await swapWays(guest), rounds, async (way) => {
      await loadForSwap(gpu, guest, way);
      const { report: said } = await run('cycle', { ...cycle, caching, evict: 'yes' }, cycleReport);
      await gpu.unload();
      return said;
    });
    const measured = measurements(cycles);
    report(measured('fill objects', `${cpuUnit}/page`, ({ phases }) => perPage(phases.fill)));
    report(measured('evict', `${cpuUnit}/page`, ({ phases }) => perPage(phases.evict)));
    report(measured('swap out', `${cpuUnit}/page`, ({ phases }) => perPage(phases.reclaim)));
    report(measured('bring back', `${cpuUnit}/page`, ({ phases }) => perPage(phases.use)));
    report(measured('evict, time', 'ms/GiB', ({ phases }) => msPerGiB(phases.evict, PAGES)));
    report(measured('bring back, time', 'ms/GiB', ({ phases }) => msPerGiB(phases.use, PAGES)));
    report(measured('allocated to evict', 'pages/page', ({ phases }) => allocationsPerPage(phases.evict, PAGES), '0'));
    report(measured('peak extra memory while evicting', 'MiB', ({ phases }) => extraMiB(phases.evict)));
  });

  test('the kernel reclaims memory from objects', async ({ gpu, guest, run, rounds, report, cpuUnit }) => {
    const cycles = await inTurn(await swapWays(guest), rounds, async (way) => {
      await loadForSwap(gpu, guest, way);
      const { report: said } = await run('cycle', { ...cycle, caching }, cycleReport);
      await gpu.unload();
      return said;
    });
    const measured = measurements(cycles);
    const perSwapped: Figure = ({ phases }) => costPerPage(phases.reclaim, phases.reclaim.pswpout);
    report(measured('reclaim', `${cpuUnit}/page`, perSwapped));
    const allocated: Figure = ({ phases }) => allocationsPerPage(phases.reclaim, PAGES);
    report(measured('allocated inside reclaim', 'pages/page', allocated, '0'));
    report(measured('bring back', `${cpuUnit}/page`, ({ phases }) => perPage(phases.use)));
    report({ ...measured('swapped out of all', '%', swappedPercent), better: 'more' });
    report({ ...measured('lowest MemAvailable', 'MiB', lowestAvailable), better: 'more' });
  });
});

const swappedPercent: Figure = ({ phases }) => (phases.reclaim.pswpout / PAGES) * 100;
const lowestAvailable: Figure = ({ phases }) => phases.reclaim.lowestAvailableBytes / MIB;
