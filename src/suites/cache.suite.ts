/**
 * One page, one memory type: while an object is write-combined or uncached, the kernel's own mapping of its pages is
 * so, too, and write-back again before anybody else gets them, wherever the object went in between.
 */
import { describe, expect } from 'vitest';
import { cacheComplaints, cacheReport, describeTypes, readCacheTypes } from '../testbed/witnesses/cache-witnesses.ts';
import { dmaComplaints } from '../testbed/witnesses/dma-witnesses.ts';
import { test } from '../testbed/fixtures.ts';
import type { MemoryType } from '../testbed/guest/page-tables.ts';

const MIB = 2 ** 20;
/**
 * Not large, for each page is a line; larger than what the kernel maps with one entry, so that it has to split those.
 */
const SHAPE = { objects: 3, 'object-size': 5 * MIB };
const BYTES = SHAPE.objects * SHAPE['object-size'];

const CACHINGS: [string, MemoryType][] = [
  ['cached', 'WB'],
  ['wc', 'WC'],
  ['uc', 'UC-'],
];

test.override({ stateless: true });

describe('page attributes', { concurrent: true }, () => {
  test.override({ dmaBits: 40 });

  test.for(CACHINGS)(
    '%s: both mappings agree, and nothing stays behind',
    async ([caching, type], { guest, gpu, run }) => {
      await gpu.load({ backend: 'shmem' });
      const { report, witnesses } = await run('cache', { ...SHAPE, caching }, cacheReport);
      expect(report.firstError).toBeUndefined();
      expect(report.bytesVerified).toBe(4 * BYTES);
      const types = await readCacheTypes(guest);
      expect(cacheComplaints(types, type, BYTES), describeTypes(types)).toEqual([]);
      expect(dmaComplaints(witnesses, 40)).toEqual([]);
    },
  );

  test('control: pages that stay write-combined, in the pool that TTM has upstream, are seen', async ({
    guest,
    gpu,
    run,
  }) => {
    await gpu.load({ backend: 'legacy' });
    await run('cache', { ...SHAPE, caching: 'wc' }, cacheReport);
    const types = await readCacheTypes(guest);
    const complaints = cacheComplaints(types, 'WC', BYTES);
    for (const stage of ['evicted', 'freed']) {
      expect(complaints, describeTypes(types)).toContain(`${stage}: not-restored`);
      expect(complaints, describeTypes(types)).toContain(`${stage}: page-not-restored`);
    }
  });
});
