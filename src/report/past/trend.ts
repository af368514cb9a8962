/** What became of each test in the latest runs: a row a test, a cell a run. */
import { failureRate, type FailureRate } from '../judge/failure-rate.ts';
import type { TestResult } from '../run-report.ts';
import { testTitle } from '../text/result-text.ts';
import { identityOf, kernelName } from './baseline.ts';
import type { RecordedRun } from './history.ts';

export interface TrendRun {
  readonly id: number;
  readonly startedAt: string;
  readonly kernel: string;
}

export interface TrendCell {
  /** The worst, of a run that goes on for hours and has a test several times. */
  readonly status: TestResult['status'];
  readonly results: number;
}

export interface TrendRow {
  readonly suite: string;
  readonly test: string;
  /** With which parameters, where another row has the same test with others. */
  readonly parameters: string;
  /** One for each run; undefined where the run did not come to the test. */
  readonly cells: readonly (TrendCell | undefined)[];
  readonly rate: FailureRate;
}

export interface Trend {
  /** Newest first. */
  readonly runs: readonly TrendRun[];
  readonly rows: readonly TrendRow[];
}

const WORST_FIRST: readonly TestResult['status'][] = ['fail', 'error', 'xfail', 'pass', 'skip'];

/** `newest` are the latest runs, newest first; a test is in the place where the latest run has it. */
export function trendOf(newest: readonly RecordedRun[]): Trend {
  const rows = new Map<string, { readonly sample: TestResult; readonly byRun: Map<number, TestResult[]> }>();
  for (const { id, report } of newest) {
    for (const result of report.results.filter(({ notRun }) => !notRun)) {
      const row = rows.get(identityOf(result)) ?? { sample: result, byRun: new Map<number, TestResult[]>() };
      rows.set(identityOf(result), row);
      row.byRun.set(id, [...(row.byRun.get(id) ?? []), result]);
    }
  }
  const runs = newest.map(({ id, startedAt, report }) => ({ id, startedAt, kernel: kernelName(report) }));
  const titles = [...rows.values()].map(({ sample }) => testTitle(sample));
  const twice = new Set(titles.filter((title, index) => titles.indexOf(title) !== index));
  return {
    runs,
    rows: [...rows.values()].map(({ sample, byRun }) => ({
      suite: sample.suite,
      test: sample.test,
      parameters: twice.has(testTitle(sample)) ? parametersOf(sample) : '',
      cells: runs.map(({ id }) => cellOf(byRun.get(id) ?? [])),
      // A failure that is expected is none, and no success either.
      rate: failureRate([...byRun.values()].flat().filter(({ status }) => status !== 'xfail')),
    })),
  };
}

function parametersOf({ params }: TestResult): string {
  const named = Object.entries(params).filter(([name]) => name !== 'seed');
  return named.map(([name, value]) => `${name} ${String(value)}`).join(', ');
}

function cellOf(results: readonly TestResult[]): TrendCell | undefined {
  const status = WORST_FIRST.find((candidate) => results.some((result) => result.status === candidate));
  return status === undefined ? undefined : { status, results: results.length };
}
