/**
 * Memory within a device's reach: what a limit costs where there is memory to spare, and what has to give way where the
 * memory below the limit is in use by programs that could as well be above it.
 *
 * Instructions and string instructions: see swap.bench.ts.
 */
import { describe } from 'vitest';
import { test } from '../testbed/fixtures.ts';
import type { Guest } from '../testbed/guest/guest.ts';
import { inTurn, measurements } from '../testbed/bench/in-turn.ts';
import { reachableFreeBytes, unreachableFreeBytes } from '../testbed/guest/proc-files.ts';
import { BACKENDS } from '../config/combination.ts';
import { cycleReport, type CycleReport } from '../testbed/programs/stress-program.ts';

const MIB = 2 ** 20;
const PAGE = 4096;
const OBJECT_SIZE = 16 * MIB;

const counted = {
  machine: 'tiers',
  countsInstructions: true,
  kernelArgs: ['clearcpuid=rep_good,erms,fsrm'],
};

function fillPerPage(bytes: number) {
  return ({ phases }: CycleReport): number => phases.fill.cpuNs / 1000 / (bytes / PAGE);
}

describe('memory to spare', () => {
  const bytes = 128 * MIB;
  /** Of the driver; the device itself reaches all there is. */
  const limits = { '40 bits': 40, 'no limit': 64 } as const;
  test.override({ ...counted, dmaBits: 64 });

  test.for(BACKENDS)('%s', async (backend, { gpu, run, rounds, report, cpuUnit }) => {
    const cycles = await inTurn(Object.keys(limits) as (keyof typeof limits)[], rounds, async (limit) => {
      await gpu.load({ backend, dmaBits: limits[limit] });
      const { report: said } = await run('cycle', { bytes, 'object-size': OBJECT_SIZE }, cycleReport);
      await gpu.unload();
      return said;
    });
    report(measurements(cycles)('fill objects', `${cpuUnit}/page`, fillPerPage(bytes), '≤ 1.2× no limit'));
  });
});

describe('memory below the limit is in use, memory above it is free', () => {
  const bytes = 256 * MIB;
  const dmaBits = 40;
  test.override({ ...counted, dmaBits });

  test('40 bits', async ({ guest, gpu, run, rounds, report, cpuUnit }) => {
    const cycles = await inTurn(BACKENDS, rounds, async (backend) => {
      await gpu.load({ backend });
      await occupyLowNodes(guest);
      const freeAbove = unreachableFreeBytes(await guest.zones(), dmaBits);
      const freeBelow = reachableFreeBytes(await guest.zones(), dmaBits);
      const { report: said } = await run('cycle', { bytes, 'object-size': OBJECT_SIZE }, cycleReport);
      await guest.killAll('hog');
      await gpu.unload();
      return { ...said, freeAbove, freeBelow };
    });
    const measured = measurements(cycles);
    report(measured('swapped out to fill objects', 'MiB', ({ phases }) => (phases.fill.pswpout * PAGE) / MIB, '0'));
    report(measured('fill objects', `${cpuUnit}/page`, fillPerPage(bytes)));
    const most = { better: 'more' } as const;
    report({ ...measured('still resident, of 256', 'MiB', ({ bytesResident }) => bytesResident / MIB), ...most });
    report({ ...measured('free below before', 'MiB', ({ freeBelow }) => freeBelow / MIB), ...most });
    report({ ...measured('free above before', 'MiB', ({ freeAbove }) => freeAbove / MIB), ...most });
    report({ ...measured('lowest MemFree', 'MiB', ({ phases }) => phases.fill.lowestFreeBytes / MIB), ...most });
  });
});

/** Leaves each node that a device with 40 bits reaches 64 MiB. */
async function occupyLowNodes(guest: Guest): Promise<void> {
  const zones = await guest.zones();
  for (const node of [0, 1]) {
    const free = zones.filter((zone) => zone.node === node).reduce((sum, zone) => sum + zone.freeBytes, 0);
    const bytes = Math.floor((free - 64 * MIB) / PAGE) * PAGE;
    const hog = `edgpu-stress hog --bytes ${String(bytes)} --seed 1 --use once --cpu ${String(node)}`;
    await guest.runInBackground(hog, { until: 'holding' });
  }
}
