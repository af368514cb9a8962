/**
 * Memory within the device's reach, and all of it: objects fill what is free below the limit, without one page being
 * swapped out or bounced, without the device ever asking for an address above it, and in use by others only as long as
 * those can't be moved. Taking memory offline ends, whatever is in it.
 */
import { describe, expect, inject } from 'vitest';
import { contentComplaints, dmaComplaints } from '../testbed/witnesses/dma-witnesses.ts';
import { testedCases } from '../plan/tested-cases.ts';
import { test } from '../testbed/fixtures.ts';
import { emptyBlocks, OFFLINE_REFUSED, putOnline, takeOffline } from '../testbed/guest/memory-blocks.ts';
import { fillable } from '../testbed/life/flavour-scale.ts';
import { hasUnreachableRam, PAGE_SIZE, reachableFreeBytes } from '../testbed/guest/proc-files.ts';
import { dmaReport, memoryAbove, reachComplaints } from '../testbed/witnesses/reach.ts';

const MIB = 2 ** 20;
const OBJECT = 4 * MIB;
/** Enough that page cache given up first can't make room for it. */
const SURPLUS = 64 * MIB;

/**
 * Of what is free and within reach when the test begins. The rest is what objects need beside their pages (the arrays
 * of those, page tables), and what the kernel keeps free in each zone before it reclaims (its low watermark, 0.4 %).
 */
const share = fillable(0.95);

const wholeObjects = (bytes: number): number => Math.floor(bytes / OBJECT) * OBJECT;

const { dmaBits: masks } = inject('rig').selection;
const CACHINGS = ['cached', 'wc', 'uc'] as const;
const everyPair = masks.flatMap((dmaBits) => CACHINGS.map((caching) => [dmaBits, caching] as const));
/** In a brief run each mask once, and each caching. */
const pairs = testedCases(
  everyPair,
  ([dmaBits, caching]) => masks.indexOf(dmaBits) % CACHINGS.length === CACHINGS.indexOf(caching),
);

test.override({ stateless: true });

describe.for(pairs)('dma-bits %i, %s', { concurrent: true }, ([dmaBits, caching]) => {
  test.override({ dmaBits });

  test('all that is within reach can be had at once', async ({ guest, gpu, run, skip }) => {
    skip(await guest.translatesDma(), 'an IOMMU brings all memory within reach');
    await gpu.load({ backend: 'shmem' });
    const zones = await guest.zones();
    const bytes = wholeObjects(reachableFreeBytes(zones, dmaBits, await guest.ram()) * share);
    const reach = await run('dma', { bytes, 'object-size': OBJECT, caching }, dmaReport);
    expect(reachComplaints(reach, zones, dmaBits), JSON.stringify(reach)).toEqual([]);
    expect(dmaComplaints(reach.witnesses, dmaBits)).toEqual([]);
  });
});

describe('straddle, dma-bits 40', { concurrent: true }, () => {
  test.override({ machine: 'straddle', dmaBits: 40 });

  test('on a node that lies on both sides, too', async ({ guest, gpu, run }) => {
    await gpu.load({ backend: 'shmem' });
    const zones = await guest.zones();
    const bytes = wholeObjects(reachableFreeBytes(zones, 40, await guest.ram()) * share);
    const reach = await run('dma', { bytes, 'object-size': OBJECT, caching: 'wc' }, dmaReport);
    expect(reachComplaints(reach, zones, 40), JSON.stringify(reach)).toEqual([]);
    expect(dmaComplaints(reach.witnesses, 40)).toEqual([]);
  });
});

describe('straddle, dma-bits 40', { concurrent: true }, () => {
  test.override({ machine: 'straddle', dmaBits: 40 });

  test('where page cache fills that node, it goes before lower zones are used', async ({ guest, gpu, run, record }) => {
    await gpu.load({ backend: 'shmem' });
    // More than there is memory.
    await guest.run('dd if=/dev/vda of=/dev/null bs=1M count=1700 2> /dev/null');
    const before = await guest.vmstat();
    const bytes = 256 * MIB;
    const { report, witnesses } = await run('dma', { bytes, 'object-size': OBJECT }, dmaReport);
    const after = await guest.vmstat();
    const fallback = (after.get('shmem_limit_fallback') ?? NaN) - (before.get('shmem_limit_fallback') ?? NaN);
    record.metrics['fallback'] = fallback;
    expect(contentComplaints(report, bytes), report.firstError).toEqual([]);
    expect(dmaComplaints(witnesses, 40)).toEqual([]);
    expect(fallback).toBeLessThanOrEqual(bytes / PAGE_SIZE / 100);
    expect(witnesses.pswpout).toBe(0);
  });
});

/** On an idle host a block takes a second or two. */
const OFFLINE_SECONDS = 20;

describe('memory that goes offline', { concurrent: true }, () => {
  test.override({ machine: 'tiers', provokes: [OFFLINE_REFUSED] });

  test('where slabs of a page are, it is refused', async ({ guest }) => {
    // Hard links need such slabs and no others; what else they need, files have had before.
    const links = '/run/links';
    await guest.run(`mkdir -p ${links} && mount -t tmpfs -o nr_inodes=0 links ${links} && mkdir ${links}/a`);
    await guest.run(`cd ${links}/a && for i in $(seq 4000); do : > $i; done`);
    await guest.run('for pid in $(pidof dropbear); do taskset -p 1 $pid; done');
    const [block] = await emptyBlocks(guest, 1);
    if (block === undefined) throw new Error('Node 1 has one block of memory.');
    // Then nothing else has room on that node.
    await guest.run(`taskset 2 dd if=/dev/zero of=${links}/fill bs=1M count=128 2> /dev/null`);
    await putOnline(guest, block);
    await guest.run(`taskset 2 cp -al ${links}/a ${links}/b`);
    expect(await takeOffline(guest, block, OFFLINE_SECONDS)).toContain('Device or resource busy');
  });
});

const iommus = [
  ['iommu-intel', 'cached'],
  ['iommu-amd', 'wc'],
  ['iommu-virtio', 'uc'],
] as const;

describe.for(iommus)('%s, dma-bits 40, %s', { concurrent: true }, ([machine, caching]) => {
  test.override({ machine, dmaBits: 40 });

  test('an IOMMU brings the memory above the limit within reach', async ({ guest, gpu, run }) => {
    await gpu.load({ backend: 'shmem' });
    const zones = await guest.zones();
    const bytes = wholeObjects(reachableFreeBytes(zones, 40) + 2 * SURPLUS);
    const { report, witnesses } = await run('dma', { bytes, 'object-size': OBJECT, caching }, dmaReport);
    // Some is swapped all the same: without a limit it is the kernel's own placement, which reclaims on each node that
    // gets full.
    expect(contentComplaints(report, bytes), report.firstError).toEqual([]);
    expect(memoryAbove(report, zones, 40)).toBeGreaterThan(report.othersShmem);
    expect(dmaComplaints(witnesses, 40)).toEqual([]);
  });
});

describe('the limit', { concurrent: true }, () => {
  test.override({ machine: 'tiers', dmaBits: 40 });

  test('may change from one load of the driver to the next', async ({ gpu, run }) => {
    const loads = [{}, { device: 32 }, { device: 48 }, { driver: 32 }] as { device?: number; driver?: number }[];
    for (const { device, driver } of loads) {
      if (device !== undefined) await gpu.setDmaBits(device);
      await gpu.resetStatistics();
      await gpu.load({ backend: 'shmem', ...(driver === undefined ? {} : { dmaBits: driver }) });
      const { report, witnesses } = await run('dma', { bytes: 16 * OBJECT, 'object-size': OBJECT }, dmaReport);
      expect(report.ok, report.firstError).toBe(true);
      expect(dmaComplaints(witnesses, driver ?? device ?? 40)).toEqual([]);
      await gpu.unload();
    }
  });

  test("others' memory moves up before anything is swapped", async ({ guest, gpu, run, record }) => {
    await gpu.setDmaBits(32);
    await gpu.load({ backend: 'shmem' });
    const zones = await guest.zones();
    const bytes = wholeObjects(reachableFreeBytes(zones, 32) * share);
    const before = await guest.vmstat();
    const reach = await run('dma', { bytes, 'object-size': OBJECT, neighbour: wholeObjects(bytes / 2) }, dmaReport);
    const movedUp =
      ((await guest.vmstat()).get('shmem_limit_migrate_up') ?? 0) - (before.get('shmem_limit_migrate_up') ?? 0);
    record.metrics['movedUp'] = movedUp;
    expect(reachComplaints(reach, zones, 32), JSON.stringify(reach)).toEqual([]);
    expect(movedUp).toBeGreaterThan(0);
  });

  test('control: with none in the driver, the device faults', async ({ guest, gpu, run }) => {
    await gpu.load({ backend: 'shmem', dmaBits: 64 });
    const zones = await guest.zones();
    expect(hasUnreachableRam(zones, 40)).toBe(true);
    const bytes = wholeObjects(reachableFreeBytes(zones, 40) + 2 * SURPLUS);
    const reach = await run('dma', { bytes, 'object-size': OBJECT }, dmaReport);
    expect(dmaComplaints(reach.witnesses, 40).sort()).toEqual(['address-above-limit', 'device-fault']);
    const complaints = reachComplaints(reach, zones, 40);
    expect(complaints, JSON.stringify(reach)).toEqual(expect.arrayContaining(['wrong-content', 'memory-above-limit']));
  });

  test('control: what TTM has upstream lets go of objects, for it gets no memory above 4 GiB', async ({
    guest,
    gpu,
    run,
  }) => {
    await gpu.load({ backend: 'legacy' });
    const zones = await guest.zones();
    // About half of what is within reach, and more than is free below 4 GiB.
    const bytes = wholeObjects(reachableFreeBytes(zones, 32) + SURPLUS);
    const reach = await run('dma', { bytes, 'object-size': OBJECT }, dmaReport);
    // Copies of theirs may fit in the memory that the device can't reach: how much of them is swapped is up to the
    // kernel.
    expect(reachComplaints(reach, zones, 40)).toContain('not-all-resident');
  });

  test('control: more than there is can only be had by swapping', async ({ guest, gpu, run }) => {
    await gpu.setDmaBits(32);
    await gpu.load({ backend: 'shmem' });
    const zones = await guest.zones();
    const bytes = wholeObjects(reachableFreeBytes(zones, 32) + SURPLUS);
    const reach = await run('dma', { bytes, 'object-size': OBJECT }, dmaReport);
    expect(reachComplaints(reach, zones, 32).sort()).toEqual(['not-all-resident', 'swapped']);
  });
});
