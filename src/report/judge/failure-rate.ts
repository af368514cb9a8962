/** How often a test fails that does so only sometimes, by all that was recorded of it. */
import type { TestResult } from '../run-report.ts';

export interface FailureRate {
  readonly failures: number;
  readonly runs: number;
}

/** Each result is a run of its own, and so is each repetition by which a rate was measured. */
export function failureRate(results: readonly TestResult[]): FailureRate {
  let [failures, runs] = [0, 0];
  for (const { status, rate } of results) {
    if (status === 'skip') continue;
    runs += 1 + (rate?.runs ?? 0);
    failures += Number(status === 'fail' || status === 'error') + (rate?.failures ?? 0);
  }
  return { failures, runs };
}
