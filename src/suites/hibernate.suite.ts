/**
 * Hibernation as a contract: the machine is switched off, another one is switched on with the same disk, and who used
 * the device finds everything as it was. On machines of its own; `--machine` plays no part.
 */
import { expect, inject } from 'vitest';
import { testedCases } from '../plan/tested-cases.ts';
import { test } from '../testbed/fixtures.ts';
import { watchImage } from '../testbed/sleep/hibernation-image.ts';
import { hibernateCycles } from '../testbed/sleep/sleep-schedule.ts';
import {
  contract,
  DESKTOP,
  describeStress,
  driverStat,
  OBJECT_SIZE,
  QUIET,
  replaceDevice,
  UNREACHABLE,
} from '../testbed/sleep/sleep-suite.ts';

contract('hibernate', { concurrent: true }, () => {
  test.override({ machine: 'tight', dmaBits: 40 });

  test('engines at work, threads that write by mmap; switched off by firmware and by the kernel; VRAM is in the image once', async ({
    vm,
    gpu,
    guest,
    backend,
    record,
    startSleeper,
    suspend,
  }) => {
    await gpu.load({ backend });
    // Nothing is swapped only for the image to be smaller.
    await guest.run(`echo ${String(2 ** 40)} > /sys/power/image_size`);
    const sleeper = await startSleeper({ ...DESKTOP, purgeable: 8 });
    for (const powerOff of ['platform', 'shutdown'] as const) {
      const { onStage, bytes } = await watchImage({ vm, guest, gpu });
      expect(await suspend('s4', { powerOff, onStage })).not.toHaveProperty('refusal');
      const { image, others, saved, restored, thawed } = await bytes();
      Object.assign(record.metrics, { image, others, saved });
      // Two writers, one that is copied to and small ones are there, too; of what nobody needs, nothing is saved.
      expect(saved).toBeLessThanOrEqual((DESKTOP.vram + 4) * OBJECT_SIZE);
      // Once, and that it is no less means that a second copy would be seen.
      expect(image).toBeLessThan(others + saved);
      expect(image).toBeGreaterThan(others);
      // It comes back once, in the machine that resumes, and not for the time of writing the image.
      expect([restored, thawed < OBJECT_SIZE]).toEqual([saved, true]);
      expect(await sleeper.verify()).toBeUndefined();
    }
    expect(await sleeper.end()).toMatchObject({ ok: true, mismatches: 0 });
    expect(await guest.run('cat /sys/kernel/debug/dri/128/stats')).toContain('objects_lost: 0\n');
    await gpu.unload();
  });

  test.for(testedCases(['backup', 'legacy'] as const, (other) => other === 'backup'))(
    'backend %s',
    { concurrent: true },
    async (other, { gpu, startSleeper, suspend }) => {
      await gpu.load({ backend: other });
      const sleeper = await startSleeper({ ...QUIET, system: 40, writers: 1 });
      expect(await suspend('s3')).not.toHaveProperty('refusal');
      expect(await sleeper.verify()).toBeUndefined();
      expect(await suspend('s4')).not.toHaveProperty('refusal');
      expect(await sleeper.end()).toMatchObject({ ok: true, mismatches: 0 });
    },
  );

  test('control: VRAM that is not saved is missed', async ({ gpu, guest, backend, startSleeper, suspend }) => {
    await gpu.load({ backend });
    const sleeper = await startSleeper({ vram: 8, system: 0, objectSize: OBJECT_SIZE });
    await guest.run('echo Y > /sys/module/edgpu/parameters/skip_vram_save');
    expect(await suspend('s4')).not.toHaveProperty('refusal');
    expect(await sleeper.verify()).toMatch(/^\d+: object 0 at 0x0: /);
  });
});

contract('hibernate', { concurrent: true }, () => {
  test.override({ machine: 'tight', dmaBits: 40, provokes: [UNREACHABLE] });

  const deaths = [
    // Its state is in the image by then, and the machine that wakes up has another one.
    { stage: 'image-write', lost: 0 },
    // Of a dead device the kernel saves a configuration that can't be restored.
    { stage: 'freeze', lost: QUIET.vram },
    { stage: 'image-read', lost: QUIET.vram },
  ] as const;

  test('a device that dies on the way: what was not lost with it is there, and a new one works', async ({
    gpu,
    guest,
    backend,
    startSleeper,
    suspend,
  }) => {
    await gpu.load({ backend });
    for (const { stage, lost } of deaths) {
      const sleeper = await startSleeper(QUIET);
      const onStage = async (now: string): Promise<void> => {
        if (now === stage) await gpu.inject({ kind: 'dead' });
      };
      expect(await suspend('s4', { onStage }), stage).not.toHaveProperty('refusal');
      expect(await driverStat(guest, 'objects_lost'), stage).toBe(lost);
      if (lost === 0) {
        expect(await sleeper.verify(), stage).toBeUndefined();
        expect(await sleeper.end(), stage).toMatchObject({ ok: true });
      } else {
        expect(await sleeper.verify(), stage).toMatch(/SIGBUS|EIO/);
        await replaceDevice(gpu, guest);
      }
    }
    const sleeper = await startSleeper(QUIET);
    expect(await suspend('s4')).not.toHaveProperty('refusal');
    expect(await sleeper.end()).toMatchObject({ ok: true });
  });
});

contract('hibernate', { concurrent: true }, () => {
  const provokes = [/^PM: Cannot find swap device, try swapon -a$/, /^PM: Cannot get swap writer$/];
  test.override({ machine: 'noswap', dmaBits: 40, provokes });

  test('nowhere to write the image to: refused, and everything goes on', async ({
    gpu,
    backend,
    startSleeper,
    suspend,
  }) => {
    await gpu.load({ backend });
    const sleeper = await startSleeper(DESKTOP);
    expect((await suspend('s4')).refusal).toMatch(/\w/);
    expect(await sleeper.verify()).toBeUndefined();
    expect(await suspend('s3')).not.toHaveProperty('refusal');
    expect(await sleeper.end()).toMatchObject({ ok: true });
  });
});

/** What KASAN knows of 512 MiB leaves too little of them to hold an image of the rest. */
const roomy = inject('rig').selection.flavour === 'kasan' ? 'tiers' : 'tight';

describeStress('hibernate stress', roomy, hibernateCycles);
