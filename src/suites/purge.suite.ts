/**
 * Objects that nobody needs: under memory pressure they are discarded before anything is swapped, which pages were lost
 * is known, and the driver can refill just these.
 */
import { describe, expect } from 'vitest';
import { test } from '../testbed/fixtures.ts';
import { stockComplaints, takeStock } from '../testbed/guest/memory-stock.ts';
import { purgeReport } from '../testbed/programs/stress-program.ts';

const MIB = 2 ** 20;
/**
 * Pages of others that may be swapped while there are some that nobody needs. In its first pass reclaim scans a 4096th
 * of each LRU list before it asks any shrinker (DEF_PRIORITY), and then has enough; but not less than a batch
 * (SWAP_CLUSTER_MAX) where it does scan.
 */
const OF_OTHERS = 32;
const objects = { 'object-size': 16 * MIB };

test.override({ stateless: true });

describe('purgeable objects', { concurrent: true }, () => {
  test.override({ machine: 'tight', dmaBits: 32, backend: 'shmem' });

  test.for(['no', 'yes'])(
    'go before anything is swapped; recreated: %s',
    async (recreate, { guest, gpu, backend, run }) => {
      await gpu.load({ backend });
      const before = await takeStock(guest);
      const { report } = await run('purge', { ...objects, recreate }, purgeReport);
      expect(report, report.firstError).toMatchObject({ ok: true, mismatches: 0, neededWhole: 4, pagesInSwap: 0 });
      expect(report.pagesLost).toBeGreaterThan(0);
      expect(report.pswpout).toBeLessThanOrEqual(OF_OTHERS);
      expect(stockComplaints(before, await takeStock(guest), 8)).toEqual([]);
    },
  );

  test.for(['no', 'yes'])(
    'used while not needed: has what it is to have, and keeps what is written; recreated: %s',
    async (recreate, { gpu, backend, run }) => {
      await gpu.load({ backend });
      const { report } = await run('purge', { 'object-size': MIB, use: 'yes', recreate }, purgeReport);
      expect(report, report.firstError).toMatchObject({ ok: true, mismatches: 0 });
    },
  );

  test('control: the same pressure takes and swaps what is needed', async ({ gpu, backend, run }) => {
    await gpu.load({ backend });
    const { report } = await run('purge', { ...objects, keep: 'yes' }, purgeReport);
    expect(report, report.firstError).toMatchObject({ ok: true, mismatches: 0, pagesLost: 0 });
    expect(report.neededWhole).toBeLessThan(4);
    expect(report.pagesInSwap).toBeGreaterThan(0);
  });
});
