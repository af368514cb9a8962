/** A run held against an earlier one, and runs found again in the history. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { baselineText } from '../../../src/report/past/baseline-text.ts';
import { compareRuns, type Change } from '../../../src/report/past/baseline.ts';
import { History } from '../../../src/report/past/history.ts';
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

describe('since which kernel', () => {
  test('back to the last run that passed; runs that did not judge it are passed over', () => {
    const [a, b, c, d] = [run('a', {}), run('b', FAILS), run('c', { status: 'skip' }), run('d', FAILS)];
    const [change] = compareRuns(run('e', FAILS), a, [d, c, b, a]);
    expect(change).toMatchObject({ kind: 'new', detail: 'wrong content', since: { kernel: 'b', lastGood: 'a' } });
    expect(baselineText(change ? [change] : [], a)).toContain('since b; last passed with a');
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
    expect(baselineText(change ? [change] : [], a)).toContain('with this kernel it failed 2 of 4 times');
  });

  test('is not called fixed without a remark', () => {
    const [a, b] = [run('a', FAILS), run('a', {})];
    expect(baselineText(compareRuns(b, a, [a]), a)).toContain('failed 1 of 2 times: it may only have been lucky');
    expect(baselineText(compareRuns(run('b', {}), a, [a]), a)).not.toContain('lucky');
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

describe('the history', () => {
  const open = async (): Promise<{ history: History; file: string }> => {
    const folder = await mkdtemp(path.join(tmpdir(), 'dgpu-rig-test-'));
    onTestFinished(() => rm(folder, { recursive: true }));
    const file = path.join(folder, 'new/history.sqlite');
    return { history: History.open(file), file };
  };

  test('gives back what was recorded, newest first, also to another process', async () => {
    const { history, file } = await open();
    const reports = ['7.3.4', '7.3.5', '/src/linux at 0123456789ab'].map((version) => run(version, FAILS));
    const ids = reports.map((report, index) => history.record({ ...report, rig: `c0ffee${String(index)}` }));
    const other = History.open(file);
    expect(other.runs().map(({ id }) => id)).toEqual([...ids].reverse());
    expect(other.run(ids[1] ?? 0)?.report.kernel.version).toBe('7.3.5');
    const find = (kernel: string, rigCommit?: string, before = Infinity): number | undefined =>
      other.newestOf({ kernel, ...(rigCommit === undefined ? {} : { rigCommit }) }, Math.min(before, 2 ** 50))?.id;
    expect(find('7.3.4')).toBe(ids[0]);
    expect(find('0123456')).toBe(ids[2]);
    expect(find('nothing', 'c0ffee1')).toBe(ids[1]);
    expect(find('7.3.4', undefined, ids[0])).toBeUndefined();
    expect(find('%')).toBeUndefined();
  });

  test('that is no database is told of, with a remedy', async () => {
    const { history, file } = await open();
    history.close();
    for (const name of ['', '-wal', '-shm']) await writeFile(`${file}${name}`, 'not a database'.repeat(1000));
    expect(() => History.open(file)).toThrow(/can't be used/);
  });
});
