/**
 * Hibernation as a contract: the machine is switched off, another one is switched on with the same disk, and who used the device
 * finds everything as it was. On machines of its own; `--machine` plays no part.
 */
import { describe, expect, inject } from 'vitest';
import { test } from '../suite/fixtures.ts';
import { hibernateCycles } from '../suite/sleep-schedule.ts';
import { stressSleep } from '../suite/sleep-stress.ts';
import type { SleeperOptions } from '../suite/sleeper.ts';

const MIB = 2 ** 20;
const OBJECT_SIZE = 2 * MIB;
/** Of the stress mode; each cycle has limits of its own. */
const LONGEST_MS = 24 * 3_600_000;

const { cycles, durationMs } = inject('rig').selection;
/** With --cycles or --duration there is nothing but stress. */
const stressed = cycles !== undefined || durationMs !== undefined;
const contract = describe.skipIf(stressed);

const DESKTOP: Omit<SleeperOptions, 'seed'> = { vram: 24, system: 8, objectSize: OBJECT_SIZE, busy: true, writers: 2 };

/** The same in less time: many cycles find more than many bytes. */
const SMALL_DESKTOP: Omit<SleeperOptions, 'seed'> = {
  ...DESKTOP,
  vram: 24,
  system: 8,
  objectSize: MIB / 4,
  writers: 1,
};

contract('hibernate', { concurrent: true }, () => {
  test.override({ machine: 'tight', dmaBits: 40 });

  test('engines at work, threads that write by mmap; switched off by firmware and by the kernel', async ({
    gpu,
    guest,
    backend,
    startSleeper,
    suspend,
  }) => {
    await gpu.load({ backend });
    const sleeper = await startSleeper(DESKTOP);
    for (const powerOff of ['platform', 'shutdown'] as const) {
      expect(await suspend('s4', { powerOff })).not.toHaveProperty('refusal');
      expect(await sleeper.verify()).toBeUndefined();
    }
    expect(await sleeper.end()).toMatchObject({ ok: true, mismatches: 0 });
    expect(await guest.run('cat /sys/kernel/debug/dri/128/stats')).toContain('objects_lost: 0\n');
    await gpu.unload();
  });

  test('control: VRAM that is not saved is missed', async ({ gpu, guest, backend, startSleeper, suspend }) => {
    await gpu.load({ backend });
    const sleeper = await startSleeper({ vram: 8, system: 0, objectSize: OBJECT_SIZE });
    await guest.run('echo Y > /sys/module/edgpu/parameters/skip_vram_save');
    expect(await suspend('s4')).not.toHaveProperty('refusal');
    expect(await sleeper.verify()).toMatch(/^\d+: object 0 at 0x0: /);
  });
});

contract('hibernate', { concurrent: true }, () => {
  test.override({ machine: 'noswap', dmaBits: 40 });

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

describe.runIf(stressed)('hibernate stress', () => {
  test.override({ machine: 'tight' });

  test(
    'cycle after cycle under load',
    { timeout: LONGEST_MS },
    async ({ gpu, backend, seed, record, annotate, suspend, startSleeper }) => {
      await stressSleep({
        ...{
          schedule: hibernateCycles(seed),
          cycles: cycles ?? Infinity,
          durationMs: durationMs ?? Infinity,
          record,
          annotate,
          suspend,
        },
        start: async () => {
          await gpu.load({ backend });
          return startSleeper(SMALL_DESKTOP);
        },
        stop: async (sleeper) => {
          expect(await sleeper.end()).toMatchObject({ ok: true, mismatches: 0 });
          await gpu.unload();
        },
      });
    },
  );
});
