/**
 * Suspend as a contract: who uses the device when the lid is closed finds everything as it was when it is opened,
 * whatever was going on; and where there really is no place for what is in VRAM, the suspend is refused at once and
 * everything goes on. On machines of its own: `--machine` plays no part, and only the stress mode takes notice of
 * `--dma-bits`.
 */
import { describe, expect, inject } from 'vitest';
import { z } from 'zod';
import { testedCases } from '../plan/tested-cases.ts';
import { test, type Vm } from '../testbed/fixtures.ts';
import type { Guest } from '../testbed/guest/guest.ts';
import { vramOfObjects } from '../testbed/guest/object-frames.ts';
import { suspendCycles } from '../testbed/sleep/sleep-schedule.ts';
import {
  contract,
  DESKTOP,
  describeStress,
  driverStat,
  OBJECT_SIZE,
  QUIET,
  replaceDevice,
  UNREACHABLE,
  type Desktop,
} from '../testbed/sleep/sleep-suite.ts';
import { programReport, runProgram } from '../testbed/programs/stress-program.ts';
import { OtherDevices } from '../testbed/witnesses/other-devices.ts';

const MIB = 2 ** 20;
const PAGE = 4096;
const DEADLINE_MS = 300_000;
const DEVICE = '/sys/class/drm/renderD128/device';
const SUSPEND_FILE = `${DEVICE}/suspend_file`;
const EVICT_IN_SUSPEND = '/sys/module/edgpu/parameters/evict_in_suspend';
const FRAMES = '/sys/kernel/debug/dri/128/frames';
/** Of the 2 GiB that the disk of the machine tight has, from here on nobody uses any here. */
const UNUSED_DISK_MIB = 1536;

/** What the driver says of a suspend that it refuses. */
const NO_PLACE = /\[drm\] no sleep: what is in VRAM can't be saved: -\d+$/;

/** Half of VRAM in use. */
const FULL_DESKTOP: Desktop = { ...DESKTOP, vram: 48, system: 16 };

async function expectJob(guest: Guest, result: 'ok' | 'eio'): Promise<void> {
  const options = { expect: result, seed: inject('rig').selection.seed };
  const report = await runProgram(guest, { name: 'job', options, report: programReport, deadlineMs: DEADLINE_MS });
  expect(report.ok, report.firstError).toBe(true);
}

/** Memory that nobody can take away, until there is as little. */
async function fillAllBut(guest: Guest, bytes: number): Promise<void> {
  const available = (await guest.meminfo()).get('MemAvailable') ?? NaN;
  const count = String(Math.floor((available - bytes) / MIB));
  await guest.run('mkdir /run/filled && mount -t ramfs none /run/filled');
  await guest.run(`dd if=/dev/zero of=/run/filled/file bs=1M count=${count} 2> /dev/null`);
}

/** The device that could not be put to sleep, as the kernel says: none as long as a suspend was refused before. */
async function blamedDevice(guest: Guest): Promise<string> {
  return (await guest.read('/sys/power/suspend_stats/last_failed_dev')).trim();
}

contract('suspend', { concurrent: true }, () => {
  test.override({ machine: 'noswap', dmaBits: 40 });

  test('idle: to RAM, to idle, and to every stage that the kernel can turn round at', async ({
    gpu,
    backend,
    guest,
    startSleeper,
    suspend,
  }) => {
    await gpu.load({ backend });
    const sleeper = await startSleeper(QUIET);
    expect(await suspend('s3')).not.toHaveProperty('refusal');
    expect(await sleeper.verify()).toBeUndefined();
    expect(await suspend('s2idle')).not.toHaveProperty('refusal');
    expect(await sleeper.verify()).toBeUndefined();
    for (const pmTest of ['freezer', 'devices', 'platform', 'processors', 'core'] as const) {
      expect(await suspend('s3', { pmTest }), pmTest).not.toHaveProperty('refusal');
    }
    expect(await sleeper.end()).toMatchObject({ ok: true });
    expect(await driverStat(guest, 'saved_bytes')).toBe(7 * 16 * OBJECT_SIZE);
  });

  test('engines at work, threads that write by mmap; the driver unloaded in between', async ({
    gpu,
    backend,
    startSleeper,
    suspend,
  }) => {
    for (let load = 0; load < 2; load++) {
      await gpu.load({ backend });
      const sleeper = await startSleeper(FULL_DESKTOP);
      for (let turn = 0; turn < 2; turn++) {
        expect(await suspend('s3')).not.toHaveProperty('refusal');
        expect(await sleeper.verify()).toBeUndefined();
      }
      expect(await sleeper.end()).toMatchObject({ ok: true, mismatches: 0 });
      await gpu.unload();
    }
    expect(await gpu.statistics()).toMatchObject({ faults: 0 });
  });

  test('a system call that writes to VRAM has a lock which others wait for: all of them can be frozen', async ({
    gpu,
    backend,
    startSleeper,
    suspend,
  }) => {
    await gpu.load({ backend });
    const sleeper = await startSleeper({ ...QUIET, vram: 4, pipe: true });
    for (let turn = 0; turn < 2; turn++) {
      expect(await suspend('s3', { pmTest: 'freezer' })).not.toHaveProperty('refusal');
    }
    expect(await sleeper.end()).toMatchObject({ ok: true, mismatches: 0 });
  });

  test('control: VRAM that is not saved is missed', async ({ gpu, guest, backend, startSleeper, suspend }) => {
    await gpu.load({ backend });
    const sleeper = await startSleeper(QUIET);
    await guest.run('echo Y > /sys/module/edgpu/parameters/skip_vram_save');
    expect(await suspend('s3')).not.toHaveProperty('refusal');
    expect(await sleeper.verify()).toMatch(/^\d+: object 0 at 0x0: /);
  });
});

contract('suspend', { concurrent: true }, () => {
  const machines = testedCases(
    [
      { machine: 'tiers', dmaBits: 32, caching: 'wc' },
      { machine: 'tiers', dmaBits: 48, caching: 'cached' },
      { machine: 'iommu-intel', dmaBits: 40, caching: 'uc' },
    ] as const,
    ({ dmaBits }) => dmaBits !== 48,
  );

  describe.for(machines)('$machine, dma-bits $dmaBits, $caching', ({ machine, dmaBits, caching }) => {
    test.override({ machine, dmaBits });

    test('objects that are dma-bufs, too, under memory pressure', async ({
      gpu,
      guest,
      backend,
      startSleeper,
      suspend,
    }) => {
      await gpu.load({ backend });
      const sleeper = await startSleeper({ ...FULL_DESKTOP, caching, exported: true });
      const hog = `edgpu-stress hog --bytes ${String(1024 * MIB)} --seed 1 --use once`;
      await guest.runInBackground(`sh -c 'echo started; exec ${hog}'`, { until: 'started' });
      expect(await suspend('s3')).not.toHaveProperty('refusal');
      expect(await sleeper.verify()).toBeUndefined();
      expect(await sleeper.end()).toMatchObject({ ok: true });
      expect(await gpu.statistics()).toMatchObject({ faults: 0 });
    });
  });
});

contract('suspend with memory that the device does not reach', { concurrent: true }, () => {
  test.override({ machine: 'tiers', dmaBits: 32 });

  test('no swap, and all that it reaches is in use: what is in VRAM is kept elsewhere', async ({
    gpu,
    guest,
    backend,
    startSleeper,
    suspend,
  }) => {
    await gpu.load({ backend });
    await guest.run('swapoff -a');
    const sleeper = await startSleeper({ vram: 6, system: 24, objectSize: 16 * MIB });
    expect((await guest.meminfo()).get('MemAvailable')).toBeGreaterThan(512 * MIB);
    expect(await suspend('s3', { pmTest: 'freezer' })).not.toHaveProperty('refusal');
    expect(await sleeper.end()).toMatchObject({ ok: true });
    expect(await gpu.statistics()).toMatchObject({ faults: 0 });
  });
});

contract('suspend with two devices', { concurrent: true }, () => {
  test.override({ machine: 'pair', dmaBits: 40 });

  test('objects that the other device has pinned or attaches to, that a debugger writes to, and that nobody needs', async ({
    gpu,
    guest,
    backend,
    startSleeper,
    suspend,
  }) => {
    await gpu.load({ backend });
    const visitors = ['attached', 'debugged'] as const;
    const sleeper = await startSleeper({ ...QUIET, system: 8, pinned: true, purgeable: 8, visitors });
    const saved = await driverStat(guest, 'saved_bytes');
    // Time for both to come while it falls asleep.
    await gpu.throttle({ bandwidth: 16 * MIB });
    expect(await suspend('s3')).not.toHaveProperty('refusal');
    await gpu.throttle({});
    // What nobody needs was not worth saving.
    expect((await driverStat(guest, 'saved_bytes')) - saved).toBeLessThanOrEqual((QUIET.vram + 1) * OBJECT_SIZE);
    expect(await sleeper.verify()).toBeUndefined();
    expect(await suspend('s4')).not.toHaveProperty('refusal');
    expect(await sleeper.end()).toMatchObject({ ok: true, discarded: 16, retained: 0 });
    expect(await gpu.statistics()).toMatchObject({ faults: 0 });
  });
});

/** Bytes a second, or 0 for as many as it can. */
async function limitDisk(vm: Vm, bps: number): Promise<void> {
  const others = { bps_rd: 0, bps_wr: 0, iops: 0, iops_rd: 0, iops_wr: 0 };
  await vm.qmp('block_set_io_throttle', { device: 'swap', bps, ...others }, z.unknown());
}

contract('suspend with swap', { concurrent: true }, () => {
  test.override({ machine: 'tight', dmaBits: 40 });

  test('more in VRAM than there is free memory: it goes to swap; control: in .suspend, where other drivers move it, it finds no place', async ({
    gpu,
    guest,
    backend,
    startSleeper,
    suspend,
  }) => {
    await gpu.load({ backend });
    await fillAllBut(guest, 150 * MIB);
    const sleeper = await startSleeper({ vram: 100, system: 0, objectSize: OBJECT_SIZE });

    await guest.run(`echo Y > ${EVICT_IN_SUSPEND}`);
    const { refusal, stages } = await suspend('s3');
    expect(refusal).toMatch(/memory/i);
    expect(stages.map(({ name }) => name)).toContain('suspend-devices');
    expect(await blamedDevice(guest)).toBe(await gpu.pciAddress());
    expect((await guest.meminfo()).get('SwapFree')).toBeGreaterThan(100 * OBJECT_SIZE);
    expect(await sleeper.verify()).toBeUndefined();

    await guest.run(`echo N > ${EVICT_IN_SUSPEND}`);
    expect(await suspend('s3')).not.toHaveProperty('refusal');
    expect(await driverStat(guest, 'saved_swapped_pages')).toBeGreaterThan(0);
    expect(await sleeper.verify()).toBeUndefined();

    // Of the control: it was for want of memory that it refused, and what it moves stays there.
    await guest.run(`umount /run/filled && echo Y > ${EVICT_IN_SUSPEND}`);
    expect(await suspend('s3')).not.toHaveProperty('refusal');
    expect(await sleeper.verify()).toMatch(/^\d+: object \d+ is in system memory$/);
  });

  test('two programs that want more VRAM than there is: what of each was in VRAM is there, in the same frames', async ({
    gpu,
    guest,
    backend,
    record,
    startSleeper,
    suspend,
  }) => {
    await gpu.load({ backend });
    // Told apart by their size; together 5/4 of VRAM.
    const first = await startSleeper({ vram: 80, system: 0, objectSize: OBJECT_SIZE, overcommitted: true });
    const second = await startSleeper({ vram: 160, system: 0, objectSize: MIB, overcommitted: true });
    const before = vramOfObjects(await guest.read(FRAMES));
    const bytes = (size: number): number =>
      size * [...before.values()].filter(({ pages }) => pages * PAGE === size).length;
    Object.assign(record.metrics, { firstInVram: bytes(OBJECT_SIZE), secondInVram: bytes(MIB) });
    // Both have some of it, one not all that it wants, and hardly anything is left.
    expect(bytes(OBJECT_SIZE)).toBeGreaterThan(0);
    expect(bytes(OBJECT_SIZE)).toBeLessThan(160 * MIB);
    expect(bytes(MIB)).toBeGreaterThan(0);
    expect(bytes(OBJECT_SIZE) + bytes(MIB)).toBeGreaterThan(240 * MIB);
    expect(await suspend('s3')).not.toHaveProperty('refusal');
    expect(vramOfObjects(await guest.read(FRAMES))).toEqual(before);
    for (const sleeper of [first, second]) expect(await sleeper.verify()).toBeUndefined();
    for (const sleeper of [first, second]) expect(await sleeper.end()).toMatchObject({ ok: true, mismatches: 0 });
    expect(await gpu.statistics()).toMatchObject({ faults: 0 });
  });

  test('an alarm while VRAM is being saved ends the suspend, and nothing else', async ({
    gpu,
    backend,
    startSleeper,
    suspend,
  }) => {
    await gpu.load({ backend });
    const sleeper = await startSleeper(QUIET);
    // 32 MiB take two times as long as the alarm.
    await gpu.throttle({ bandwidth: 8 * MIB });
    const { refusal } = await suspend('s3', { alarmS: 2 });
    expect(refusal).toMatch(/busy/i);
    await gpu.throttle({});
    expect(await sleeper.verify()).toBeUndefined();
    expect(await suspend('s3')).not.toHaveProperty('refusal');
    expect(await sleeper.end()).toMatchObject({ ok: true });
  });
});

contract('suspend with swap', { concurrent: true }, () => {
  test.override({ machine: 'tight', dmaBits: 40, provokes: [NO_PLACE] });

  test('no swap, and more in VRAM than memory is left: refused at once, and no device is the worse for it; with a partition or a file to save it to, it sleeps', async ({
    vm,
    gpu,
    guest,
    backend,
    seed,
    startSleeper,
    suspend,
  }) => {
    await gpu.load({ backend });
    await guest.run('swapoff /dev/vda');
    const others = await OtherDevices.meet(vm, guest, { seed, atMiB: UNUSED_DISK_MIB });
    const sleeper = await startSleeper({ vram: 100, system: 0, objectSize: OBJECT_SIZE });
    await guest.runInBackground(`edgpu-stress hog --bytes ${String(300 * MIB)} --seed 1 --use once`, {
      until: 'holding',
    });
    const { refusal, stages } = await suspend('s3');
    expect(refusal).toMatch(/memory/i);
    expect(stages.map(({ name }) => name)).not.toContain('freeze');
    expect(await blamedDevice(guest)).toBe('');
    expect(await others.complaints()).toEqual([]);
    expect(await sleeper.verify()).toBeUndefined();
    expect(await driverStat(guest, 'sleeps_refused')).toBe(1);
    expect(await driverStat(guest, 'saved_bytes')).toBe(0);
    await guest.run(`echo /dev/vda > ${SUSPEND_FILE}`);
    // What waits for a slow disk must not be all the memory that is left.
    await limitDisk(vm, 8 * MIB);
    expect(await suspend('s3')).not.toHaveProperty('refusal');
    await limitDisk(vm, 0);
    expect(await sleeper.verify()).toBeUndefined();
    expect(await sleeper.end()).toMatchObject({ ok: true });
    expect(await others.complaints()).toEqual([]);
    await guest.killAll('hog');

    // Somebody has this file locked when it is written to, and waits for VRAM.
    await guest.run(`dd if=/dev/zero of=/run/store bs=1M count=128 2>/dev/null && echo /run/store > ${SUSPEND_FILE}`);
    const available = (await guest.meminfo()).get('MemAvailable') ?? NaN;
    const hog = Math.floor(available / MIB - 60) * MIB;
    await guest.runInBackground(`edgpu-stress hog --bytes ${String(hog)} --seed 1 --use once`, { until: 'holding' });
    const filing = await startSleeper({ vram: 50, system: 0, objectSize: OBJECT_SIZE, visitors: ['filed'] });
    expect(await suspend('s3', { pmTest: 'freezer' })).not.toHaveProperty('refusal');
    expect(await filing.end()).toMatchObject({ ok: true });
    expect(await driverStat(guest, 'objects_lost')).toBe(0);

    // Control: another device that is the worse for it is noticed.
    await guest.run(`dd if=/dev/zero of=/dev/vda bs=4096 count=1 seek=${String(UNUSED_DISK_MIB * 256)} oflag=direct`);
    await guest.run('for d in /sys/bus/virtio/drivers/virtio_rng/virtio*; do echo ${d##*/} > ${d%/*}/unbind; done');
    expect(await others.complaints()).toEqual([
      'disk: content is not what it was',
      'random numbers: none',
      'PCI: not as it was',
    ]);
  });

  test('no more VRAM is handed out than could be saved; control: without the budget it is the suspend that is refused', async ({
    gpu,
    guest,
    backend,
    startSleeper,
    suspend,
  }) => {
    const large: Desktop = { vram: 100, system: 0, objectSize: OBJECT_SIZE };
    await guest.run('swapoff /dev/vda');
    await guest.runInBackground(`edgpu-stress hog --bytes ${String(260 * MIB)} --seed 1 --use once`, {
      until: 'holding',
    });
    await gpu.load({ backend });
    const said = await startSleeper(large).then(() => 'it has all that it wants', String);
    expect(/"firstError": *"([^"]*)"/.exec(said)?.[1] ?? said).toMatch(/^GEM_MOVE: ENOMEM/);
    const sleeper = await startSleeper(QUIET);
    expect(await suspend('s3')).not.toHaveProperty('refusal');
    expect(await sleeper.end()).toMatchObject({ ok: true });
    await gpu.unload();

    await gpu.load({ backend, suspendBudget: false });
    const unbudgeted = await startSleeper(large);
    expect((await suspend('s3')).refusal).toMatch(/memory/i);
    expect(await unbudgeted.verify()).toBeUndefined();
    expect(await unbudgeted.end()).toMatchObject({ ok: true });
  });
});

contract('suspend with swap', { concurrent: true }, () => {
  const provokes = [/^PM: hibernation: Image allocation is \d+ pages short$/];
  test.override({ machine: 'tight', dmaBits: 40, provokes });

  test('little swap left: what is in VRAM finds a place, an image of all memory does not', async ({
    gpu,
    guest,
    backend,
    startSleeper,
    suspend,
  }) => {
    await gpu.load({ backend });
    // 192 MiB. Where the disk is slow the kernel writes far more than it has to, and what it has written takes swap
    // while it is in memory still: up to 77 MiB at 4 MiB/s.
    await guest.run('swapoff /dev/vda && mkswap /dev/vda 196608 && swapon /dev/vda');
    const sleeper = await startSleeper({ ...QUIET, writers: 1 });
    const available = (await guest.meminfo()).get('MemAvailable') ?? NaN;
    const hog = Math.floor((available + 64 * MIB) / MIB) * MIB;
    await guest.runInBackground(`edgpu-stress hog --bytes ${String(hog)} --seed 1 --use once`, { until: 'holding' });
    expect((await guest.meminfo()).get('SwapFree')).toBeLessThan(160 * MIB);
    expect(await suspend('s3')).not.toHaveProperty('refusal');
    expect(await sleeper.verify()).toBeUndefined();
    expect((await suspend('s4')).refusal).toMatch(/space|memory/i);
    expect(await sleeper.verify()).toBeUndefined();
    expect(await sleeper.end()).toMatchObject({ ok: true, mismatches: 0 });
    await guest.run('pidof hog');
  });
});

contract('suspend of a device that fails', { concurrent: true }, () => {
  test.override({ machine: 'noswap', dmaBits: 40 });

  test('an engine that faults, or hangs, while VRAM is saved and restored costs nothing', async ({
    gpu,
    guest,
    backend,
    startSleeper,
    suspend,
  }) => {
    await gpu.load({ backend });
    const sleeper = await startSleeper(QUIET);
    for (const [kind, at] of [
      ['error', 5],
      ['hang', 5],
      ['error', 80],
      ['hang', 80],
    ] as const) {
      const failure = `${kind} at ${String(at)}`;
      await gpu.inject({ kind, engine: 0, at });
      expect(await suspend('s3'), failure).not.toHaveProperty('refusal');
      expect(await gpu.pendingFailures()).toEqual([]);
      expect(await sleeper.verify(), failure).toBeUndefined();
    }
    expect(await sleeper.end()).toMatchObject({ ok: true });
    expect(await driverStat(guest, 'objects_lost')).toBe(0);
  });
});

contract('suspend of a device that fails', { concurrent: true }, () => {
  test.override({ machine: 'noswap', dmaBits: 40, provokes: [UNREACHABLE, NO_PLACE] });

  const deaths = [
    { when: 'while VRAM is saved', at: 5, refusal: /input\/output/i },
    { when: 'while VRAM is restored', at: 80 },
    { when: 'with all tasks frozen', stage: 'freeze' },
    { when: 'while devices are suspended', stage: 'suspend-devices' },
    { when: 'while devices are resumed', stage: 'resume-devices' },
  ] as const;

  test('one that dies on the way, wherever: no hang, and a new one works', async ({
    gpu,
    guest,
    backend,
    startSleeper,
    suspend,
  }) => {
    await gpu.load({ backend });
    for (const death of deaths) {
      const sleeper = await startSleeper(QUIET);
      if ('at' in death) await gpu.inject({ kind: 'dead', engine: 0, at: death.at });
      const onStage = async (stage: string): Promise<void> => {
        if ('stage' in death && stage === death.stage) await gpu.inject({ kind: 'dead' });
      };
      const { refusal } = await suspend('s3', { onStage });
      if ('refusal' in death) expect(refusal, death.when).toMatch(death.refusal);
      else expect(refusal, death.when).toBeUndefined();
      expect(await sleeper.verify(), death.when).toMatch(/SIGBUS|EIO|0xffffffffffffffff/);
      expect(await suspend('s3'), death.when).not.toHaveProperty('refusal');
      await replaceDevice(gpu, guest);
      await expectJob(guest, 'ok');
    }
  });
});

contract('suspend of a device that fails', { concurrent: true }, () => {
  test.override({ machine: 'noswap', dmaBits: 40, provokes: [UNREACHABLE] });

  test('one that is dead when the system wakes up costs its content, and says so; the system goes on', async ({
    gpu,
    guest,
    backend,
    startSleeper,
    suspend,
  }) => {
    await gpu.load({ backend });
    const sleeper = await startSleeper(QUIET);
    const die = async (stage: string): Promise<void> => {
      if (stage === 'asleep') await gpu.inject({ kind: 'dead' });
    };
    expect(await suspend('s3', { onStage: die })).not.toHaveProperty('refusal');
    expect(await driverStat(guest, 'objects_lost')).toBe(16);
    expect(await sleeper.verify()).toMatch(/SIGBUS|EIO/);
    expect(await suspend('s3')).not.toHaveProperty('refusal');
    await replaceDevice(gpu, guest);
    await expectJob(guest, 'ok');
    expect(await suspend('s3')).not.toHaveProperty('refusal');
    await expectJob(guest, 'ok');
  });
});

describeStress('suspend stress', 'noswap', suspendCycles);
