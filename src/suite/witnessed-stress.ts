/** The stress program in the guest, and what every witness says afterwards. */
import { hearWitnesses, type DmaWitnesses } from './dma-witnesses.ts';
import type { Gpu, StressReport } from './gpu.ts';
import type { Guest } from './guest.ts';
import type { TestRecord } from './rig-context.ts';

const MIB = 2 ** 20;
export const USUAL_OBJECT_SIZE = 4 * MIB;
/** Minutes, where tens of seconds are usual: for a host with other work to do. */
const DEADLINE_MS = 300_000;

export interface StressFixtures {
  readonly guest: Guest;
  readonly gpu: Gpu;
  readonly seed: number;
  readonly record: TestRecord;
  readonly annotate: (message: string, type: string) => Promise<unknown>;
}

export interface WitnessedStress {
  readonly report: StressReport;
  readonly witnesses: DmaWitnesses;
}

/** Objects worth at least `bytes`; what was seen goes into the test's metrics. */
export async function stressWithWitnesses(
  fixtures: StressFixtures,
  bytes: number,
  objectSize: number,
): Promise<WitnessedStress> {
  const { guest, gpu, seed, record, annotate } = fixtures;
  const whole = Math.ceil(bytes / objectSize) * objectSize;
  await annotate(`stressing ${String(whole / MIB)} MiB`, 'step');
  const before = await guest.vmstat();
  const report = await gpu.stress({ bytes: whole, objectSize, seed, deadlineMs: DEADLINE_MS });
  const witnesses = await hearWitnesses(guest, gpu, before);
  Object.assign(record.metrics, witnesses, { bytesVerified: report.bytesVerified });
  return { report, witnesses };
}
