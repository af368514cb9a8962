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

/** With what probability the true rate is below the bound that is told. */
const CONFIDENCE = 0.95;

/**
 * Below which rate a test is that has not failed in so many runs: with that one they all pass in 5 % of cases (Clopper
 * and Pearson's upper bound; three in so many runs, where there are many).
 */
export function cleanBound(runs: number): number {
  return 1 - (1 - CONFIDENCE) ** (1 / runs);
}

/** `3 of 20 (15 %)`; of a test that has not failed, what that says: `0 of 20 (< 14 %)`. */
export function rateText({ failures, runs }: FailureRate): string {
  if (runs === 0) return '–';
  const share = failures === 0 ? `< ${percent(cleanBound(runs))}` : percent(failures / runs);
  return `${String(failures)} of ${String(runs)} (${share})`;
}

export function percent(share: number): string {
  const value = 100 * share;
  return `${value < 10 ? value.toPrecision(2) : String(Math.round(value))} %`;
}
