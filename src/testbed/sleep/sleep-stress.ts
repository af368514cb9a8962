/**
 * The stress mode of the suites suspend and hibernate: cycle after cycle of a schedule, under load, until the first
 * failure.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { median } from '../../util/median.ts';
import { RigError } from '../../util/rig-error.ts';
import type { SleepOptions } from '../../vm/sleep/sleep.ts';
import type { SleepRecord, SleepState } from '../../vm/sleep/sleep-stages.ts';
import type { TestRecord } from '../../plan/rig-context.ts';
import type { SleepCycle } from './sleep-schedule.ts';
import type { Sleeper } from '../programs/sleeper.ts';

interface SleepStress {
  readonly schedule: Iterator<SleepCycle, never>;
  readonly cycles: number;
  readonly durationMs: number;
  readonly record: TestRecord;
  readonly annotate: (message: string, type: string) => Promise<unknown>;
  readonly suspend: (state: SleepState, options: SleepOptions) => Promise<SleepRecord>;
  /** Loads the driver, starts the load; and the reverse. */
  readonly start: () => Promise<Sleeper>;
  readonly stop: (sleeper: Sleeper) => Promise<void>;
}

const PROGRESS_EVERY_MS = 10_000;

export async function stressSleep(stress: SleepStress): Promise<void> {
  const startedAt = performance.now();
  const times: Record<string, number[]> = {};
  let told = startedAt;
  let sleeper = await stress.start();
  let done = 0;
  for (; done < stress.cycles && performance.now() - startedAt < stress.durationMs; done++) {
    const cycle = stress.schedule.next().value;
    if (cycle.reload) {
      await stress.stop(sleeper);
      sleeper = await stress.start();
    }
    const totalMs = await runCycle(stress, cycle, sleeper, done + 1);
    (times[kindOf(cycle)] ??= []).push(totalMs);
    if (performance.now() - told < PROGRESS_EVERY_MS) continue;
    told = performance.now();
    await stress.annotate(progressText(done + 1, stress, told - startedAt), 'step');
  }
  await stress.stop(sleeper);
  stress.record.metrics['cycles'] = done;
  for (const [kind, each] of Object.entries(times)) {
    stress.record.metrics[`${kind}Cycles`] = each.length;
    stress.record.metrics[`${kind}MedianMs`] = Math.round(median(each));
    stress.record.metrics[`${kind}P95Ms`] = percentile(each, 0.95);
    stress.record.metrics[`${kind}LongestMs`] = percentile(each, 1);
  }
}

async function runCycle(stress: SleepStress, cycle: SleepCycle, sleeper: Sleeper, number: number): Promise<number> {
  await pause(cycle.awakeMs);
  const { totalMs, refusal } = await stress.suspend(cycle.state, cycle.options);
  const wrong = refusal === undefined ? await sleeper.verify() : `refused: ${refusal}`;
  if (wrong === undefined) return totalMs;
  throw new RigError('test', `Cycle ${String(number)} (${JSON.stringify(cycle)}): ${wrong}`, {
    remedy: `--seed ${String(stress.record.params['seed'])} repeats the schedule.`,
  });
}

function kindOf({ state, options }: SleepCycle): string {
  return options.pmTest === undefined ? state : 'pmTest';
}

export function progressText(
  done: number,
  { cycles, durationMs }: Pick<SleepStress, 'cycles' | 'durationMs'>,
  elapsedMs: number,
): string {
  const perCycleMs = elapsedMs / done;
  const leftMs = Math.min(durationMs - elapsedMs, (cycles - done) * perCycleMs);
  const of = Number.isFinite(cycles) ? ` of ${String(cycles)}` : '';
  return `${String(done)} cycles${of}, ${(perCycleMs / 1000).toFixed(1)} s each, ${String(Math.ceil(leftMs / 60_000))} min left`;
}

/** The smallest value that so many of all, or more, don't exceed. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return Math.round(sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? NaN);
}
