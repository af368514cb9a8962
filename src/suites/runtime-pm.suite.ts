/**
 * Runtime PM: a device that nobody uses for a while goes to D3hot, and loses what is in VRAM there. Who uses it next
 * finds content and placement as they were; the device itself counts how often it lost its memory, and the host reads
 * that, not the driver.
 */
import { expect } from 'vitest';
import { test } from '../testbed/fixtures.ts';
import type { Guest } from '../testbed/guest/guest.ts';
import { allowNaps, POWER, untilAsleep } from '../testbed/sleep/naps.ts';
import { contract, driverStat, OBJECT_SIZE, QUIET, replaceDevice, UNREACHABLE } from '../testbed/sleep/sleep-suite.ts';
import { programReport, runProgram } from '../testbed/programs/stress-program.ts';

const MIB = 2 ** 20;
const DEADLINE_MS = 300_000;

/** Until a counter of the driver has reached something. */
async function untilCounted(guest: Guest, name: string, least: number): Promise<void> {
  await guest.run(
    `until [ $(sed -n 's/^${name}: //p' /sys/kernel/debug/dri/128/stats) -ge ${String(least)} ]; do sleep 0.1; done`,
    { deadlineMs: DEADLINE_MS },
  );
}

contract('runtime PM', { concurrent: true }, () => {
  test.override({ machine: 'noswap', dmaBits: 40 });

  test('a device that nobody uses sleeps, loses its memory, and wakes up with all of it', async ({
    gpu,
    guest,
    backend,
    startSleeper,
  }) => {
    await gpu.load({ backend });
    const sleeper = await startSleeper(QUIET);
    const losses = await gpu.vramGeneration();
    await allowNaps(guest, 300);
    for (let turn = 0; turn < 3; turn++) {
      await untilAsleep(guest);
      expect(await sleeper.verify()).toBeUndefined();
    }
    await guest.run(`echo on > ${POWER}/control`);
    const naps = await driverStat(guest, 'runtime_resumes');
    expect(naps).toBeGreaterThanOrEqual(3);
    expect((await gpu.vramGeneration()) - losses).toBe(naps);
    expect(await driverStat(guest, 'saved_bytes')).toBe(naps * 16 * OBJECT_SIZE);
    expect(await driverStat(guest, 'restored_bytes')).toBe(naps * 16 * OBJECT_SIZE);
    expect(await sleeper.end()).toMatchObject({ ok: true });
    expect(await gpu.statistics()).toMatchObject({ faults: 0 });
  });

  test('threads that write by mmap wake it; jobs keep it awake; asleep it is suspended, closed and unloaded', async ({
    gpu,
    guest,
    backend,
    startSleeper,
    suspend,
  }) => {
    await gpu.load({ backend });
    await allowNaps(guest, 100);
    const sleeper = await startSleeper({ ...QUIET, writers: 2 });
    await untilCounted(guest, 'runtime_resumes', (await driverStat(guest, 'runtime_resumes')) + 5);
    expect(await sleeper.verify()).toBeUndefined();
    expect(await suspend('s3')).not.toHaveProperty('refusal');
    await untilCounted(guest, 'runtime_resumes', (await driverStat(guest, 'runtime_resumes')) + 2);
    expect(await sleeper.end()).toMatchObject({ ok: true, mismatches: 0 });

    const busy = await startSleeper({ ...QUIET, busy: true });
    // Each job takes longer than the device would wait for the next one.
    await gpu.throttle({ latencyNs: 400_000_000 });
    await untilCounted(guest, 'runtime_busy', (await driverStat(guest, 'runtime_busy')) + 2);
    await gpu.throttle({});
    expect(await busy.end()).toMatchObject({ ok: true, mismatches: 0 });

    const quiet = await startSleeper(QUIET);
    await untilAsleep(guest);
    expect(await suspend('s3')).not.toHaveProperty('refusal');
    expect(await quiet.verify()).toBeUndefined();
    await untilAsleep(guest);
    const sleeps = await driverStat(guest, 'runtime_suspends');
    await guest.killAll('sleeper');
    // It is woken to let go of the objects: nobody is left to whom they would be worth being kept.
    await untilCounted(guest, 'runtime_resumes', sleeps);
    await untilAsleep(guest);
    const { stdout } = await guest.exec('grep ^vram /sys/kernel/debug/dri/128/lru');
    expect(stdout).toBe('');
    await gpu.unload();
    expect(await gpu.statistics()).toMatchObject({ faults: 0 });
  });

  test('control: VRAM that is not saved is missed', async ({ gpu, guest, backend, startSleeper }) => {
    await gpu.load({ backend });
    const sleeper = await startSleeper(QUIET);
    await guest.run('echo Y > /sys/module/edgpu/parameters/skip_vram_save');
    await allowNaps(guest, 100);
    await untilAsleep(guest);
    expect(await sleeper.verify()).toMatch(/^\d+: object 0 at 0x0: /);
  });
});

contract('runtime PM', { concurrent: true }, () => {
  test.override({ machine: 'noswap', dmaBits: 40, provokes: [UNREACHABLE] });

  test('one that dies asleep costs its content, and says so; without a place for it, it stays awake', async ({
    gpu,
    guest,
    backend,
    seed,
    startSleeper,
  }) => {
    await gpu.load({ backend });
    const full = await startSleeper({ vram: 60, system: 0, objectSize: OBJECT_SIZE });
    const available = (await guest.meminfo()).get('MemAvailable') ?? NaN;
    const hog = Math.floor(available / MIB - 80) * MIB;
    await guest.runInBackground(`edgpu-stress hog --bytes ${String(hog)} --seed 1 --use once`, { until: 'holding' });
    await allowNaps(guest, 100);
    await untilCounted(guest, 'runtime_refused', 2);
    expect(await driverStat(guest, 'runtime_suspends')).toBe(0);
    expect(await full.verify()).toBeUndefined();
    await guest.killAll('hog');
    expect(await full.end()).toMatchObject({ ok: true });

    const sleeper = await startSleeper(QUIET);
    await untilAsleep(guest);
    await gpu.inject({ kind: 'dead' });
    expect(await sleeper.verify()).toMatch(/SIGBUS|EIO/);
    expect(await driverStat(guest, 'objects_lost')).toBe(16);
    await replaceDevice(gpu, guest);
    const job = { name: 'job', options: { expect: 'ok', seed }, report: programReport, deadlineMs: DEADLINE_MS };
    expect(await runProgram(guest, job)).toMatchObject({ ok: true });
  });
});
