/** The mark of a verdict, and its word: colour is never all that tells them apart. */
import type { TestResult } from '../run-report.ts';

type Status = TestResult['status'];

export const MARKS: Readonly<Record<Status, string>> = { pass: '✓', fail: '✗', error: '!', xfail: '≈', skip: '–' };
export const WORDS: Readonly<Record<Status, string>> = {
  pass: 'passed',
  fail: 'failed',
  error: 'could not be judged',
  xfail: 'failed as expected',
  skip: 'skipped',
};
