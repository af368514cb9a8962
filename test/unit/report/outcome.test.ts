import { describe, expect, test } from 'vitest';
import { runExitCode, statusOf } from '../../../src/report/judge/outcome.ts';

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
    [['timeout', 'test'], 1],
  ] as const)('%o: %i', ([failures, code]) => {
    expect(runExitCode([...failures])).toBe(code);
  });
});

test('what is wrong with the product is a fail, what kept us from judging it an error', () => {
  expect(['test', 'kernel'].map((name) => statusOf(name as 'test'))).toEqual(['fail', 'fail']);
  expect(['usage', 'infrastructure', 'timeout'].map((name) => statusOf(name as 'test'))).toEqual(
    Array(3).fill('error'),
  );
});
