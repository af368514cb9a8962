/**
 * What it costs that memory of a process goes to a device's and comes back, 2 MiB at a time, in three ways: pages that
 * drm_pagemap migrates and the device copies, an object that TTM moves and the device copies, and pages that the
 * kernel's own module test_hmm migrates and the CPU copies, since its device is memory. Coherent memory, which would be
 * a fourth, the driver does not offer.
 *
 * Instructions of the thread that asks for the move or touches the memory: what a worker does, and what the engine
 * takes, is in none of them. String instructions: see counted-guest.ts.
 */
import { describe, expect } from 'vitest';
import { COUNTED_GUEST } from '../testbed/bench/counted-guest.ts';
import { PAGE } from '../testbed/bench/cycle-figures.ts';
import { inTurn, measurements } from '../testbed/bench/in-turn.ts';
import { test } from '../testbed/fixtures.ts';
import { migrateReport } from '../testbed/programs/stress-program.ts';

const MIB = 2 ** 20;
const BYTES = 32 * MIB;
/** Of each 2 MiB, where the question is how much is copied for it. */
const USED = 256 * 1024;
const WAYS = ['hmm', 'ttm', 'test_hmm'] as const;
/** All memory there is, so that nothing is bounced, or has to be within reach. */
const WIDE = 52;

const FOLIOS = [
  { name: 'folios of 4 KiB', huge: 'no' },
  { name: 'folios of 2 MiB', huge: 'yes' },
] as const;

describe('out and back', () => {
  test.override({ machine: 'tiers', dmaBits: WIDE, ...COUNTED_GUEST });

  test.for(FOLIOS)('$name', async ({ huge }, { guest, gpu, run, rounds, report, cpuUnit }) => {
    // The kernel turns them off on a machine that has less than 512 MiB before more is plugged in.
    await guest.run('echo madvise > /sys/kernel/mm/transparent_hugepage/enabled && modprobe test_hmm');
    const migrate = async (way: string, used: number) => {
      const { report: said } = await run('migrate', { way, bytes: BYTES, huge, used }, migrateReport);
      expect(said, said.firstError).toMatchObject({ ok: true, bytesVerified: 2 * BYTES });
      return said;
    };
    const runs = await inTurn(WAYS, rounds, async (way) => {
      await gpu.load({ backend: 'shmem', huge: huge === 'yes' });
      const all = await migrate(way, 2 * MIB);
      const before = (await gpu.statistics())['dma-write-bytes'];
      const part = await migrate(way, USED);
      const written = (await gpu.statistics())['dma-write-bytes'] - before;
      await gpu.unload();
      // The CPU copies what is in memory then, and nobody counts it but the kernel's page tables.
      return { ...all, copied: (way === 'test_hmm' ? part.bytesBack : written) / part.bytesUsed };
    });
    const measured = measurements(runs);
    const perPage = (ns: number): number => ns / 1000 / (BYTES / PAGE);
    report(measured('out', `${cpuUnit}/page`, ({ outNs }) => perPage(outNs), '≤ 2× ttm'));
    report(measured('back', `${cpuUnit}/page`, ({ backNs }) => perPage(backNs), '≤ 2× ttm'));
    report(measured('back, and mapped', `${cpuUnit}/page`, ({ backNs, mapNs }) => perPage(backNs + mapNs)));
    report(measured('fault of the CPU while it is away', cpuUnit, ({ faultNs }) => faultNs / 1000));
    report(measured('copied back for a byte that is used, of an eighth', 'bytes', ({ copied }) => copied));
  });
});
