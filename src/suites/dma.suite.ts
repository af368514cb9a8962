/**
 * Memory within the device's reach, and all of it: objects fill what is free below the limit, without one page being
 * swapped out or bounced, without the device ever asking for an address above it, and in use by others only as long as
 * those can't be moved. Taking memory offline ends, whatever is in it.
 */
import { describe, expect, inject } from 'vitest';
import { contentComplaints, dmaComplaints } from '../testbed/witnesses/dma-witnesses.ts';
import { testedCases } from '../plan/tested-cases.ts';
import { test } from '../testbed/fixtures.ts';
import {
  blockState,
  emptyBlocks,
  OFFLINE_REFUSED,
  putOnline,
  takeOffline,
  type MemoryBlock,
} from '../testbed/guest/memory-blocks.ts';
import { fillable } from '../testbed/life/flavour-scale.ts';
import type { Gpu } from '../testbed/device/gpu.ts';
import type { Guest } from '../testbed/guest/guest.ts';
import { framesOfPages } from '../testbed/guest/object-frames.ts';
import { hasUnreachableRam, PAGE_SIZE, reachableFreeBytes } from '../testbed/guest/proc-files.ts';
import type { Sleeper, SleeperOptions } from '../testbed/programs/sleeper.ts';
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

/** One device has all that it reaches for itself, and swaps: not in a brief run. */
describe.for(testedCases(['straddle-pair, dma-bits 40 and 48'], () => false))('%s', { concurrent: true }, () => {
  test.override({ machine: 'straddle-pair', dmaBits: 40 });

  test('a device that goes on asking though it has all it reaches denies the other one nothing', async ({
    guest,
    gpu,
    gpu1,
    startSleeper,
    record,
  }) => {
    await gpu1.setDmaBits(48);
    await gpu.load({ backend: 'shmem' });
    const bytes = wholeObjects(reachableFreeBytes(await guest.zones(), 40, await guest.ram()) * share);
    const full = await startSleeper({ vram: 1, system: bytes / OBJECT, objectSize: OBJECT });
    const more = `edgpu-stress dma --bytes ${String(SURPLUS)} --object-size ${String(OBJECT)} --seed 1`;
    const again = `while [ ! -e /run/enough ] && ${more}; do echo again; done`;
    await guest.runInBackground(`(${again}; touch /run/ended)`, { until: 'again' });
    const other = await startSleeper({ unit: 1, vram: 1, system: 64, objectSize: OBJECT });
    const frames = await systemFrames(guest, gpu1);
    const lower = frames.filter((frame) => frame < 2 ** 32 / PAGE_SIZE).length;
    record.metrics['lower'] = lower;
    // Reclaim for the first device may let go of objects of the second one: shrinkers are not told for which zone.
    expect(frames.length).toBeGreaterThan((64 * OBJECT) / PAGE_SIZE / 2);
    expect(lower).toBeLessThanOrEqual(frames.length / 100);
    expect(beyond(frames, 48)).toEqual([]);
    await guest.run('touch /run/enough; until [ -e /run/ended ]; do sleep 0.1; done');
    for (const sleeper of [other, full]) expect(await sleeper.end()).toMatchObject({ ok: true });
  });
});

/** Programs fill a node, and swap nothing: not in a brief run. */
describe.for(testedCases(['huge pages of others'], () => false))('%s', { concurrent: true }, () => {
  test.override({ machine: 'tiers', dmaBits: 32 });

  test('that may not leave their node stay whole', async ({ guest, gpu, run, record }) => {
    await gpu.load({ backend: 'shmem' });
    await guest.run('swapoff /dev/vda && echo always > /sys/kernel/mm/transparent_hugepage/enabled');
    await makeCgroup(guest, 0, { mems: 0 });
    const free = reachableFreeBytes(await guest.zones(), 32);
    const hog = `edgpu-stress hog --bytes ${String(wholeObjects(free - SURPLUS))} --seed 1 --use once`;
    await guest.runInBackground(`sh -c 'echo 0 > ${cgroupOf(0)}/cgroup.procs && exec ${hog}'`, { until: 'holding' });
    const before = await guest.vmstat();
    await run('dma', { bytes: 2 * SURPLUS, 'object-size': OBJECT }, dmaReport);
    const after = await guest.vmstat();
    const grown = (name: string): number => (after.get(name) ?? NaN) - (before.get(name) ?? NaN);
    record.metrics['stayed'] = grown('thp_migration_fail');
    expect(grown('thp_migration_fail')).toBeGreaterThan(0);
    expect(grown('thp_split_page')).toBe(0);
  });
});

/** In memory that lies on both sides of the limit, compaction moves what it can from the lower end to the upper one. */
describe.for(testedCases(['compaction, straddle'], () => false))('%s', { concurrent: true }, () => {
  test.override({ machine: 'straddle', dmaBits: 40 });

  test('takes no page of an idle object to where the device does not reach', async ({
    guest,
    gpu,
    startSleeper,
    record,
  }) => {
    await gpu.load({ backend: 'shmem' });
    const below = await startSleeper({ vram: 1, system: 32, objectSize: 4 * MIB });
    const sleeper = await startSleeper({ vram: 1, system: 32, objectSize: 4 * MIB });
    // The first one leaves room below the pages of the second one.
    expect(await below.end()).toMatchObject({ ok: true });
    await guest.run('echo 1 > /sys/kernel/debug/dri/128/evict && swapoff -a');
    // Compaction takes no memory that lies free by the page block.
    await guest.run(
      'mkdir /run/mixed && mount -t tmpfs -o size=1g mixed /run/mixed && cd /run/mixed && ' +
        'for i in $(seq 600); do dd if=/dev/zero bs=1M count=1 of=$i 2> /dev/null; done && rm *[02468]',
      { deadlineMs: 120_000 },
    );
    const before = await guest.vmstat();
    await guest.run('echo 1 > /proc/sys/vm/compact_memory', { deadlineMs: 120_000 });
    const after = await guest.vmstat();
    const vetoed = (after.get('shmem_limit_migveto') ?? NaN) - (before.get('shmem_limit_migveto') ?? NaN);
    record.metrics['vetoed'] = vetoed;
    expect(await sleeper.verify()).toBeUndefined();
    expect(beyond(await systemFrames(guest), 40)).toEqual([]);
    expect(vetoed).toBeGreaterThan(0);
    expect(await sleeper.end()).toMatchObject({ ok: true });
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
    await startOnCpu(guest, 0);
    const [block] = await emptyBlocks(guest, 1);
    if (block === undefined) throw new Error('Node 1 has one block of memory.');
    // Then nothing else has room on that node.
    await guest.run(`taskset 2 dd if=/dev/zero of=${links}/fill bs=1M count=128 2> /dev/null`);
    await putOnline(guest, block);
    await guest.run(`taskset 2 cp -al ${links}/a ${links}/b`);
    expect(await takeOffline(guest, block, OFFLINE_SECONDS)).toContain('Device or resource busy');
  });
});

describe('memory of idle objects that goes offline', { concurrent: true }, () => {
  test.override({ machine: 'tiers', dmaBits: 40 });

  test('they go to where the device reaches them', async ({ guest, gpu, startSleeper, record }) => {
    await gpu.load({ backend: 'shmem' });
    const block = await fillFirstBlock(guest, () => fillNode(guest, 1));
    const { sleeper, pages } = await idleObjectsIn(block, block.bytes / 2, { guest, startSleeper });
    const before = await placesOf(guest);
    expect(await takeOffline(guest, block, OFFLINE_SECONDS)).toBeUndefined();
    const after = await placesOf(guest);
    record.metrics['left'] = pages;
    expect(await blockState(guest, block)).toBe('offline');
    expect(after.vetoed).toBe(before.vetoed);
    const [onNode0 = 0, , ...above] = after.shmem.map((bytes, node) => bytes - (before.shmem[node] ?? NaN));
    expect(onNode0).toBeGreaterThan((pages * PAGE_SIZE) / 2);
    expect(Math.max(...above)).toBeLessThan(OBJECT);
    expect(await reachedByDevice(gpu, sleeper)).toEqual({ wrong: undefined, faults: 0, within: true });
    expect(await sleeper.end()).toMatchObject({ ok: true });
  });
});

/** One fills all that is within reach, which takes its time: not in a brief run. */
describe.for(testedCases(['memory of idle objects that goes offline'], () => false))('%s', { concurrent: true }, () => {
  test.override({ machine: 'tiers', dmaBits: 40 });

  test('control: with another limit in the driver, they go to where it does not', async ({
    guest,
    gpu,
    startSleeper,
  }) => {
    await gpu.load({ backend: 'shmem', dmaBits: 48 });
    const block = await fillFirstBlock(guest, () => fillNode(guest, 1));
    const { sleeper } = await idleObjectsIn(block, block.bytes / 2, { guest, startSleeper });
    expect(await takeOffline(guest, block, OFFLINE_SECONDS)).toBeUndefined();
    expect(await sleeper.verify()).toBeDefined();
    expect(gpu.faultEvents().map(({ address }) => address >= 2 ** 40)).toContain(true);
  });

  describe('with nothing else free within reach', { concurrent: true }, () => {
    test.override({ provokes: [OFFLINE_REFUSED] });

    test('it is refused, and soon', async ({ guest, gpu, startSleeper, record }) => {
      await gpu.load({ backend: 'shmem' });
      const others: Sleeper[] = [];
      const fill = async (node: number) => others.push(await fillWithObjects(guest, startSleeper, node));
      const block = await fillFirstBlock(guest, () => fill(1));
      // More than there is room for: once node 0 is full, the kernel would have what is left of node 1.
      const { sleeper, pages } = await idleObjectsIn(block, block.bytes + 4 * OBJECT, { guest, startSleeper });
      await fill(0);
      await letGo(guest);
      const free = reachableFreeBytes(
        (await guest.zones()).filter(({ node }) => node === 0),
        40,
      );
      expect(free).toBeLessThan((pages * PAGE_SIZE) / 2);
      const before = await placesOf(guest);
      expect(await takeOffline(guest, block, OFFLINE_SECONDS)).toContain('Device or resource busy');
      const after = await placesOf(guest);
      record.metrics['failed'] = after.failed - before.failed;
      expect(await blockState(guest, block)).toBe('online');
      expect(after.vetoed).toBe(before.vetoed);
      // It tried, and gave up without a look at most of them.
      expect(after.failed - before.failed).toBeGreaterThan(0);
      expect(after.failed - before.failed).toBeLessThan(pages);
      for (const holder of [sleeper, ...others]) {
        expect(await reachedByDevice(gpu, holder)).toEqual({ wrong: undefined, faults: 0, within: true });
      }
      for (const holder of [sleeper, ...others]) expect(await holder.end()).toMatchObject({ ok: true });
    });
  });
});

type StartSleeper = (options: Omit<SleeperOptions, 'seed'>) => Promise<Sleeper>;

/** Where programs run on the CPU of a node. */
const cgroupOf = (node: number): string => `/sys/fs/cgroup/cpu${String(node)}`;

/**
 * Memory of theirs is of another node, but for that of objects, as a limit overrides a cpuset, and, if their kernel
 * memory were charged to a cgroup, for what says to which one: that has to be on the node of the slab that it is about.
 */
async function makeCgroup(guest: Guest, node: number, { mems }: { readonly mems: number }): Promise<void> {
  const folder = cgroupOf(node);
  await guest.run(
    '{ grep -q cgroup2 /proc/mounts || mount -t cgroup2 none /sys/fs/cgroup; } && ' +
      `echo +cpuset > /sys/fs/cgroup/cgroup.subtree_control && mkdir ${folder} && ` +
      `echo ${String(node)} > ${folder}/cpuset.cpus && echo ${String(mems)} > ${folder}/cpuset.mems`,
  );
}

/**
 * Of node 1 leaves the first block, which is filled. Programs run on CPU 2 from then on, and have their memory from
 * its node, which the device does not reach: nothing but objects gets where this test wants to have them.
 */
async function fillFirstBlock(guest: Guest, fill: () => Promise<unknown>): Promise<MemoryBlock> {
  // Whatever runs already, as well: a page table alone would keep a block online.
  await guest.run(
    '{ for irq in /proc/irq/*/smp_affinity; do echo 4 > $irq; done; ' +
      'for pid in $(cd /proc && echo [0-9]*); do taskset -p 4 $pid; done; } > /dev/null 2>&1; swapoff /dev/vda',
  );
  for (const node of [0, 1]) await makeCgroup(guest, node, { mems: 3 });
  const [block] = await emptyBlocks(guest, 1);
  if (block === undefined) throw new Error('Node 1 has one block of memory.');
  await fill();
  return block;
}

interface ObjectsInBlock {
  readonly sleeper: Sleeper;
  /** So many of their pages are in the block. */
  readonly pages: number;
}

/** Puts the block online, and idle objects worth so many bytes into it. */
async function idleObjectsIn(
  block: MemoryBlock,
  worth: number,
  { guest, startSleeper }: { readonly guest: Guest; readonly startSleeper: StartSleeper },
): Promise<ObjectsInBlock> {
  await putOnline(guest, block);
  const system = worth / OBJECT;
  const sleeper = await startSleeper({ vram: 1, system, objectSize: OBJECT, cgroup: cgroupOf(1) });
  const { address, bytes } = block;
  const frames = (await systemFrames(guest)).map((frame) => Number(frame) * PAGE_SIZE - address);
  const pages = frames.filter((offset) => offset >= 0 && offset < bytes).length;
  // What is left of the first block has the others.
  expect(pages * PAGE_SIZE).toBeGreaterThan(bytes / 4);
  await letGo(guest);
  return { sleeper, pages };
}

/** Leaves next to nothing free on a node, for objects that want to stay within the limit. */
async function fillWithObjects(guest: Guest, startSleeper: StartSleeper, node: number): Promise<Sleeper> {
  const zones = (await guest.zones()).filter((zone) => zone.node === node);
  const system = wholeObjects(reachableFreeBytes(zones, 40) * share) / OBJECT;
  return startSleeper({ vram: 1, system, objectSize: OBJECT, cgroup: cgroupOf(node) });
}

/** Makes all objects idle. */
async function letGo(guest: Guest): Promise<void> {
  await guest.run('echo 1 > /sys/kernel/debug/dri/128/evict');
}

/** How many bytes of shmem memory each node has, what the kernel refused to move, and what it could not. */
async function placesOf(guest: Guest) {
  const vmstat = await guest.vmstat();
  return {
    shmem: await guest.nodeMeminfo('Shmem'),
    vetoed: vmstat.get('shmem_limit_migveto') ?? NaN,
    failed: vmstat.get('pgmigrate_fail') ?? NaN,
  };
}

/** What is wrong with what the device reads, and whether it asked for nothing but what it reaches. */
async function reachedByDevice(gpu: Gpu, sleeper: Sleeper) {
  await gpu.resetStatistics();
  const wrong = await sleeper.verify();
  const { faults, 'max-dma-address': highest } = await gpu.statistics();
  return { wrong, faults, within: highest > 0 && highest < 2 ** 40 };
}

/** Of so many pages of an object, one has to leave the frame that it is in. */
const LEAVING = 8;

/** Filling a node takes its time: not in a brief run. */
describe.for(testedCases(['bad memory under idle objects'], () => false))('%s', { concurrent: true }, () => {
  const objectSize = 4 * MIB;
  const objects = { vram: 1, system: 16, objectSize };

  test.override({ machine: 'tiers', dmaBits: 32 });

  test('that still works: pages move to where the device reaches them, or stay', async ({
    guest,
    gpu,
    startSleeper,
    record,
  }) => {
    await gpu.load({ backend: 'shmem' });
    const sleeper = await startSleeper(objects);
    const before = new Set(await systemFrames(guest));
    await leave(guest, 'soft');
    expect(await sleeper.verify()).toBeUndefined();
    const after = await systemFrames(guest);
    const moved = after.filter((frame) => !before.has(frame));
    record.metrics['moved'] = moved.length;
    expect(moved).not.toEqual([]);
    expect(beyond(after, 32)).toEqual([]);
    expect(await sleeper.end()).toMatchObject({ ok: true });
  });

  test('control: with no limit in the driver, they move to where it does not', async ({ guest, gpu, startSleeper }) => {
    await gpu.load({ backend: 'shmem', dmaBits: 64 });
    // Programs then start where the device reaches, too.
    await startOnCpu(guest, 0);
    const sleeper = await startSleeper(objects);
    expect(beyond(await systemFrames(guest), 32)).toEqual([]);
    await leave(guest, 'soft');
    expect(await sleeper.verify()).toBeDefined();
    expect(gpu.faultEvents().map(({ address }) => address >= 2 ** 32)).toContain(true);
  });

  describe('that has lost its content', { concurrent: true }, () => {
    test.override({ provokes: ['hardware-error'] });

    test('who uses the object is told, and nobody else', async ({ guest, gpu, startSleeper }) => {
      await gpu.load({ backend: 'shmem' });
      const victim = await startSleeper({ ...objects, system: 1 });
      await leave(guest, 'hard');
      const other = await startSleeper(objects);
      expect(await victim.verify()).toContain('SIGBUS');
      expect(await other.verify()).toBeUndefined();
      expect(await other.end()).toMatchObject({ ok: true });
    });
  });
});

async function systemFrames(guest: Guest, { unit } = { unit: 0 }): Promise<bigint[]> {
  const file = `/sys/kernel/debug/dri/${String(128 + unit)}/frames`;
  return framesOfPages(await guest.read(file)).system.map(({ frame }) => frame);
}

/** Those of the frames that a device with so many address bits does not reach. */
function beyond(frames: readonly bigint[], bits: number): bigint[] {
  return frames.filter((frame) => frame * BigInt(PAGE_SIZE) >= 2n ** BigInt(bits));
}

/** Has programs start on a CPU, and so have their memory from the node of that number as long as it has any. */
async function startOnCpu(guest: Guest, cpu: number): Promise<void> {
  await guest.run(`for pid in $(pidof dropbear); do taskset -p ${(1 << cpu).toString(16)} $pid; done`);
}

/**
 * Has pages of idle objects leave their frames, as the kernel does where memory had an error that was corrected
 * (`soft`: while nearly all of node 0 is in use, and some of them have to stay) or was not (`hard`).
 */
async function leave(guest: Guest, how: 'soft' | 'hard'): Promise<void> {
  const leaving = (await systemFrames(guest)).filter((_, index) => index % LEAVING === 1);
  await guest.run('echo 1 > /sys/kernel/debug/dri/128/evict && swapoff /dev/vda');
  if (how === 'soft') await fillNode(guest, 0);
  // More at a time would be too long for a command.
  for (let start = 0; start < leaving.length; start += 256) {
    const some = leaving.slice(start, start + 256).map((frame) => (frame * BigInt(PAGE_SIZE)).toString(16));
    await guest.run(
      `for address in ${some.join(' ')}; do ` +
        `echo 0x$address > /sys/devices/system/memory/${how}_offline_page; done 2> /dev/null; true`,
    );
  }
}

/** Leaves of a node only what the allocator keeps for those who may not go to another node. */
async function fillNode(guest: Guest, node: number): Promise<void> {
  const overflow = 64;
  await guest.run(
    `mkdir /run/fill && mount -t tmpfs -o mpol=prefer:${String(node)},size=1g fill /run/fill && ` +
      `mib=$(awk '/MemFree/ { print int($4 / 1024) }' /sys/devices/system/node/node${String(node)}/meminfo) && ` +
      `dd if=/dev/zero bs=1M count=$((mib + ${String(overflow)})) of=/run/fill/fill 2> /dev/null`,
    { deadlineMs: 120_000 },
  );
}

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
