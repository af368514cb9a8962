import { describe, expect, test } from 'vitest';
import { reportExitCode, runExitCode, statusOf } from '../../../src/report/judge/outcome.ts';
import type { TestResult } from '../../../src/report/run-report.ts';

describe('exit code of a run', () => {
  test.for([
    [[], 0],
    [['test'], 1],
    [['usage'], 2],
    [['kernel'], 3],
    [['infrastructure'], 4],
    [['timeout'], 5],
    [['infrastructure', 'test', 'kernel'], 3],
    [['infrastructure', 'timeout'], 5],
    [['usage', 'kernel'], 3],
    [['timeout', 'test'], 1],
    // One suite with a typo hides nothing that the others found.
    [['usage', 'kernel'], 3],
    [['usage', 'test'], 1],
    [['infrastructure', 'usage'], 2],
  ] as const)('%o: %i', ([failures, code]) => {
    expect(runExitCode([...failures])).toBe(code);
  });
});

test.for([
  ['interrupted', [], 130],
  ['interrupted', ['kernel'], 130],
  ['killed', [], 4],
  ['killed', ['kernel'], 3],
] as const)('exit code of a run that was %s, with %o: %i', ([how, failures, code]) => {
  const results = failures.map((failure) => ({ failure }) as TestResult);
  expect(reportExitCode({ results, cutShort: { how, message: '' } })).toBe(code);
});

test('what is wrong with the product is a fail, what kept us from judging it an error', () => {
  expect(['test', 'kernel'].map((name) => statusOf(name as 'test'))).toEqual(['fail', 'fail']);
  expect(['usage', 'infrastructure', 'timeout'].map((name) => statusOf(name as 'test'))).toEqual(
    Array(3).fill('error'),
  );
});
