/**
 * GEM without TTM: objects of DRM's GEM shmem helper, which drivers for GPUs without VRAM have, keep within the
 * device's reach as well, in memory, on the way to swap and back, without bouncing.
 */
import { describe, expect } from 'vitest';
import { contentComplaints, dmaComplaints } from '../testbed/witnesses/dma-witnesses.ts';
import { test } from '../testbed/fixtures.ts';
import { fillable } from '../testbed/life/flavour-scale.ts';
import { PAGE_SIZE, reachableFreeBytes } from '../testbed/guest/proc-files.ts';
import { dmaReport, memoryAbove, movedReport, nodesAbove, reachComplaints } from '../testbed/witnesses/reach.ts';

const MIB = 2 ** 20;
const OBJECT = 4 * MIB;
/** How much more than what is free, so that it has to be swapped. */
const SURPLUS = 64 * MIB;
/**
 * As much as there is of one node's memory above 4 GiB and within 40 bits. Whatever the kernel hands out first, left
 * alone it then hands out what the device does not reach.
 */
const NEIGHBOUR = 512 * MIB;
const FEW = 64 * MIB;
/** What a program may do with pages that are its own as much as the driver's; see `dma` in images/stress. */
const MOVED = { bytes: FEW, 'object-size': OBJECT, unmap: 'yes', move: 'yes' };
/** Of what is free within reach, as in suite `dma`: the rest is what objects need beside their pages. */
const share = fillable(0.95);

const wholeObjects = (bytes: number): number => Math.floor(bytes / OBJECT) * OBJECT;

test.override({ stateless: true, machine: 'tiers' });

describe('tiers, dma-bits 40', { concurrent: true }, () => {
  test.override({ dmaBits: 40 });

  test('objects that are mapped have all that is within reach, and nothing else', async ({ guest, gpu, run }) => {
    await gpu.load({ backend: 'gem' });
    const zones = await guest.zones();
    const bytes = wholeObjects(reachableFreeBytes(zones, 40) * share);
    const reach = await run('dma', { bytes, 'object-size': OBJECT }, dmaReport);
    expect(reachComplaints(reach, zones, 40), JSON.stringify(reach)).toEqual([]);
    expect(dmaComplaints(reach.witnesses, 40)).toEqual([]);
  });

  test('a program moves their pages between nodes and has them huge, within reach', async ({ guest, gpu, run }) => {
    await gpu.load({ backend: 'gem', gemExportFile: true });
    const above = nodesAbove(await guest.zones(), 40).map(String);
    const { report, witnesses } = await run('dma', MOVED, movedReport);
    expect(contentComplaints(report, FEW), report.firstError).toEqual([]);
    expect(dmaComplaints(witnesses, 40), JSON.stringify(witnesses)).toEqual([]);
    expect(above.map((node) => report.pagesOnNode[node])).toEqual(above.map(() => 0));
    const within = Object.entries(report.pagesOnNode).filter(([node]) => !above.includes(node));
    expect(within.length, 'nodes within reach').toBeGreaterThan(1);
    for (const [node, pages] of within) expect(pages, `pages on node ${node}`).toBe(FEW / PAGE_SIZE);
    expect(report.collapsed, 'objects that are huge').toBeGreaterThan(0);
  });
});

describe('tiers, dma-bits 32', { concurrent: true }, () => {
  test.override({ dmaBits: 32 });

  test('objects that nobody holds go to swap, and come back within reach', async ({ guest, gpu, run }) => {
    await gpu.load({ backend: 'gem' });
    const zones = await guest.zones();
    const bytes = wholeObjects(reachableFreeBytes(zones, 32) + SURPLUS);
    const { report, witnesses } = await run('dma', { bytes, 'object-size': OBJECT, unmap: 'yes' }, dmaReport);
    expect(contentComplaints(report, bytes), report.firstError).toEqual([]);
    expect(dmaComplaints(witnesses, 32), JSON.stringify(witnesses)).toEqual([]);
    expect(memoryAbove(report, zones, 32)).toBeLessThanOrEqual(report.othersShmem);
    expect(report.resident).toBeLessThan(report.objects);
  });
});

describe('straddle, dma-bits 40', { concurrent: true }, () => {
  test.override({ machine: 'straddle', dmaBits: 40 });
  const few = { bytes: FEW, 'object-size': MIB, neighbour: NEIGHBOUR };

  test('on a node that lies on both sides, objects are on the near one', async ({ gpu, run }) => {
    await gpu.load({ backend: 'gem' });
    const { report, witnesses } = await run('dma', few, dmaReport);
    expect(contentComplaints(report, FEW), report.firstError).toEqual([]);
    expect(dmaComplaints(witnesses, 40), JSON.stringify(witnesses)).toEqual([]);
  });

  test('what a program asks to have huge does not move to the far one', async ({ gpu, run }) => {
    await gpu.load({ backend: 'gem', gemExportFile: true });
    const { report, witnesses } = await run('dma', { ...MOVED, neighbour: NEIGHBOUR }, movedReport);
    expect(contentComplaints(report, FEW), report.firstError).toEqual([]);
    expect(dmaComplaints(witnesses, 40), JSON.stringify(witnesses)).toEqual([]);
  });

  test('control: without the limit, as upstream, some of them bounce there', async ({ gpu, run }) => {
    await gpu.load({ backend: 'gem', gemLimit: false });
    const { report, witnesses } = await run('dma', few, dmaReport);
    expect(contentComplaints(report, FEW), report.firstError).toEqual([]);
    expect(dmaComplaints(witnesses, 40), JSON.stringify(witnesses)).toEqual(['bounced']);
  });
});

describe('controls', { concurrent: true }, () => {
  test.override({ dmaBits: 32 });

  test('control: without the limit, as upstream, objects bounce', async ({ guest, gpu, run }) => {
    await gpu.load({ backend: 'gem', gemLimit: false });
    const zones = await guest.zones();
    const bytes = wholeObjects(reachableFreeBytes(zones, 32) + SURPLUS);
    // Small ones, for which there is room to bounce in: a large one would fail instead.
    const { report, witnesses } = await run('dma', { bytes, 'object-size': MIB, unmap: 'yes' }, dmaReport);
    expect(contentComplaints(report, bytes), report.firstError).toEqual([]);
    expect(dmaComplaints(witnesses, 32), JSON.stringify(witnesses)).toEqual(['bounced']);
    expect(memoryAbove(report, zones, 32)).toBeGreaterThan(report.othersShmem);
  });

  test('control: with another mask than the device has, the device faults', async ({ guest, gpu, run }) => {
    await gpu.load({ backend: 'gem', dmaBits: 64 });
    const bytes = wholeObjects(reachableFreeBytes(await guest.zones(), 32) + SURPLUS);
    const { report, witnesses } = await run('dma', { bytes, 'object-size': OBJECT, unmap: 'yes' }, dmaReport);
    expect(dmaComplaints(witnesses, 32).sort()).toEqual(['address-above-limit', 'device-fault']);
    expect(contentComplaints(report, bytes)).toEqual(['wrong-content']);
  });
});
