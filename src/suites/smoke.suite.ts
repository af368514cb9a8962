/**
 * The main job, end to end, once per DMA mask: buffer objects worth more than the memory the device can reach are
 * written by CPU, moved by the device, swapped out and in, and read back by both. The controls prove that each oracle
 * can say no.
 */
import { describe, expect, inject } from 'vitest';
import { contentComplaints, dmaComplaints, swapComplaints } from '../testbed/witnesses/dma-witnesses.ts';
import { test } from '../testbed/fixtures.ts';
import { hasUnreachableRam, reachableFreeBytes } from '../testbed/guest/proc-files.ts';

const MIB = 2 ** 20;

/** How much more than what is free: enough that page cache given up first can't make room for it all. */
const SURPLUS = 64 * MIB;

const masks = inject('rig').selection.dmaBits.map((dmaBits) => ({ dmaBits }));

test.override({ stateless: true });

describe.for(masks)('dma-bits $dmaBits', { concurrent: true }, ({ dmaBits }) => {
  test.override({ dmaBits });

  test('keeps objects within reach, swaps them, gives them back intact', async ({
    guest,
    gpu,
    backend,
    stress,
    skip,
  }) => {
    skip(await guest.swapsIntoRam(), 'the patterns do not compress: zram makes no room for them');
    await gpu.load({ backend });
    const bytes = reachableFreeBytes(await guest.zones(), dmaBits) + SURPLUS;
    const { report, witnesses } = await stress(bytes);
    expect(contentComplaints(report, bytes), report.firstError).toEqual([]);
    expect(dmaComplaints(witnesses, dmaBits), JSON.stringify(witnesses)).toEqual([]);
    expect(swapComplaints(report), JSON.stringify(witnesses)).toEqual([]);
  });

  test('control: with no limit in the driver, the device faults', async ({ guest, gpu, backend, stress, skip }) => {
    const zones = await guest.zones();
    skip(!hasUnreachableRam(zones, dmaBits), 'this machine has no RAM beyond the limit');
    skip(await guest.translatesDma(), 'an IOMMU gives the device addresses within its limit');
    await gpu.load({ backend, dmaBits: 64 });
    const bytes = reachableFreeBytes(zones, dmaBits) + SURPLUS;
    const { report, witnesses } = await stress(bytes);
    expect(contentComplaints(report, bytes)).toEqual(['wrong-content']);
    expect(dmaComplaints(witnesses, dmaBits).sort()).toEqual(['address-above-limit', 'device-fault']);
  });
});

describe('bouncing', { concurrent: true }, () => {
  test.override({ dmaBits: 40, backend: 'legacy', kernelArgs: ['swiotlb=2048,force,track_hiwater'] });

  test('control: where the kernel is made to bounce, it is seen', async ({ guest, gpu, backend, stress, skip }) => {
    skip(await guest.translatesDma(), 'behind an IOMMU nothing bounces');
    await gpu.load({ backend });
    // The pool hands out pages of an object's size, and nothing above 256 KiB can be bounced: it would fail instead.
    const { witnesses } = await stress(2 * MIB, MIB / 16);
    expect(dmaComplaints(witnesses, 40)).toEqual(['bounced']);
  });
});
