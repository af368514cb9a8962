/** What the latest runs say of each test, and of one that has never failed. */
import { describe, expect, test } from 'vitest';
import { htmlTrend } from '../../../src/report/html/html-trend.ts';
import { cleanBound, failureRate, rateText } from '../../../src/report/judge/failure-rate.ts';
import { cleanRunsText } from '../../../src/report/past/clean-runs-text.ts';
import type { RecordedRun } from '../../../src/report/past/history.ts';
import { trendOf, type Trend } from '../../../src/report/past/trend.ts';
import { placeholderResult, type TestResult } from '../../../src/report/run-report.ts';
import { SAMPLE_REPORT } from './sample-report.ts';

type Given = Pick<TestResult, 'test' | 'status'> & Partial<TestResult>;

function run(id: number, kernel: string, ...results: readonly Given[]): RecordedRun {
  const startedAt = `2026-11-${String(id).padStart(2, '0')}T05:00:00.000Z`;
  const made = results.map((result) => ({ ...placeholderResult({ suite: 'swap', message: '', ...result }) }));
  return { id, startedAt, report: { ...SAMPLE_REPORT, kernel: { version: kernel, patches: [] }, results: made } };
}

function shown({ rows }: Trend): string[] {
  return rows.map(({ test: name, parameters, cells, rate }) => {
    const marks = cells.map((cell) => cell?.status ?? '·').join(' ');
    return `${name}${parameters && ` [${parameters}]`}: ${marks}, ${String(rate.failures)}/${String(rate.runs)}`;
  });
}

describe('a row a test, a cell a run', () => {
  test('newest first, and nothing where a run did not come to the test', () => {
    const trend = trendOf([
      run(3, 'b', { test: 'one', status: 'pass' }, { test: 'new', status: 'skip' }),
      run(2, 'a', { test: 'one', status: 'skip', notRun: true }),
      run(1, 'a', { test: 'one', status: 'fail' }, { test: 'old', status: 'xfail' }),
    ]);
    expect(trend.runs.map(({ id, kernel }) => `${String(id)} ${kernel}`)).toEqual(['3 b', '2 a', '1 a']);
    expect(shown(trend)).toEqual(['one: pass · fail, 1/2', 'new: skip · ·, 0/0', 'old: · · xfail, 0/0']);
  });

  test('the worst of several results, with all of them in the rate', () => {
    const trend = trendOf([
      run(1, 'a', ...(['pass', 'error', 'pass'] as const).map((status) => ({ test: 'one', status }))),
      run(0, 'a', { test: 'one', status: 'fail', rate: { failures: 2, runs: 10 } }),
    ]);
    expect(shown(trend)).toEqual(['one: error fail, 4/14']);
    expect(trend.rows[0]?.cells[0]).toEqual({ status: 'error', results: 3 });
  });

  test('one for each set of parameters, which are told where they tell rows apart', () => {
    const params = { machine: 'tiers', seed: 1 };
    const results = [params, { ...params, seed: 2 }, { machine: 'tight' }];
    const trend = trendOf([run(1, 'a', ...results.map((p) => ({ test: 'one', status: 'pass' as const, params: p })))]);
    expect(shown(trend)).toEqual(['one [machine tiers]: pass, 0/2', 'one [machine tight]: pass, 0/1']);
  });
});

describe('what so many passes say', () => {
  test('with the true rate at the bound, all pass in 5 % of cases', () => {
    for (const runs of [1, 2, 12, 300]) expect((1 - cleanBound(runs)) ** runs).toBeCloseTo(0.05, 10);
    // The rule of three.
    expect(cleanBound(300)).toBeCloseTo(3 / 300, 3);
  });

  test.for([
    [0, 0, '–'],
    [0, 1, '0 of 1 (< 95 %)'],
    [0, 12, '0 of 12 (< 22 %)'],
    [0, 1000, '0 of 1000 (< 0.30 %)'],
    [3, 20, '3 of 20 (15 %)'],
  ] as const)('%i of %i: %s', ([failures, runs, text]) => expect(rateText({ failures, runs })).toBe(text));

  test('a skipped test was not judged', () => {
    const results = [placeholderResult({ suite: 's', test: 't', status: 'skip', message: '' })];
    expect(failureRate(results)).toEqual({ failures: 0, runs: 0 });
  });
});

describe('after a run that repeats its tests', () => {
  const results = (statuses: readonly TestResult['status'][], name: string): TestResult[] =>
    statuses.map((status) => placeholderResult({ suite: 's', test: name, status, message: '' }));

  test('one line says what those prove that never failed', () => {
    expect(cleanRunsText([...results(['pass', 'pass', 'pass'], 'a'), ...results(['pass', 'pass'], 'b')])).toBe(
      '2 tests passed 2 to 3 times and never failed: that shows, with a confidence of 95 %, a rate of failures below 78 %.\n\n',
    );
  });

  test('and none where there is nothing to say', () => {
    expect(cleanRunsText(results(['pass'], 'a'))).toBe('');
    expect(cleanRunsText(results(['pass', 'fail', 'pass'], 'a'))).toBe('');
    expect(cleanRunsText(results(['skip', 'skip', 'pass'], 'a'))).toBe('');
  });
});

describe('as HTML', () => {
  const nasty = `<b>"it's" & >`;
  const page = htmlTrend(
    trendOf([
      run(2, nasty, { test: nasty, status: 'fail' }, { test: 'fine', status: 'pass' }),
      run(1, 'a', { test: 'fine', status: 'pass' }),
    ]),
  );

  test('needs nothing from anywhere', () => {
    expect(page).not.toMatch(/(src|href)="(https?:)?\/\//);
    expect(page).not.toMatch(/<(script|link|img|iframe)\b|@import|url\(/);
  });

  test('escapes what others wrote', () => {
    expect(page).not.toContain('<b>"it');
    expect(page).toContain('&lt;b&gt;&quot;it&#39;s&quot; &amp;');
  });

  test('says in words what a mark means, and beside each row how often it failed', () => {
    expect(page.match(/role="img" aria-label="passed"/g)).toHaveLength(2);
    expect(page.match(/role="img" aria-label="failed"/g)).toHaveLength(1);
    expect(page).toContain('0 of 2 (&lt; 78 %)');
    expect(page).toContain('1 of 1 (100 %)');
  });

  test('has a heading over the runs of each kernel', () => {
    expect(page.match(/<th scope="colgroup" colspan="1"/g)).toHaveLength(2);
  });
});
