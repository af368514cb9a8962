/**
 * Four threads write through mappings while the objects move between VRAM, system memory and swap: every write is found
 * again, by the thread that made it through a second mapping, and by the device at the end.
 */
import { setTimeout } from 'node:timers/promises';
import { describe, expect } from 'vitest';
import { z } from 'zod';
import { dmaComplaints } from '../testbed/witnesses/dma-witnesses.ts';
import { test } from '../testbed/fixtures.ts';
import { scaled } from '../testbed/life/flavour-scale.ts';
import { GPU_MEMORY } from '../config/gpu-memory.ts';
import type { Gpu } from '../testbed/device/gpu.ts';
import { programReport } from '../testbed/programs/stress-program.ts';

const PAGE = 4096;
const SHAPE = { objects: 8, 'object-size': 2 ** 20 };
/** Enough for every kind of move to happen; on a slow kernel more writes fall into each. */
const ROUNDS = Math.max(40, scaled(80));
/** One of each kind. */
const MOVES = 5;
const BYTES = SHAPE.objects * SHAPE['object-size'];

const mmapReport = programReport.extend({
  writes: z.number(),
  bytesVerified: z.number(),
  checksumsVerified: z.number(),
  /** The objects' own, at a time; it is an error if an object that the writers leave alone does not get there. */
  mostPagesInSwap: z.number(),
  /** Those of copies of theirs. */
  mostCopiesInSwap: z.number(),
  moves: z.record(z.string(), z.number()),
});

test.override({ stateless: true });

describe.for([['cached'], ['wc'], ['uc']])('%s', { concurrent: true }, ([caching = '']) => {
  test.override({ dmaBits: 40 });

  test('no write is lost while objects move', async ({ gpu, run, record }) => {
    await gpu.load({ backend: 'shmem' });
    const { report, witnesses } = await run('mmap', { ...SHAPE, rounds: ROUNDS, caching }, mmapReport);
    record.metrics['writes'] = report.writes;
    expect(report.ok, report.firstError).toBe(true);
    expect([report.bytesVerified, report.checksumsVerified]).toEqual([BYTES, SHAPE.objects]);
    for (const count of Object.values(report.moves)) expect(count).toBeGreaterThan(0);
    expect(dmaComplaints(witnesses, 40)).toEqual([]);
    expect(report.mostPagesInSwap).toBeGreaterThanOrEqual(SHAPE['object-size'] / PAGE);
    expect(report.mostCopiesInSwap).toBe(0);
  });
});

describe('legacy', { concurrent: true }, () => {
  test.override({ dmaBits: 40 });

  test("control: in swap are copies, and of the objects' own pages none", async ({ gpu, run }) => {
    await gpu.load({ backend: 'legacy' });
    const { report } = await run('mmap', { ...SHAPE, rounds: MOVES }, mmapReport);
    expect(report.ok, report.firstError).toBe(true);
    expect(report.mostPagesInSwap).toBe(0);
    expect(report.mostCopiesInSwap).toBeGreaterThanOrEqual(SHAPE['object-size'] / PAGE);
  });
});

describe('lost writes', { concurrent: true }, () => {
  test.override({ dmaBits: 40 });

  test('control: one is seen by the CPU and by the device', async ({ gpu, run }) => {
    await gpu.load({ backend: 'shmem' });
    const { report } = await run('mmap', { ...SHAPE, rounds: 5, lose: 1 }, mmapReport);
    // The object's checksum, and the word.
    expect(report.mismatches).toBe(2);
    expect(report.checksumsVerified).toBe(SHAPE.objects - 1);
  });

  test('control: bits that change in VRAM while objects come and go are seen', async ({ gpu, run }) => {
    await gpu.load({ backend: 'shmem' });
    const over = new AbortController();
    const flipping = flipUntil(gpu, over.signal);
    const { report } = await run('mmap', { ...SHAPE, rounds: 40 }, mmapReport).finally(() => over.abort());
    await flipping;
    expect(report.ok).toBe(false);
    expect(report.mismatches).toBeGreaterThan(0);
    expect(await gpu.statistics()).toMatchObject({ faults: 0 });
  });
});

const MIB = 2 ** 20;
/** Of one order to the device. */
const FLIPS = 32;

/**
 * A bit in every MiB of VRAM, so that any object that is there has one of them; again and again. Each time it is the
 * next byte's: a bit that is flipped twice is as it was.
 */
async function flipUntil(gpu: Gpu, signal: AbortSignal): Promise<void> {
  for (let turn = 0; !signal.aborted; turn++) {
    for (let first = 0; first < GPU_MEMORY.vramMiB; first += FLIPS) {
      const offsets = Array.from({ length: FLIPS }, (_, index) => (first + index) * MIB + MIB / 2 + turn);
      await gpu.inject(...offsets.map((offset) => ({ kind: 'flip', offset }) as const));
    }
    await setTimeout(500);
  }
}
