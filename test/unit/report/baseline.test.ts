/** A run held against an earlier one. */
import { describe, expect, test } from 'vitest';
import { baselineText } from '../../../src/report/past/baseline-text.ts';
import { compareRuns, haveTestsInCommon, type Change } from '../../../src/report/past/baseline.ts';
import { summarize, type RunReport, type TestResult } from '../../../src/report/run-report.ts';
import { SAMPLE_REPORT } from './sample-report.ts';

const RESULT: TestResult = {
  suite: 'smoke',
  test: 'keeps objects',
  params: { machine: 'tiers', dmaBits: 40, seed: 1 },
  status: 'pass',
  durationMs: 10_000,
  metrics: {},
  kernelReports: [],
};

let clock = 0;

function run(version: string, ...results: readonly Partial<TestResult>[]): RunReport {
  const all = results.map((result) => ({ ...RESULT, ...result }));
  const startedAt = new Date(Date.UTC(2026, 0, 1, 0, ++clock)).toISOString();
  const kernel = { version, patches: [] };
  return { ...SAMPLE_REPORT, kernel, startedAt, results: all, summary: summarize(all) };
}

const FAILS = { status: 'fail', failure: 'test', message: 'wrong content\nmore' } as const;

function kinds(changes: readonly Change[]): string[] {
  return changes.map(({ kind }) => kind);
}

describe('verdicts', () => {
  test.for([
    ['pass', 'pass', []],
    ['pass', 'fail', ['new']],
    ['pass', 'error', ['new']],
    ['fail', 'fail', ['still-failing']],
    ['error', 'fail', ['still-failing']],
    ['fail', 'pass', ['fixed']],
    ['skip', 'fail', ['new']],
    ['fail', 'skip', []],
    ['pass', 'xfail', []],
    ['xfail', 'fail', ['new']],
  ] as const)('%s, then %s: %o', ([then, now, expected]) => {
    const [baseline, current] = [run('1', { status: then }), run('2', { status: now })];
    expect(kinds(compareRuns(current, baseline, [baseline]))).toEqual(expected);
  });

  test('another seed is no other test; another mask is', () => {
    const baseline = run('1', { ...FAILS, params: { ...RESULT.params, seed: 7 } });
    expect(kinds(compareRuns(run('2', FAILS), baseline, []))).toEqual(['still-failing']);
    const other = run('1', { ...FAILS, params: { ...RESULT.params, dmaBits: 48 } });
    expect(kinds(compareRuns(run('2', FAILS), other, []))).toEqual(['new']);
  });
});

describe('a baseline that does not have the test', () => {
  const other = run('1', { suite: 'my' });

  test('is passed over: the latest run that has it says whether the failure is new', () => {
    const [bad, good] = [run('1', FAILS), run('1', {})];
    expect(kinds(compareRuns(run('2', FAILS), other, [other, bad, good]))).toEqual(['still-failing']);
    expect(kinds(compareRuns(run('2', FAILS), other, [other, good, bad]))).toEqual(['new']);
    expect(kinds(compareRuns(run('2', {}), other, [other, bad]))).toEqual([]);
  });

  test('nor any other: then that is said', () => {
    const changes = compareRuns(run('2', FAILS), other, [other]);
    expect(kinds(changes)).toEqual(['new']);
    expect(baselineText(changes, { id: 7, report: other })).toMatch(
      /^Against run 7 of 2026-.*\n.*\n.*\n +no earlier run has this test$/,
    );
  });

  test('has nothing in common with the run, or something', () => {
    expect(haveTestsInCommon(run('2', FAILS), other)).toBe(false);
    expect(haveTestsInCommon(run('2', FAILS, { suite: 'my' }), other)).toBe(true);
  });

  test('nor does one that did not come to it', () => {
    const cut = run('1', { status: 'skip', notRun: true });
    expect(haveTestsInCommon(run('2', FAILS), cut)).toBe(false);
    expect(haveTestsInCommon(cut, run('2', FAILS))).toBe(false);
  });
});

test('earlier runs are only read for what failed, then or now', () => {
  function* unreadable(): Generator<RunReport> {
    yield* [];
    throw new Error('read');
  }
  expect(compareRuns(run('2', {}), run('1', {}), unreadable())).toEqual([]);
  expect(() => compareRuns(run('2', FAILS), run('1', {}), unreadable())).toThrow('read');
});

test('of a run that has a test several times each of them counts', () => {
  const [change] = compareRuns(run('a', FAILS, {}), run('a', {}), [run('a', FAILS, {}, {})]);
  expect(change?.rate).toEqual({ failures: 2, runs: 5 });
});

describe('since which kernel', () => {
  test('back to the last run that passed; runs that did not judge it are passed over', () => {
    const [a, b, c, d] = [run('a', {}), run('b', FAILS), run('c', { status: 'skip' }), run('d', FAILS)];
    const [change] = compareRuns(run('e', FAILS), a, [d, c, b, a]);
    expect(change).toMatchObject({ kind: 'new', detail: 'wrong content', since: { kernel: 'b', lastGood: 'a' } });
    expect(baselineText(change ? [change] : [], { id: 7, report: a })).toContain('since b; last passed with a');
  });

  test('a failure without a history is of this kernel', () => {
    const [change] = compareRuns(run('e', FAILS), run('a'), []);
    expect(change?.since).toEqual({ kernel: 'e' });
  });
});

describe('what fails only sometimes', () => {
  test('is told by how often it does with that kernel, and not by a kernel since which it would', () => {
    const [a, b, c] = [run('a', {}), run('a', FAILS), run('a', {})];
    const [change] = compareRuns(run('a', FAILS), a, [c, b, a]);
    expect(change).toMatchObject({ kind: 'new', rate: { failures: 2, runs: 4 } });
    expect(change?.since).toBeUndefined();
    expect(baselineText(change ? [change] : [], { id: 7, report: a })).toContain(
      'with this kernel it failed 2 of 4 times',
    );
  });

  test('is not called fixed without a remark', () => {
    const [a, b] = [run('a', FAILS), run('a', {})];
    expect(baselineText(compareRuns(b, a, [a]), { id: 7, report: a })).toContain(
      'failed 1 of 2 times: it may only have been lucky',
    );
    expect(baselineText(compareRuns(run('b', {}), a, [a]), { id: 7, report: a })).not.toContain('lucky');
  });
});

test('of a long message it tells what was expected', () => {
  const message = `{"report":${'x'.repeat(500)}}: expected [ 'swapped' ] to deeply equal []`;
  const [change] = compareRuns(run('b', { ...FAILS, message }), run('a', {}), []);
  expect(change?.detail).toBe("expected [ 'swapped' ] to deeply equal []");
  const [other] = compareRuns(run('b', { ...FAILS, message: 'y'.repeat(500) }), run('a', {}), []);
  expect(other?.detail.length).toBeLessThan(200);
});

describe('pace', () => {
  test.for([
    [10_000, 14_000, []],
    [10_000, 16_000, ['slower']],
    [1000, 4000, []],
    [16_000, 10_000, []],
  ] as const)('%i ms, then %i ms: %o', ([then, now, expected]) => {
    const changes = compareRuns(run('2', { durationMs: now }), run('1', { durationMs: then }), []);
    expect(kinds(changes)).toEqual(expected);
  });

  test.for([
    ['less', [10, 11, 12], [14, 15, 13], ['slower']],
    ['less', [10, 11, 12], [11.5, 15, 14], []],
    ['less', [14, 15, 13], [10, 11, 12], ['faster']],
    ['more', [14, 15, 13], [10, 11, 12], ['slower']],
    ['more', [10, 11, 12], [14, 15, 13], ['faster']],
    ['less', [10, 10, 10], [10.5, 10.6, 10.7], []],
  ] as const)('of a bench (%s is better): %o, then %o', ([better, then, now, expected]) => {
    const measured = (values: readonly number[]): Partial<TestResult> => ({
      measurements: [
        { quantity: 'time', unit: 'ms', better, samples: { shmem: [...values] }, medians: {}, ratios: {} },
      ],
    });
    expect(kinds(compareRuns(run('2', measured(now)), run('1', measured(then)), []))).toEqual(expected);
  });
});
