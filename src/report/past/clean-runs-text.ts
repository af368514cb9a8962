/** What a test says that was run again and again and never failed: not that it can't fail, but how often at most. */
import { cleanBound, percent } from '../judge/failure-rate.ts';
import type { TestResult } from '../run-report.ts';
import { identityOf } from './baseline.ts';

/** One line for all of them; nothing where no test ran twice without a failure. */
export function cleanRunsText(results: readonly TestResult[]): string {
  const tests = new Map<string, TestResult[]>();
  for (const result of results.filter(({ status }) => status !== 'skip')) {
    tests.set(identityOf(result), [...(tests.get(identityOf(result)) ?? []), result]);
  }
  const clean = [...tests.values()].filter((all) => all.every(({ status }) => status === 'pass'));
  const counts = clean.map(({ length }) => length).filter((times) => times > 1);
  if (counts.length === 0) return '';
  const [fewest, most] = [Math.min(...counts), Math.max(...counts)];
  const times = fewest === most ? String(most) : `${String(fewest)} to ${String(most)}`;
  const tested = counts.length === 1 ? 'One test' : `${String(counts.length)} tests`;
  return `${tested} passed ${times} times and never failed: that shows, with a confidence of 95 %, a rate of failures below ${percent(cleanBound(fewest))}.\n\n`;
}
