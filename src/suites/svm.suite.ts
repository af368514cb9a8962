/**
 * Memory of a process goes to VRAM and comes back: ZONE_DEVICE by drm_pagemap, copied by the device. Its content stays,
 * whatever the process, the kernel or the device does meanwhile. The kernel's pagemap says where a page is, the device
 * and the driver what was copied, and the host reads VRAM itself.
 */
import { describe, expect } from 'vitest';
import { testedCases } from '../plan/tested-cases.ts';
import { test } from '../testbed/fixtures.ts';
import { DRIVER_FOLDER, Gpu } from '../testbed/device/gpu.ts';
import { CGROUPS, inCgroup, kills, makeCgroups, numberIn } from '../testbed/guest/cgroups.ts';
import type { Guest } from '../testbed/guest/guest.ts';
import { svmReport, type SvmReport } from '../testbed/programs/stress-program.ts';
import { allowNaps, POWER, untilAsleep } from '../testbed/sleep/naps.ts';
import { driverStat } from '../testbed/sleep/sleep-suite.ts';
import { dmaComplaints } from '../testbed/witnesses/dma-witnesses.ts';

const MIB = 2 ** 20;
const BYTES = 8 * MIB;
const PAGE = 4096;
const PAGES = BYTES / PAGE;
/** Enough for all memory there is. */
const WIDE = 52;
const DEADLINE_MS = 120_000;
const HELD = '/run/held.log';
const GROUP = `${CGROUPS}/svm`;

const NO_MEMORY = '/sys/module/edgpu/parameters/svm_no_memory';

/** The kernel turns them off on a machine that has less than 512 MiB before more is plugged in. */
const MAY_BE_HUGE = 'echo madvise > /sys/kernel/mm/transparent_hugepage/enabled';

/** Sets swiotlb's high-water mark back, so that it tells of what is bounced from then on. */
const FORGET_BOUNCES = 'echo 0 > /sys/kernel/debug/swiotlb/io_tlb_used_hiwater';

/** Whether the process may have huge pages. A brief run has them where they are what is hard. */
const WITHIN_REACH = testedCases(['no', 'yes'] as const, (huge) => huge === 'no');
const BEYOND_REACH = testedCases(['no', 'yes'] as const, (huge) => huge === 'yes');

/** What the driver says when a device that has died is unbound: that it can copy nothing, and what that has cost. */
const AT_UNBIND = /\[drm\] (pages of processes stay in VRAM: -5|\d+ pages of processes have lost their content)$/;
const NOT_BROUGHT_BACK = 'pages of processes stay in VRAM: -5\n';
const LOST = `${String(PAGES)} pages of processes have lost their content\n`;

/** What the device leaves behind that has died. Not in a brief run. */
const LEFT = testedCases(['small pages', 'huge pages, and no huge page is free'] as const, () => false);

/** Nor is this, which needs all memory to be in pieces first. */
const EVICTED = testedCases(['evicted'] as const, () => false);

/** What happens to memory that is in VRAM. */
const MEANWHILE = [
  'ping-pong',
  'pieces',
  'fork',
  'exec',
  'orphan',
  'unmap',
  'lock',
  'lend',
  'remap',
  'protect',
  'evict',
  'swap',
  'race',
];

interface HeldPage {
  readonly vram: number;
  readonly word: bigint;
}

/** Starts a program whose memory is in VRAM; resolves with where each page is, and what it begins with. */
async function hold(guest: Guest, seed: number, { options = '', cgroup = CGROUPS } = {}): Promise<HeldPage[]> {
  const program = `edgpu-stress svm --test hold --bytes ${String(BYTES)} --seed ${String(seed)} ${options}`;
  const command = cgroup === CGROUPS ? program : inCgroup(cgroup, program);
  await guest.run(
    `${command} > /run/held.json 2> ${HELD} & echo $! > /run/held.pid; ` +
      `until grep -q holding ${HELD}; do kill -0 $! || { cat /run/held.json; exit 1; }; sleep 0.1; done`,
    { deadlineMs: DEADLINE_MS },
  );
  const lines = (await guest.read(HELD)).matchAll(/^page \d+ vram ([0-9a-f]+) word ([0-9a-f]+)$/gm);
  return Array.from(lines, ([, vram = '', word = '']) => ({ vram: parseInt(vram, 16), word: BigInt(`0x${word}`) }));
}

/** Has it look at its memory, and end. */
async function verifyHeld(guest: Guest): Promise<SvmReport> {
  const said = await guest.run(
    'kill -USR1 $(cat /run/held.pid); while [ -d /proc/$(cat /run/held.pid) ]; do sleep 0.1; done; cat /run/held.json',
    { deadlineMs: DEADLINE_MS },
  );
  return svmReport.parse(JSON.parse(said));
}

/** Of which the host does not find in VRAM what is said to be there: some from all over. */
async function missing(gpu: Gpu, pages: readonly HeldPage[]): Promise<HeldPage[]> {
  const some = pages.filter((_page, index) => index % 61 === 0);
  const found = [];
  for (const page of some) if ((await gpu.readVram(page.vram)) !== page.word) found.push(page);
  return found;
}

test.override({ stateless: true, backend: 'shmem' });

/** All memory is within the device's reach, so that nothing is to be bounced. */
describe('memory within reach', { concurrent: true }, () => {
  test.override({ machine: 'tiers', dmaBits: WIDE });

  test.for(WITHIN_REACH)(
    'is whole again when it comes back, whatever happens to it; huge pages: %s',
    async (huge, { guest, gpu, backend, run, record }) => {
      await gpu.load({ backend });
      await guest.run(MAY_BE_HUGE);
      let moved = 0;
      for (const name of MEANWHILE) {
        const before = await driverStat(guest, 'svm_to_vram_bytes');
        const { report, witnesses } = await run('svm', { test: name, bytes: BYTES, huge, rounds: 2 }, svmReport);
        expect(report, `${name}: ${String(report.firstError)}`).toMatchObject({ ok: true, mismatches: 0 });
        expect(dmaComplaints(witnesses, WIDE), name).toEqual([]);
        expect(report.bytesVerified, name).toBeGreaterThanOrEqual(BYTES / 3);
        const copied = (await driverStat(guest, 'svm_to_vram_bytes')) - before;
        expect(copied, name).toBeGreaterThanOrEqual(BYTES - 9 * PAGE);
        // Others move what is there already, or have processes that are not in the report.
        if (name === 'ping-pong') expect(copied).toBe(report.bytesToVram);
        // Some may have been in batches of a CPU, where nobody finds them.
        if (name === 'swap') expect(report.pagesInSwap).toBeGreaterThan(PAGES / 2);
        moved += copied;
      }
      record.metrics['bytesToVram'] = moved;
      const statistics = await gpu.statistics();
      expect(statistics['dma-read-bytes']).toBeGreaterThanOrEqual(moved);
      expect(statistics['dma-write-bytes']).toBeGreaterThanOrEqual(await driverStat(guest, 'svm_from_vram_bytes'));
      expect(await driverStat(guest, 'svm_objects')).toBe(0);
      expect(await driverStat(guest, 'svm_lost_pages')).toBe(0);
      await gpu.unload();
    },
  );

  test('stays where it is when the device fails at a copy, there and back', async ({ gpu, backend, run }) => {
    await gpu.load({ backend });
    // A copy and a fence for each move; a move that fails ends with its copy.
    await gpu.inject({ kind: 'error', engine: 1, at: 1 }, { kind: 'error', engine: 1, at: 4 });
    const { report } = await run('svm', { test: 'failure', bytes: 2 * MIB }, svmReport);
    expect(report, report.firstError).toMatchObject({ ok: true, mismatches: 0, refused: 1, busErrors: 1 });
    expect(report.bytesVerified).toBe(2 * MIB);
    expect(await gpu.pendingFailures()).toEqual([]);
  });
});

describe('memory that there is no memory to bring back for', { concurrent: true }, () => {
  test.override({ machine: 'tiers', dmaBits: WIDE, provokes: ['page-allocation-failure'] });

  test('is brought back when there is some, and is no bus error', async ({ guest, gpu, backend, run }) => {
    await gpu.load({ backend });
    await guest.run(`echo 3 > ${NO_MEMORY}`);
    const { report } = await run('svm', { test: 'ping-pong', bytes: BYTES }, svmReport);
    expect(report, report.firstError).toMatchObject({ ok: true, mismatches: 0, bytesVerified: BYTES });
    expect(await guest.read(NO_MEMORY)).toBe('0\n');
  });
});

describe('memory that is held in VRAM', { concurrent: true }, () => {
  test.override({ machine: 'tiers', dmaBits: WIDE });

  test('is there, as the host sees, and comes back before a reset, a sleep and the end of the device', async ({
    guest,
    gpu,
    backend,
    seed,
    suspend,
  }) => {
    await gpu.load({ backend });
    const address = await gpu.pciAddress();
    for (const leave of [
      () => guest.run(`echo 1 > /sys/bus/pci/devices/${address}/reset`),
      () => suspend('s3'),
      () => guest.run(`echo ${address} > ${DRIVER_FOLDER}/unbind`),
    ]) {
      const pages = await hold(guest, seed);
      expect(pages).toHaveLength(PAGES);
      expect(await missing(gpu, pages)).toEqual([]);
      await leave();
      const report = await verifyHeld(guest);
      expect(report, report.firstError).toMatchObject({ ok: true, mismatches: 0, bytesVerified: BYTES });
    }
  });

  test('keeps the device awake, which sleeps as soon as it is back', async ({ guest, gpu, backend, seed }) => {
    await gpu.load({ backend });
    await allowNaps(guest, 300);
    await untilAsleep(guest);
    const pages = await hold(guest, seed);
    const losses = await gpu.vramGeneration();
    // Long after it would sleep.
    await guest.run('sleep 3');
    expect(await guest.read(`${POWER}/runtime_status`)).toBe('active\n');
    expect(await missing(gpu, pages)).toEqual([]);
    const report = await verifyHeld(guest);
    expect(report, report.firstError).toMatchObject({ ok: true, mismatches: 0, bytesVerified: BYTES });
    expect(await gpu.vramGeneration()).toBe(losses);
    await untilAsleep(guest);
  });

  test('control: a bit that changes there, and copies that are not made, are seen', async ({
    guest,
    gpu,
    backend,
    seed,
  }) => {
    await gpu.load({ backend });
    const pages = await hold(guest, seed);
    await gpu.inject({ kind: 'flip', offset: pages[0]?.vram ?? NaN });
    expect(await missing(gpu, pages)).toEqual([pages[0]]);
    expect(await verifyHeld(guest)).toMatchObject({ ok: false, mismatches: 1 });

    await guest.run('echo Y > /sys/module/edgpu/parameters/svm_skip_copy');
    const lost = await hold(guest, seed);
    expect((await missing(gpu, lost)).length).toBeGreaterThan(0);
    expect(await verifyHeld(guest)).toMatchObject({ ok: false, mismatches: PAGES });
  });
});

describe('memory of a cgroup', { concurrent: true }, () => {
  test.override({ machine: 'tiers', dmaBits: WIDE, provokes: ['oom'] });

  test('is charged to it in VRAM as well, where its reclaim finds nothing', async ({ guest, gpu, backend, seed }) => {
    await gpu.load({ backend });
    await makeCgroups(guest, { [GROUP]: {} });
    const halve = `echo ${String(BYTES / 2)} > ${GROUP}/memory.max`;
    for (const where of ['in memory', 'in VRAM'] as const) {
      await guest.run(`echo max > ${GROUP}/memory.max`);
      expect(await hold(guest, seed, { cgroup: GROUP }), where).toHaveLength(PAGES);
      if (where === 'in memory') await guest.run(`echo 1 > /sys/bus/pci/devices/${await gpu.pciAddress()}/reset`);
      expect(await numberIn(guest, `${GROUP}/memory.current`), where).toBeGreaterThanOrEqual(BYTES);
      await guest.run(halve, { deadlineMs: DEADLINE_MS });
      expect(await kills(guest, GROUP), where).toBe(where === 'in memory' ? 0 : 1);
      if (where === 'in memory') {
        expect(await numberIn(guest, `${GROUP}/memory.swap.current`)).toBeGreaterThan(BYTES / 3);
        const report = await verifyHeld(guest);
        expect(report, report.firstError).toMatchObject({ ok: true, mismatches: 0, bytesVerified: BYTES });
      }
    }
    await expect.poll(() => driverStat(guest, 'svm_objects'), { timeout: 10_000 }).toBe(0);
  });
});

describe('memory of two devices', { concurrent: true }, () => {
  test.override({ machine: 'pair', dmaBits: WIDE });

  test('goes from one to the other, whole', async ({ vm, guest, gpu, backend, run }) => {
    await gpu.load({ backend });
    const { report } = await run('svm', { test: 'hand-over', bytes: BYTES, rounds: 2 }, svmReport);
    expect(report, report.firstError).toMatchObject({ ok: true, mismatches: 0, bytesVerified: 2 * BYTES });
    for (const device of [gpu, new Gpu(vm, guest, 1)]) {
      const { faults, 'dma-read-bytes': read, 'dma-write-bytes': written } = await device.statistics();
      expect(faults).toBe(0);
      expect(Math.min(read, written)).toBeGreaterThanOrEqual(2 * BYTES);
    }
    await gpu.unload();
  });
});

describe('memory of a device that has died', { concurrent: true }, () => {
  test.override({ machine: 'tight', dmaBits: WIDE, provokes: [AT_UNBIND] });

  test.for(LEFT)('reads as zeroes once it is unbound: %s', async (left, { guest, gpu, backend, seed }) => {
    await gpu.load({ backend });
    await guest.run(MAY_BE_HUGE);
    const address = await gpu.pciAddress();
    expect(
      await hold(guest, seed, { options: left === 'small pages' ? '' : '--huge yes --in-pieces yes' }),
    ).toHaveLength(PAGES);
    await gpu.inject({ kind: 'dead' });
    await guest.run(`echo ${address} > ${DRIVER_FOLDER}/unbind`, { deadlineMs: DEADLINE_MS });
    const report = await verifyHeld(guest);
    expect(report).toMatchObject({ mismatches: PAGES, bytesVerified: 0 });
    expect(report.firstError).toContain('held: page 0 has 0x0000000000000000');
    // Where no huge page is free the kernel says so, too, and one comes right behind it, as if it were a part of that.
    const said = await guest.run('dmesg');
    expect([NOT_BROUGHT_BACK, LOST].filter((line) => !said.includes(line))).toEqual([]);
  });
});

describe('memory without a huge page', { concurrent: true }, () => {
  test.override({ machine: 'tight', dmaBits: WIDE });

  test.for(EVICTED)('takes huge pages back as small ones, touched and %s', async (_, { gpu, guest, backend, run }) => {
    await gpu.load({ backend });
    await guest.run(MAY_BE_HUGE);
    // Reclaim may free some huge pages after all, of the half that is touched or of the other, but not so many.
    const bytes = 4 * BYTES;
    const { report } = await run('svm', { test: 'cramped', bytes, huge: 'yes' }, svmReport);
    expect(report, report.firstError).toMatchObject({ ok: true, mismatches: 0, bytesVerified: bytes });
    expect(report.hugePagesBack).toBeLessThan(bytes / PAGE / 2);
  });
});

/** The device reaches the first two nodes of four. */
describe('memory beyond reach', { concurrent: true }, () => {
  test.override({ machine: 'tiers', dmaBits: 40 });

  test.for(BEYOND_REACH)(
    'goes to VRAM and comes back within reach, as long as there is room, or can be; huge pages: %s',
    async (huge, { guest, gpu, backend, run }) => {
      await gpu.load({ backend });
      await guest.run(MAY_BE_HUGE);
      const options = { test: 'ping-pong', bytes: BYTES, huge, 'back-cpu': 2 };
      const back = await run('svm', { ...options, cpu: 0 }, svmReport);
      const there = await run('svm', { ...options, cpu: 2 }, svmReport);
      for (const { report } of [back, there]) expect(report.hugePagesBack).toBe(huge === 'yes' ? PAGES : 0);
      // What fills the nodes within reach can be moved.
      const moved = await run('svm', { ...options, cpu: 0, crowd: 2 }, svmReport);
      const atOnce = await run('svm', { test: 'at-once', bytes: BYTES, huge, cpu: 2 }, svmReport);
      for (const { report, witnesses } of [back, there, moved, atOnce]) {
        expect(report, report.firstError).toMatchObject({ ok: true, mismatches: 0 });
        expect(report.bytesVerified).toBeGreaterThanOrEqual(BYTES);
        expect(report.highestAddress).toBeLessThan(2 ** 40);
        expect(dmaComplaints(witnesses, 40)).toEqual([]);
      }
    },
  );
});

/** By processes that want more than there is to bounce in, too. */
describe('memory that is bounced', { concurrent: true }, () => {
  // 2 MiB: what one process brings back at once leaves nothing for the others.
  const kernelArgs = ['swiotlb=1024,track_hiwater'];
  test.override({ machine: 'tiers', dmaBits: 40, kernelArgs, provokes: ['bounce-failure'] });

  test('is whole when there is no room within reach; control: so it is, and is seen, without a limit', async ({
    guest,
    gpu,
    backend,
    run,
    record,
  }) => {
    await gpu.load({ backend });
    await guest.run(MAY_BE_HUGE);
    const options = { test: 'ping-pong', bytes: BYTES, huge: 'yes', 'back-cpu': 2 };
    // More than there is in the zones that others leave alone.
    const noRoom = await run(
      'svm',
      { ...options, bytes: 12 * BYTES, cpu: 0, crowd: 2, 'crowd-stays': 'yes' },
      svmReport,
    );
    await guest.run(`${FORGET_BOUNCES}; echo N > /sys/module/edgpu/parameters/svm_limit`);
    const noLimit = await run('svm', { ...options, cpu: 2 }, svmReport);
    // More than there is to bounce in, so that some come back page by page.
    const atOnce = await run('svm', { test: 'at-once', bytes: BYTES, cpu: 2 }, svmReport);
    expect(atOnce.report, atOnce.report.firstError).toMatchObject({ ok: true, mismatches: 0 });
    for (const { report, witnesses } of [noRoom, noLimit]) {
      expect(report, report.firstError).toMatchObject({ ok: true, mismatches: 0 });
      expect(report.bytesVerified).toBeGreaterThanOrEqual(BYTES);
      expect(report.highestAddress).toBeGreaterThanOrEqual(2 ** 40);
      expect(dmaComplaints(witnesses, 40)).toEqual(['bounced']);
    }
    record.metrics['swiotlbBounces'] = await guest.swiotlbHighWater();
  });
});
