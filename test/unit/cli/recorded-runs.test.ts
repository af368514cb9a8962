/** Recorded runs, by what a person calls them. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { findComparable, findRun } from '../../../src/cli/run/recorded-runs.ts';
import { History } from '../../../src/report/past/history.ts';
import type { RunReport, TestResult } from '../../../src/report/run-report.ts';
import { SAMPLE_REPORT } from '../report/sample-report.ts';

async function historyOf(...suites: readonly string[]): Promise<History> {
  const folder = await mkdtemp(path.join(tmpdir(), 'dgpu-rig-test-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const history = History.open(folder);
  for (const suite of suites) history.record(runOf(suite));
  return history;
}

function runOf(suite: string): RunReport {
  const results = SAMPLE_REPORT.results.slice(0, 1).map((result): TestResult => ({ ...result, suite }));
  return { ...SAMPLE_REPORT, results };
}

test('by number, as the latest, and by kernel', async () => {
  const history = await historyOf('a', 'b', 'c');
  const find = async (name: string, before = Infinity): Promise<number> => (await findRun(history, name, before)).id;
  expect([await find('2'), await find('#2'), await find('last'), await find('last', 3)]).toEqual([2, 2, 3, 2]);
  expect(await find('7.3.4')).toBe(3);
});

test('one that is not there is answered with those that are, a line each, with their suites', async () => {
  const history = await historyOf('a', 'b');
  await expect(findRun(history, '999', Infinity)).rejects.toMatchObject({
    message: 'There is no run 999; the latest is 2.',
    remedy: expect.stringMatching(/^2 .*passed.* b .*\n +1 .* a /) as string,
  });
  await expect(findRun(history, 'nonsense', Infinity)).rejects.toThrow('No run is called nonsense');
  await expect(findRun(await historyOf(), 'last', Infinity)).rejects.toThrow('No run has been recorded yet.');
});

test('a run is compared with the latest that has one of its tests', async () => {
  const history = await historyOf('a', 'b', 'c');
  expect(findComparable(history, runOf('a'), Infinity).id).toBe(1);
  expect(() => findComparable(history, runOf('d'), Infinity)).toThrow('none to compare it with');
});
