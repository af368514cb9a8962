/**
 * Everybody at once: objects of two devices, a program that keeps anonymous memory, one that starts other programs, and
 * page cache; together more than the 768 MiB of machine `crowd`.
 */
import type { z } from 'zod';
import type { Gpu } from '../device/gpu.ts';
import type { Guest } from '../guest/guest.ts';
import {
  hogReport,
  readerReport,
  smokeReport,
  spawnReport,
  type ProgramReport,
  type SmokeReport,
} from '../programs/stress-program.ts';
import { runWithWitnesses, type StressFixtures, type Witnessed } from './witnessed-stress.ts';

const MIB = 2 ** 20;
const OBJECT_SIZE = 4 * MIB;
/** Of objects, by device. */
export const CROWD_BYTES = [320 * MIB, 192 * MIB] as const;
const HOG = 160 * MIB;
const CACHE = 192 * MIB;
const PROGRAM = 8 * MIB;

type Outcome<Report extends ProgramReport> = PromiseSettledResult<Witnessed<Report>>;

/**
 * How it ended for each: the devices' programs work for a while, the others until these are done. One that was killed
 * has no report.
 */
export interface Crowd {
  readonly devices: readonly Outcome<SmokeReport>[];
  readonly hog: Outcome<z.infer<typeof hogReport>>;
  readonly spawn: Outcome<z.infer<typeof spawnReport>>;
  readonly reader: Outcome<z.infer<typeof readerReport>>;
}

export async function runCrowd(fixtures: StressFixtures, gpu1: Gpu): Promise<Crowd> {
  const { guest } = fixtures;
  const onDevice = (gpu: Gpu, bytes: number): Promise<Witnessed<SmokeReport>> =>
    runWithWitnesses({ ...fixtures, gpu }, 'smoke', { 'object-size': OBJECT_SIZE, bytes }, smokeReport);
  const devices = Promise.allSettled([onDevice(fixtures.gpu, CROWD_BYTES[0]), onDevice(gpu1, CROWD_BYTES[1])]).finally(
    () => endOthers(guest),
  );
  const [hog, spawn, reader] = await Promise.allSettled([
    runWithWitnesses(fixtures, 'hog', { bytes: HOG }, hogReport),
    runWithWitnesses(fixtures, 'spawn', { bytes: PROGRAM }, spawnReport),
    runWithWitnesses(fixtures, 'reader', { bytes: CACHE }, readerReport),
  ]);
  return { devices: await devices, hog, spawn, reader };
}

async function endOthers(guest: Guest): Promise<void> {
  for (const program of ['hog', 'spawn', 'reader']) await guest.exec(`killall -TERM ${program}`);
}

/** What one that got through has to say. */
export function survivor<Report extends ProgramReport>(outcome: Outcome<Report>): Witnessed<Report> {
  if (outcome.status === 'fulfilled') return outcome.value;
  throw outcome.reason;
}

/** How many did not get through, or found something wrong. */
export function casualties({ devices, hog, spawn, reader }: Crowd): number {
  const all: Outcome<ProgramReport>[] = [...devices, hog, spawn, reader];
  return all.filter((outcome) => outcome.status === 'rejected' || !outcome.value.report.ok).length;
}
