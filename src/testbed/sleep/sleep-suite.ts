/**
 * What the suites suspend and hibernate have in common: a desktop to put to sleep, and the stress mode of `--cycles`
 * and `--duration`.
 */
import { describe, expect, inject } from 'vitest';
import { test } from '../fixtures.ts';
import type { Gpu } from '../device/gpu.ts';
import type { Guest } from '../guest/guest.ts';
import { stressTimeout, type SleepCycle } from './sleep-schedule.ts';
import { stressSleep } from './sleep-stress.ts';
import type { SleeperOptions } from '../programs/sleeper.ts';

const MIB = 2 ** 20;
export const OBJECT_SIZE = 2 * MIB;

export type Desktop = Omit<SleeperOptions, 'seed'>;

/** Something of everything: objects in VRAM and in memory, engines at work, programs that draw by CPU. */
export const DESKTOP: Desktop = { vram: 24, system: 8, objectSize: OBJECT_SIZE, busy: true, writers: 2 };
export const QUIET: Desktop = { vram: 16, system: 4, objectSize: OBJECT_SIZE };

/** What the kernel says when it puts a device to sleep, or wakes one up, that does not answer. */
export const UNREACHABLE = /: Unable to change power state from \w+ to \w+, device inaccessible$/;

/** What the driver counts, from debugfs. */
export async function driverStat(guest: Guest, name: string): Promise<number> {
  const stats = await guest.read('/sys/kernel/debug/dri/128/stats');
  return Number(new RegExp(`^${name}: (\\d+)$`, 'm').exec(stats)?.[1]);
}

/** A device that is dead goes; another one is in its place. */
export async function replaceDevice(gpu: Gpu, guest: Guest): Promise<void> {
  const address = (await guest.run('basename $(readlink -f /sys/class/drm/renderD128/device)')).trim();
  await guest.run(`echo 1 > /sys/bus/pci/devices/${address}/remove`);
  await gpu.clearFailures();
  await guest.run('echo 1 > /sys/bus/pci/rescan && test -c /dev/dri/renderD128');
}

/** The same in less time: many cycles find more than many bytes. */
const SMALL_DESKTOP: Desktop = { ...DESKTOP, objectSize: MIB / 4, writers: 1 };

const { cycles, durationMs } = inject('rig').selection;
/** With --cycles or --duration there is nothing but stress. */
const stressed = cycles !== undefined || durationMs !== undefined;
export const contract = describe.skipIf(stressed);

export function describeStress(
  name: string,
  machine: string,
  scheduleOf: (seed: number) => Iterator<SleepCycle, never>,
): void {
  describe.runIf(stressed)(name, () => {
    test.override({ machine });

    test(
      'cycle after cycle under load',
      { timeout: stressTimeout(durationMs) },
      async ({ gpu, backend, seed, record, annotate, suspend, startSleeper }) => {
        await stressSleep({
          schedule: scheduleOf(seed),
          cycles: cycles ?? Infinity,
          durationMs: durationMs ?? Infinity,
          record,
          annotate,
          suspend,
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
}
