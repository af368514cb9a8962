/** A test program in the guest, and what every witness says afterwards. */
import type { z } from 'zod';
import { countFailures, failingEnvironment, prepareFailures } from '../programs/allocation-failures.ts';
import { hearWitnesses, type DmaWitnesses } from './dma-witnesses.ts';
import type { Gpu } from '../device/gpu.ts';
import type { Guest } from '../guest/guest.ts';
import type { TestRecord } from '../../plan/rig-context.ts';
import { runProgram, smokeReport, type ProgramReport, type SmokeReport } from '../programs/stress-program.ts';

const MIB = 2 ** 20;
export const USUAL_OBJECT_SIZE = 4 * MIB;
/** Minutes, where tens of seconds are usual: for a host with other work to do. */
const DEADLINE_MS = 600_000;

export interface StressFixtures {
  readonly guest: Guest;
  readonly gpu: Gpu;
  readonly seed: number;
  /** Have allocations of the program fail. */
  readonly failAllocations: boolean;
  readonly record: TestRecord;
  readonly annotate: (message: string, type: string) => Promise<unknown>;
}

export interface Witnessed<Report extends ProgramReport> {
  readonly report: Report;
  readonly witnesses: DmaWitnesses;
}

/** Runs a program to its end; what was seen goes into the test's metrics. */
export async function runWithWitnesses<Report extends ProgramReport>(
  { guest, gpu, seed, failAllocations, record, annotate }: StressFixtures,
  name: string,
  options: Readonly<Record<string, string | number>>,
  report: z.ZodType<Report>,
): Promise<Witnessed<Report>> {
  await annotate(`running ${name}`, 'step');
  if (failAllocations) await prepareFailures(guest);
  const environment = { EDGPU_UNIT: gpu.unit, ...(failAllocations ? failingEnvironment(seed) : {}) };
  const before = await guest.vmstat();
  const run = { name, options: { ...options, seed }, report, deadlineMs: DEADLINE_MS, environment };
  const said = await runProgram(guest, run);
  const witnesses = await hearWitnesses(guest, gpu, before);
  Object.assign(record.metrics, witnesses);
  // One that found something wrong has ended there: a control, and perhaps before the first refusal.
  if (failAllocations) record.metrics['failedAllocations'] = await countFailures(guest, { required: said.ok });
  return { report: said, witnesses };
}

/** Objects worth at least `bytes`, written, moved, swapped and verified. */
export async function stressWithWitnesses(
  fixtures: StressFixtures,
  bytes: number,
  objectSize: number,
): Promise<Witnessed<SmokeReport>> {
  const whole = Math.ceil(bytes / objectSize) * objectSize;
  const options = { bytes: whole, 'object-size': objectSize };
  const outcome = await runWithWitnesses(fixtures, 'smoke', options, smokeReport);
  fixtures.record.metrics['bytesVerified'] = outcome.report.bytesVerified;
  return outcome;
}
