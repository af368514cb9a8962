/**
 * Memory of a process goes to VRAM and comes back: ZONE_DEVICE by drm_pagemap, copied by the device. Its content stays,
 * whatever the process, the kernel or the device does meanwhile. The kernel's pagemap says where a page is, the device
 * and the driver what was copied, and the host reads VRAM itself.
 */
import { describe, expect } from 'vitest';
import { test } from '../testbed/fixtures.ts';
import type { Gpu } from '../testbed/device/gpu.ts';
import type { Guest } from '../testbed/guest/guest.ts';
import { runProgram, svmReport, type SvmReport } from '../testbed/programs/stress-program.ts';
import { dmaComplaints } from '../testbed/witnesses/dma-witnesses.ts';

const MIB = 2 ** 20;
const BYTES = 8 * MIB;
const PAGE = 4096;
const DEADLINE_MS = 120_000;
const DRIVER = '/sys/bus/pci/drivers/edgpu';
const HELD = '/run/held.log';

/** What happens to memory that is in VRAM. */
const MEANWHILE = ['ping-pong', 'pieces', 'fork', 'orphan', 'unmap', 'remap', 'protect', 'evict'];

async function driverStat(guest: Guest, name: string): Promise<number> {
  const stats = await guest.read('/sys/kernel/debug/dri/128/stats');
  return Number(new RegExp(`^${name}: (\\d+)$`, 'm').exec(stats)?.[1]);
}

interface HeldPage {
  readonly vram: number;
  readonly word: bigint;
}

/** Starts a program whose memory is in VRAM; resolves with where each page is, and what it begins with. */
async function hold(guest: Guest, seed: number): Promise<HeldPage[]> {
  const command = `edgpu-stress svm --test hold --bytes ${String(BYTES)} --seed ${String(seed)}`;
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
  test.override({ machine: 'tight', dmaBits: 40 });

  test.for(['no', 'yes'])(
    'is whole again when it comes back, whatever happens to it; huge pages: %s',
    async (huge, { guest, gpu, backend, run, record }) => {
      await gpu.load({ backend });
      await guest.run('echo madvise > /sys/kernel/mm/transparent_hugepage/enabled');
      let moved = 0;
      for (const name of MEANWHILE) {
        const before = await driverStat(guest, 'svm_to_vram_bytes');
        const { report, witnesses } = await run('svm', { test: name, bytes: BYTES, huge, rounds: 2 }, svmReport);
        expect(report, `${name}: ${String(report.firstError)}`).toMatchObject({ ok: true, mismatches: 0 });
        expect(dmaComplaints(witnesses, 40), name).toEqual([]);
        expect(report.bytesVerified, name).toBeGreaterThanOrEqual(BYTES / 3);
        // What others of its processes have moved is not in its report; holes are moved and not copied.
        const copied = (await driverStat(guest, 'svm_to_vram_bytes')) - before;
        if (name === 'ping-pong') expect(copied).toBe(report.bytesToVram);
        expect(copied, name).toBeGreaterThanOrEqual(report.bytesToVram - 5 * PAGE);
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

  test('goes to swap when it has come back, and to VRAM from there', async ({ gpu, backend, run }) => {
    await gpu.load({ backend });
    const { report, witnesses } = await run('svm', { test: 'swap', bytes: BYTES }, svmReport);
    expect(report, report.firstError).toMatchObject({ ok: true, mismatches: 0, bytesVerified: 2 * BYTES });
    expect(dmaComplaints(witnesses, 40)).toEqual([]);
    expect(report.pswpout).toBeGreaterThan(0);
    expect(report.pswpin).toBeGreaterThan(0);
  });

  test('loses no write while it is moved there and back all the time', async ({ gpu, backend, run, record }) => {
    await gpu.load({ backend });
    const { report, witnesses } = await run('svm', { test: 'race', bytes: 2 * BYTES, huge: 'yes' }, svmReport);
    expect(report, report.firstError).toMatchObject({ ok: true, mismatches: 0 });
    expect(dmaComplaints(witnesses, 40)).toEqual([]);
    expect(report.bytesToVram).toBeGreaterThan(2 * BYTES);
    Object.assign(record.metrics, { rounds: report.rounds, bytesToVram: report.bytesToVram });
  });

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

describe('memory that is held in VRAM', { concurrent: true }, () => {
  test.override({ machine: 'tight', dmaBits: 40 });

  test('is there, as the host sees, and comes back before a reset, a sleep and the end of the device', async ({
    guest,
    gpu,
    backend,
    seed,
    suspend,
  }) => {
    await gpu.load({ backend });
    const address = (await guest.run('basename $(readlink -f /sys/class/drm/renderD128/device)')).trim();
    for (const leave of [
      () => guest.run(`echo 1 > /sys/bus/pci/devices/${address}/reset`),
      () => suspend('s3'),
      () => guest.run(`echo ${address} > ${DRIVER}/unbind`),
    ]) {
      const pages = await hold(guest, seed);
      expect(pages).toHaveLength(BYTES / PAGE);
      expect(await missing(gpu, pages)).toEqual([]);
      await leave();
      const report = await verifyHeld(guest);
      expect(report, report.firstError).toMatchObject({ ok: true, mismatches: 0, bytesVerified: BYTES });
    }
  });

  test('control: a bit that changes there is seen, by the host and when the memory is back', async ({
    guest,
    gpu,
    backend,
    seed,
  }) => {
    await gpu.load({ backend });
    const pages = await hold(guest, seed);
    const offset = pages[0]?.vram ?? NaN;
    await gpu.inject({ kind: 'flip', offset });
    expect(await missing(gpu, pages)).toEqual([pages[0]]);
    expect(await verifyHeld(guest)).toMatchObject({ ok: false, mismatches: 1 });
  });

  test('control: a copy that is not made is seen', async ({ guest, gpu, backend, seed }) => {
    await gpu.load({ backend });
    await guest.run('echo Y > /sys/module/edgpu/parameters/svm_skip_copy');
    const pages = await hold(guest, seed);
    expect((await missing(gpu, pages)).length).toBeGreaterThan(0);
    expect(await verifyHeld(guest)).toMatchObject({ ok: false, mismatches: BYTES / PAGE });
  });
});

/** What Linux makes of memory that the device does not reach: the program and its memory are on the third node. */
describe('memory beyond reach', { concurrent: true }, () => {
  test.override({ machine: 'tiers', dmaBits: 40 });

  test('small pages are bounced', async ({ guest, gpu, backend, seed, record }) => {
    await gpu.load({ backend });
    const options = { test: 'ping-pong', bytes: BYTES, cpu: 2, seed };
    const report = await runProgram(guest, { name: 'svm', options, report: svmReport, deadlineMs: DEADLINE_MS });
    record.metrics['swiotlbBounces'] = await guest.swiotlbHighWater();
    expect(report, report.firstError).toMatchObject({ ok: true, mismatches: 0 });
    expect(await guest.swiotlbHighWater()).toBeGreaterThan(0);
  });

  test('huge pages are refused', async ({ guest, gpu, backend, seed, record }) => {
    await gpu.load({ backend });
    await guest.run('echo madvise > /sys/kernel/mm/transparent_hugepage/enabled');
    const options = { test: 'ping-pong', bytes: BYTES, cpu: 2, seed, huge: 'yes' };
    const report = await runProgram(guest, { name: 'svm', options, report: svmReport, deadlineMs: DEADLINE_MS });
    record.metrics['swiotlbBounces'] = await guest.swiotlbHighWater();
    expect(report.firstError).toBe('to be measured');
  });
});
