/**
 * Large objects lose their memory chunk by chunk and come back whole: wherever it stops, whatever fails on the way, and
 * also where there is never room for all of it. An object that has lost a part is the next to lose the rest.
 */
import { describe, expect } from 'vitest';
import { contentComplaints, dmaComplaints } from '../testbed/witnesses/dma-witnesses.ts';
import type { EdgpuFailure } from '../testbed/device/gpu.ts';
import { test } from '../testbed/fixtures.ts';
import { stockComplaints, takeStock } from '../testbed/guest/memory-stock.ts';
import { evictReport } from '../testbed/programs/stress-program.ts';

const MIB = 2 ** 20;
const GIB = 2 ** 30;
const PAGE = 4096;
const CHUNK = (2 * MIB) / PAGE;
const CHUNKS = 16;
const BYTES = CHUNKS * CHUNK * PAGE;
/** Of the driver, if nobody says otherwise. */
const DEFAULT_CHUNK = (10 * MIB) / PAGE;
const dmaBits = 32;

const object = { bytes: BYTES, chunk: CHUNK };

test.override({ stateless: true });

describe('an object of four times the RAM', { concurrent: true }, () => {
  test.override({ machine: 'giant', dmaBits, vramMiB: 4096, backend: 'shmem' });

  // Minutes, and 4 GiB of the host's memory and disk: DGPU_RIG_GIANT=1 dgpu-rig run evict --filter 'four times'
  test.runIf(process.env['DGPU_RIG_GIANT'] === '1')(
    'leaves VRAM for swap and returns',
    async ({ guest, gpu, backend, run, record }) => {
      await gpu.load({ backend });
      const before = await takeStock(guest);
      const { report, witnesses } = await run('evict', { from: 'vram', bytes: 4 * GIB }, evictReport);
      Object.assign(record.metrics, { peakPages: report.peakPages, outMs: report.outMs, backMs: report.backMs });
      expect([...contentComplaints(report, 4 * GIB), ...dmaComplaints(witnesses, dmaBits)], report.firstError).toEqual(
        [],
      );
      // What did not fit into RAM was in swap, and never was more than a chunk held.
      expect(report.pswpout).toBeGreaterThan((3 * GIB) / PAGE);
      expect(report.peakPages).toBeGreaterThan(0);
      expect(report.peakPages).toBeLessThanOrEqual(DEFAULT_CHUNK);
      expect(stockComplaints(before, await takeStock(guest), 2)).toEqual([]);
    },
  );
});

describe('chunks', { concurrent: true }, () => {
  test.override({ machine: 'tiers', dmaBits, backend: 'shmem' });

  test.for(['cached', 'wc'])(
    'stopping after each of them, %s',
    async (caching, { guest, gpu, backend, flavour, run }) => {
      await gpu.load({ backend });
      const before = await takeStock(guest);
      const { report, witnesses } = await run('evict', { ...object, from: 'pages', caching }, evictReport);
      expect([...contentComplaints(report, BYTES), ...dmaComplaints(witnesses, dmaBits)], report.firstError).toEqual(
        [],
      );
      // An eviction that is refused to tell what it has done may have been of a chunk more.
      if (flavour !== 'failslab') {
        expect(report).toMatchObject({ returns: CHUNKS, chunks: (CHUNKS * (CHUNKS + 1)) / 2 });
      }
      expect(stockComplaints(before, await takeStock(guest), 2)).toEqual([]);
    },
  );

  test('the device fails at each of them, on the way out and back', async ({ guest, gpu, backend, run }) => {
    await gpu.load({ backend });
    await gpu.inject(...failAtEach(CHUNKS));
    const { report } = await run('evict', { ...object, from: 'vram' }, evictReport);
    expect(contentComplaints(report, BYTES), report.firstError).toEqual([]);
    expect(report.failedMoves).toBe(CHUNKS);
    expect(await gpu.pendingFailures()).toEqual([]);
    // A move that fails has moved nothing.
    const stats = await guest.read('/sys/kernel/debug/dri/128/stats');
    expect(stats).toContain(`from_vram_bytes: ${String(BYTES)}\n`);
    expect(Number(/^to_vram_bytes: (\d+)$/m.exec(stats)?.[1])).toBeGreaterThanOrEqual(BYTES);
  });

  test('signals; and a move holds no more than a chunk', async ({ guest, gpu, backend, run }) => {
    await gpu.load({ backend });
    const before = await takeStock(guest);
    const { report, witnesses } = await run('evict', { ...object, from: 'vram', signals: 'yes' }, evictReport);
    expect([...contentComplaints(report, BYTES), ...dmaComplaints(witnesses, dmaBits)], report.firstError).toEqual([]);
    expect(report.interruptedMoves).toBeGreaterThan(0);
    expect(report.peakPages).toBeGreaterThan(0);
    expect(report.peakPages).toBeLessThanOrEqual(CHUNK);
    expect(stockComplaints(before, await takeStock(guest), 2)).toEqual([]);
  });

  test('control: without chunks, a move holds the whole object', async ({ gpu, backend, run }) => {
    await gpu.load({ backend });
    const { report } = await run('evict', { ...object, chunk: BYTES / PAGE, from: 'vram' }, evictReport);
    expect(contentComplaints(report, BYTES), report.firstError).toEqual([]);
    expect(report.peakPages).toBe(BYTES / PAGE);
  });
});

/** What the engine does first: to fill the new object, 4 MiB at a time, and a fence. */
const FIRST = BYTES / (4 * MIB) + 1;

/**
 * The k-th attempt fails in chunk k, after k - 1 of two commands each, a copy and a fence. What then fails has been
 * started, and counts, too.
 */
function failAtEach(chunks: number): EdgpuFailure[] {
  const attempts = Array.from({ length: chunks }, (_, attempt) => attempt + 1);
  return attempts.map((attempt) => ({ kind: 'error', engine: 0, at: FIRST + attempt ** 2 }));
}
