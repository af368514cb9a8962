/**
 * Objects worth up to three times the RAM: whoever uses them sees their content and no failure, and nobody is killed to
 * make room, whatever the swap is (a disk, or RAM that compresses) and whoever else wants memory. Afterwards, all of it
 * comes back. On machines of its own; `--machine` and `--dma-bits` play no part.
 */
import { describe, expect } from 'vitest';
import { testedCases } from '../plan/tested-cases.ts';
import {
  contentComplaints,
  dmaComplaints,
  swapComplaints,
  type DmaWitnesses,
} from '../testbed/witnesses/dma-witnesses.ts';
import type { EdgpuFailure } from '../testbed/device/gpu.ts';
import { test } from '../testbed/fixtures.ts';
import type { Guest } from '../testbed/guest/guest.ts';
import { stockComplaints, takeStock } from '../testbed/guest/memory-stock.ts';
import { PAGE_SIZE, reachableFreeBytes } from '../testbed/guest/proc-files.ts';
import { cycleReport, hogReport, smokeReport, type SmokeReport } from '../testbed/programs/stress-program.ts';

const MIB = 2 ** 20;
const OBJECT_SIZE = 4 * MIB;
const STAGING = 8 * MIB;
const RAM = 512 * MIB;
const BYTES = 3 * RAM;
/** Enough that every object goes to swap at least once: they are gone through in a circle. */
const FEWER_BYTES = 1.5 * RAM;
/** More than what is free and within reach. */
const SURPLUS = 64 * MIB;

const dmaBits = 32;

const kept = { bytes: BYTES, 'object-size': OBJECT_SIZE };

function complaints(report: SmokeReport, witnesses: DmaWitnesses, bytes: number): string[] {
  return [...contentComplaints(report, bytes), ...dmaComplaints(witnesses, dmaBits), ...swapComplaints(report)];
}

test.override({ stateless: true });

describe('swap on a disk', { concurrent: true }, () => {
  test.override({ machine: 'tight', dmaBits });

  // A brief run has cached objects with other programs beside them.
  const amounts = testedCases(
    [
      ['three times', BYTES, 'wc'],
      ['one and a half times', FEWER_BYTES, 'cached'],
    ] as const,
    ([, bytes]) => bytes === BYTES,
  );

  test.for(amounts)('%s the RAM', async ([, bytes, caching], { guest, gpu, backend, run }) => {
    await gpu.load({ backend });
    const before = await takeStock(guest);
    const swapIns = await countSwapIns(guest);
    const { report, witnesses } = await run('smoke', { ...kept, bytes, caching }, smokeReport);
    expect(complaints(report, witnesses, bytes), report.firstError).toEqual([]);
    expect(stockComplaints(before, await takeStock(guest), report.objects)).toEqual([]);
    // The control of what is claimed of zram with memory out of reach.
    expect((await swapIns()).readAhead).toBeGreaterThan(0);
  });

  test('one and a half times the RAM, while other programs want theirs', async ({ guest, gpu, backend, run }) => {
    await gpu.load({ backend });
    const before = await takeStock(guest);
    const [{ report, witnesses }, { report: hog }] = await Promise.all([
      run('smoke', { ...kept, bytes: FEWER_BYTES }, smokeReport).finally(() => guest.exec('killall -TERM hog')),
      run('hog', { bytes: RAM / 2 }, hogReport),
    ]);
    expect(complaints(report, witnesses, FEWER_BYTES), report.firstError).toEqual([]);
    expect(hog).toMatchObject({ ok: true, mismatches: 0 });
    expect(stockComplaints(before, await takeStock(guest), report.objects)).toEqual([]);
  });

  test('control: one bit that changes while objects are in swap is found', async ({ gpu, backend, run }) => {
    await gpu.load({ backend });
    const { report } = await run('smoke', { ...kept, bytes: RAM, flip: 1 }, smokeReport);
    expect(contentComplaints(report, RAM)).toEqual(['wrong-content']);
    // By the device's checksum and by the CPU.
    expect(report.mismatches).toBe(2);
  });

  test('control: one bit that the device gets wrong is found', async ({ gpu, backend, run }) => {
    await gpu.load({ backend });
    await gpu.inject(...flipsInStaging());
    const { report } = await run('smoke', { bytes: RAM / 8, 'object-size': STAGING }, smokeReport);
    // By the device's checksums of the copy in VRAM and of the object, and by the CPU.
    expect(report.mismatches).toBe(3);
    expect(await gpu.statistics()).toMatchObject({ injected: 32, faults: 0 });
  });

  test('control: objects that nobody has freed yet are seen', async ({ guest, gpu, backend }) => {
    await gpu.load({ backend });
    const before = await takeStock(guest);
    const held = `edgpu-stress objects --count 16 --object-size ${String(OBJECT_SIZE)} --seed 1 --hold yes`;
    await guest.runInBackground(held, { until: 'holding' });
    expect(stockComplaints(before, await takeStock(guest), 16)).toEqual([expect.stringMatching(/^shmem \+/)]);
  });
});

describe('swap on a disk', { concurrent: true }, () => {
  test.override({ machine: 'tight', dmaBits, provokes: ['oom'] });

  test('control: a kill for want of memory is seen', async ({ guest, vm }) => {
    await guest.run('swapoff /dev/vda');
    const before = await takeStock(guest);
    await guest.exec(`edgpu-stress hog --bytes ${String(RAM)} --seed 1`);
    expect(stockComplaints(before, await takeStock(guest), 0)).toEqual(['oom-kill +1']);
    await vm.hearKernelOut();
    expect(vm.kernelReports.filter(({ severity }) => severity === 'bug').map(({ kind }) => kind)).toEqual(['oom']);
  });
});

describe('swap into compressed RAM', { concurrent: true }, () => {
  test.override({ machine: 'tight-zram', dmaBits });

  // A brief run has three times the RAM on a disk.
  const amounts = testedCases(
    [
      ['three times', 3],
      ['one and a half times', 1.5],
    ] as const,
    ([, times]) => times < 3,
  );

  test.for(amounts)('%s the RAM', async ([, times], { guest, gpu, backend, flavour, run }) => {
    await gpu.load({ backend });
    const before = await takeStock(guest);
    const bytes = wholeObjects(times * (flavour === 'plain' ? RAM : await availableBytes(guest)));
    const { report, witnesses } = await run('smoke', { ...kept, bytes, pattern: 'compressible' }, smokeReport);
    expect(complaints(report, witnesses, bytes), report.firstError).toEqual([]);
    expect(stockComplaints(before, await takeStock(guest), report.objects)).toEqual([]);
  });
});

describe('swap into compressed RAM', { concurrent: true }, () => {
  test.override({ machine: 'tight-zram', dmaBits });

  test('large folios come back as large folios, where all memory is within reach', async ({ guest, gpu, run }) => {
    await gpu.load({ backend: 'shmem', huge: true });
    const bytes = FEWER_BYTES;
    const before = await largeFolios(guest);
    const { report, witnesses } = await run('smoke', { ...kept, bytes, pattern: 'compressible' }, smokeReport);
    const { out, back } = await largeFolios(guest);
    expect(complaints(report, witnesses, bytes), report.firstError).toEqual([]);
    expect(out).toBeGreaterThan(before.out);
    expect(back).toBeGreaterThan(before.back);
  });
});

/** More is out of reach with 32 bits, and nothing else is different. */
const reaches = testedCases([32, 40], (reach) => reach === 40);

describe.for(reaches)('swap into compressed RAM, of which a part is out of reach, dma-bits %i', (reach) => {
  test.override({ machine: 'tiers-zram', dmaBits: reach });

  test(
    'what is read to where it may not stay is replaced; control: nothing is where all may stay',
    { concurrent: true },
    async ({ guest, gpu, backend, run, record }) => {
      await gpu.load({ backend });
      const before = await takeStock(guest);
      const bytes = wholeObjects(reachableFreeBytes(await guest.zones(), reach) + SURPLUS);
      const swapIns = await countSwapIns(guest);
      const { report, witnesses } = await run('smoke', { ...kept, bytes, pattern: 'compressible' }, smokeReport);
      const { read, readAhead, replaced } = await swapIns();
      Object.assign(record.metrics, { readAhead, replaced });
      expect(
        [
          ...contentComplaints(report, bytes),
          ...dmaComplaints(witnesses, reach),
          ...swapComplaints(report),
          ...stockComplaints(before, await takeStock(guest), report.objects),
        ],
        report.firstError,
      ).toEqual([]);
      // One page at a time, of a device that is done when it returns (SWP_SYNCHRONOUS_IO).
      expect([read > 0, readAhead]).toEqual([true, 0]);
      expect(replaced).toBeGreaterThan(0);
      // Swap is empty by now. What was replaced by a page of another node left the swap cache of its own.
      const swapCache = Math.max(...(await guest.nodeMeminfo('SwapCached')));
      Object.assign(record.metrics, { swapCache });
      expect(swapCache).toBeGreaterThanOrEqual(0);
      expect(swapCache).toBeLessThan((replaced * PAGE_SIZE) / 4);
      await gpu.unload();

      await gpu.setDmaBits(52);
      await gpu.load({ backend });
      const unlimited = await countSwapIns(guest);
      const control = await run('smoke', { ...kept, bytes: 32 * OBJECT_SIZE, pattern: 'compressible' }, smokeReport);
      expect([...contentComplaints(control.report, 32 * OBJECT_SIZE), ...swapComplaints(control.report)]).toEqual([]);
      expect(await unlimited()).toMatchObject({ readAhead: 0, replaced: 0 });
    },
  );
});

/** Swap reads along what is of others: not in a brief run. */
describe.for(testedCases(['swap on a disk, straddle, dma-bits 40'], () => false))('%s', { concurrent: true }, () => {
  test.override({ machine: 'straddle', dmaBits: 40 });

  test('what is read is not put into lower zones, which are for those who need them', async ({
    guest,
    gpu,
    run,
    record,
  }) => {
    await gpu.load({ backend: 'shmem' });
    const before = await guest.vmstat();
    const { report, witnesses } = await run('cycle', { bytes: RAM / 2, 'object-size': OBJECT_SIZE }, cycleReport);
    const after = await guest.vmstat();
    const lower = (after.get('pgalloc_dma32') ?? NaN) - (before.get('pgalloc_dma32') ?? NaN);
    record.metrics['lower'] = lower;
    const read = report.phases.use.pswpin;
    expect(report.ok, report.firstError).toBe(true);
    expect(dmaComplaints(witnesses, 40)).toEqual([]);
    expect(read).toBeGreaterThan(RAM / 2 / PAGE_SIZE / 2);
    expect(lower).toBeLessThanOrEqual(read / 100);
  });
});

interface SwapIns {
  /** Pages that were read from swap. */
  readonly read: number;
  /** Those of them that nobody had asked for: from a device that is done when it returns, none are. */
  readonly readAhead: number;
  /** Pages that were copied, because what was read had to be somewhere else. */
  readonly replaced: number;
}

/** Begins to count how the guest's memory comes back from swap. */
async function countSwapIns(guest: Guest): Promise<() => Promise<SwapIns>> {
  const before = await guest.vmstat();
  return async () => {
    const after = await guest.vmstat();
    const grown = (name: string): number => (after.get(name) ?? NaN) - (before.get(name) ?? NaN);
    return { read: grown('pswpin'), readAhead: grown('swap_ra'), replaced: grown('shmem_limit_replace') };
  };
}

/** How many large folios of any size have gone to swap and come back as such. */
async function largeFolios(guest: Guest): Promise<{ out: number; back: number }> {
  const sizes = '/sys/kernel/mm/transparent_hugepage/hugepages-*/stats';
  const sum = async (name: string): Promise<number> =>
    (await guest.run(`cat ${sizes}/${name}`)).split('\n').reduce((total, count) => total + Number(count), 0);
  return { out: await sum('swpout'), back: await sum('swpin') };
}

function wholeObjects(bytes: number): number {
  return Math.floor(bytes / OBJECT_SIZE) * OBJECT_SIZE;
}

/**
 * Swap is RAM here, and objects worth three times all of it fill nearly all of it, compressed: of that, a detector like
 * KASAN keeps a quarter for itself.
 */
async function availableBytes(guest: Guest): Promise<number> {
  return (await guest.meminfo()).get('MemAvailable') ?? NaN;
}

/** A bit in each part of VRAM that an object can be in, while the second object is there and nowhere else. */
function flipsInStaging(): EdgpuFailure[] {
  // Of that engine, the first commands are: checksum, fence, two for a copy to VRAM, two for a fill of where it came
  // from.
  const where = { engine: 1, at: 5 };
  return Array.from({ length: (256 * MIB) / STAGING }, (_, part) => ({
    kind: 'flip',
    offset: part * STAGING + MIB,
    ...where,
  }));
}
