/**
 * Objects in memory that is set aside for devices, a CMA area: under pressure its pages are copied out and given back
 * to it, which its own counters say, and another allocator can have them. On a machine of its own; `--machine` and
 * `--backend` play no part.
 */
import { describe, expect } from 'vitest';
import { contentComplaints, dmaComplaints } from '../testbed/witnesses/dma-witnesses.ts';
import { test } from '../testbed/fixtures.ts';
import { stockComplaints, takeStock } from '../testbed/guest/memory-stock.ts';
import { carveoutReport } from '../testbed/programs/stress-program.ts';

const MIB = 2 ** 20;
const PAGE = 4096;
const AREA = 128 * MIB;
const OBJECT_SIZE = 16 * MIB;
/** More than half of the area, which is what the other allocator wants. */
const BYTES = 96 * MIB;
const PAGES = BYTES / PAGE;
/** Of the driver, if nobody says otherwise: what a large object loses at a time. */
const CHUNK = (10 * MIB) / PAGE;
/** TTM_TT_SHMEM_COPY of the series: pages that are copied before their originals are given back. */
const COPIES = 256;
/** In pages, more than the CPUs of the machine keep to themselves when the kernel is asked how much shmem there is. */
const UNTOLD = 128;
const CHUNKS = Math.ceil(OBJECT_SIZE / PAGE / CHUNK);
const dmaBits = 32;

const objects = { bytes: BYTES, 'object-size': OBJECT_SIZE };

describe('memory set aside for devices', { concurrent: true }, () => {
  test.override({ machine: 'tight', dmaBits, backend: 'shmem', kernelArgs: [`cma=${String(AREA / MIB)}M`] });

  test.for(['cached', 'wc'])(
    'is given back chunk by chunk, is of use to others, and comes back; %s',
    async (caching, { guest, gpu, backend, run, record }) => {
      await gpu.load({ backend });
      const before = await takeStock(guest);
      const { report, witnesses } = await run('carveout', { ...objects, caching }, carveoutReport);
      expect([...contentComplaintsOf(report), ...dmaComplaints(witnesses, dmaBits)], report.firstError).toEqual([]);
      const { lent } = report;
      expect(lent).toEqual({ ...lent, filled: lent.before + PAGES, evicted: lent.before, back: lent.before + PAGES });
      expect(lent.after).toBe(lent.before);
      expect(report).toMatchObject({ areaPages: AREA / PAGE, otherWhenFilled: 0, otherWhenEvicted: 1 });
      // All but the first one, which went at once.
      expect(report.chunks).toBe((BYTES / OBJECT_SIZE - 1) * CHUNKS);
      record.metrics['extraPages'] = report.extraPages;
      expect(report.extraPages).toBeGreaterThan(COPIES / 4);
      expect(report.extraPages).toBeLessThanOrEqual(COPIES + UNTOLD);
      expect(stockComplaints(before, await takeStock(guest), BYTES / OBJECT_SIZE)).toEqual([]);
    },
  );

  test('is given back to reclaim', async ({ gpu, backend, run, record }) => {
    await gpu.load({ backend });
    const { report } = await run('carveout', { ...objects, evict: 'reclaim' }, carveoutReport);
    expect(contentComplaintsOf(report), report.firstError).toEqual([]);
    record.metrics['pagesGivenBack'] = report.lent.filled - report.lent.evicted;
    expect(report.lent.evicted).toBeLessThan(report.lent.filled);
    expect(report.lent).toMatchObject({ back: report.lent.filled, after: report.lent.before });
  });

  test('is enough for objects worth twice as much, in turn', async ({ gpu, backend, run }) => {
    await gpu.load({ backend });
    const bytes = 2 * AREA;
    const { report, witnesses } = await run('carveout', { ...objects, bytes, evict: 'no' }, carveoutReport);
    expect([...contentComplaints(report, bytes), ...dmaComplaints(witnesses, dmaBits)], report.firstError).toEqual([]);
    // The last ones are there, and never were there more than it has.
    expect(report.lent.filled).toBeGreaterThanOrEqual(OBJECT_SIZE / PAGE);
    expect(report.lent.filled).toBeLessThanOrEqual(AREA / PAGE);
    expect(report.lent.after).toBe(report.lent.before);
  });

  test('control: as long as objects keep it, nobody else gets it', async ({ gpu, backend, run }) => {
    await gpu.load({ backend });
    const { report } = await run('carveout', { ...objects, evict: 'no' }, carveoutReport);
    expect(contentComplaintsOf(report), report.firstError).toEqual([]);
    expect(report).toMatchObject({ otherWhenFilled: 0, otherWhenEvicted: 0 });
    expect(report.lent.evicted).toBe(report.lent.filled);
  });

  test('control: a bit that changes is found', async ({ gpu, backend, run }) => {
    await gpu.load({ backend });
    const { report } = await run('carveout', { ...objects, bytes: OBJECT_SIZE, lose: 'yes' }, carveoutReport);
    expect(report).toMatchObject({ ok: false, mismatches: 2 });
  });
});

function contentComplaintsOf(report: Parameters<typeof contentComplaints>[0]): string[] {
  return contentComplaints(report, BYTES);
}
