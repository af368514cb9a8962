/** Reports of shards become one: nothing is lost, and nothing that failed comes out as passed. */
import { describe, expect, test } from 'vitest';
import { lostJobText, mergeShards } from '../../../src/report/past/merge-shards.ts';
import { reportExitCode } from '../../../src/report/judge/outcome.ts';
import { runReport, summarize, type RunReport, type TestResult } from '../../../src/report/run-report.ts';
import { SAMPLE_REPORT } from './sample-report.ts';

const passed: TestResult = {
  ...{ suite: 'smoke', test: 'a', params: {}, status: 'pass', durationMs: 1, metrics: {}, kernelReports: [] },
};
const failed: TestResult = { ...passed, status: 'fail', failure: 'kernel', message: 'KASAN' };
const brokenHost: TestResult = { ...passed, status: 'error', failure: 'infrastructure', message: 'SSH is gone' };

function shard(index: number, of: number, ...results: TestResult[]): RunReport {
  return runReport.parse({ ...SAMPLE_REPORT, shard: { index, of }, results, summary: summarize(results) });
}

test('results come in the order of shards, with the sum of their counts', () => {
  const merged = mergeShards([shard(2, 2, failed), shard(1, 2, passed)]);
  expect(merged.results.map(({ status }) => status)).toEqual(['pass', 'fail']);
  expect(merged.summary).toMatchObject({ pass: 1, fail: 1 });
  expect(merged.shard).toBeUndefined();
  expect(reportExitCode(merged)).toBe(3);
});

test('a shard without a report is an infrastructure error, with the reason that is known', () => {
  const merged = mergeShards([shard(1, 3, passed), shard(3, 3, passed)], { reasons: new Map([[2, 'TIMEOUT']]) });
  expect(merged.results[1]).toMatchObject({ status: 'error', failure: 'infrastructure' });
  expect(merged.results[1]?.message).toContain('TIMEOUT');
  expect(reportExitCode(merged)).toBe(4);
});

describe('what failed on a node that was lost', () => {
  const merge = (again: TestResult, before: TestResult): RunReport =>
    mergeShards([shard(1, 1, again)], { lost: [{ shard: 1, node: 'n7', results: [before] }] });

  test('has failed, though it passed when it ran again', () => {
    const merged = merge(passed, failed);
    expect(merged.results).toMatchObject([{ status: 'fail', failure: 'kernel', rate: { failures: 0, runs: 1 } }]);
    expect(merged.results[0]?.message).toMatch(/failed on n7.*it said: pass\.\nKASAN/);
    expect(reportExitCode(merged)).toBe(3);
  });

  test('is there, though it did not run again', () => {
    expect(merge({ ...passed, test: 'b' }, failed).results.map(({ status }) => status)).toEqual(['pass', 'fail']);
  });

  test('is not counted twice', () => expect(merge(failed, failed).results).toEqual([failed]));

  test('is not the test, when it was the host', () => {
    const merged = merge(passed, brokenHost);
    expect(merged.results).toEqual([passed]);
    expect(merged.lostJobs?.map(lostJobText)).toEqual([
      'Shard 1 was lost with n7, after 1 test, and ran again from its beginning.',
    ]);
    expect(reportExitCode(merged)).toBe(0);
  });
});

describe('refused', () => {
  test('two of the same shard', () =>
    expect(() => mergeShards([shard(1, 2, passed), shard(1, 2, passed)])).toThrow(/same shard/));
  test('shards of different runs', () => {
    const other = shard(2, 2, passed);
    const older = { ...other, kernel: { ...other.kernel, version: '7.3.1' } };
    expect(() => mergeShards([shard(1, 2, passed), older])).toThrow(/not of one run.* Linux \(.* and 7\.3\.1\)\.$/);
    expect(() => mergeShards([shard(1, 2, passed), shard(2, 3, passed)])).toThrow(/number of shards \(2 and 3\)/);
  });
  test('shards whose kernels have one version and two sources, and it is said which differs', () => {
    const [one, two] = [1, 2].map((index) => ({
      ...shard(index, 2, passed),
      sources: { linux: `hash${String(index)}`, qemu: 'same' },
    }));
    if (one === undefined || two === undefined) throw new Error('there are two');
    expect(() => mergeShards([one, two])).toThrow(/differ in the hash of the source of linux \(hash1 and hash2\)\.$/);
    expect(mergeShards([one, { ...two, sources: one.sources }]).sources).toEqual(one.sources);
  });
  test('what is no shard, and nothing at all', () => {
    expect(() => mergeShards([SAMPLE_REPORT])).toThrow(/not of a shard/);
    expect(() => mergeShards([])).toThrow(/No shard/);
  });
});
