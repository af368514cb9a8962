/** A run in the form that KernelCI collects: what becomes of each verdict, and that identifiers are the same again. */
import { describe, expect, test } from 'vitest';
import { kcidbReport } from '../../../src/report/formats/kcidb-report.ts';
import { kcidbDocument, type KcidbDocument } from '../../../src/report/formats/kcidb-schema.ts';
import { placeholderResult, type RunReport, type TestResult } from '../../../src/report/run-report.ts';
import { SAMPLE_REPORT } from './sample-report.ts';

function documentOf(report: RunReport): KcidbDocument {
  return JSON.parse(kcidbReport(report)) as KcidbDocument;
}

function withResults(...results: readonly Partial<TestResult>[]): RunReport {
  const base = placeholderResult({ suite: 'swap', test: 'kept', status: 'pass', message: '' });
  return { ...SAMPLE_REPORT, results: results.map((result) => ({ ...base, ...result })) };
}

const SAMPLE: RunReport = { ...SAMPLE_REPORT, sources: { linux: 'f00' } };
const sample = documentOf(SAMPLE);
const [, failed] = SAMPLE_REPORT.results;

test('is what the schema says, and every reference leads somewhere', () => {
  expect(kcidbDocument.parse(sample)).toEqual(sample);
  const idsOf = (list: readonly { readonly id: string }[]): string[] => list.map(({ id }) => id);
  expect(idsOf(sample.checkouts)).toEqual([sample.builds[0]?.checkout_id]);
  for (const { build_id } of sample.tests) expect(idsOf(sample.builds)).toContain(build_id);
  for (const { issue_id, test_id } of sample.incidents) {
    expect(idsOf(sample.issues)).toContain(issue_id);
    expect(idsOf(sample.tests)).toContain(test_id);
  }
  for (const list of [sample.tests, sample.issues, sample.incidents]) {
    expect(new Set(idsOf(list)).size).toBe(list.length);
  }
});

test('each verdict has its word', () => {
  const statusOf = (result: Partial<TestResult>): string | undefined =>
    documentOf(withResults(result)).tests[0]?.status;
  expect(statusOf({ status: 'pass' })).toBe('PASS');
  expect(statusOf({ status: 'fail', failure: 'test' })).toBe('FAIL');
  expect(statusOf({ status: 'xfail' })).toBe('FAIL');
  expect(statusOf({ status: 'skip' })).toBe('SKIP');
  expect(statusOf({ status: 'skip', notRun: true })).toBe('MISS');
  expect(statusOf({ status: 'error', failure: 'timeout' })).toBe('ERROR');
  expect(statusOf({ status: 'error', failure: 'usage' })).toBe('ERROR');
  expect(statusOf({ status: 'error', failure: 'infrastructure' })).toBe('MISS');
});

describe('the path of a test', () => {
  const pathOf = (name: string): string | undefined => documentOf(withResults({ test: name })).tests[0]?.path;

  test('has its groups', () =>
    expect(pathOf('dma-bits 40 > keeps objects')).toBe('dgpu_rig.swap.dma-bits_40.keeps_objects'));

  test('keeps names apart that differ in what no path has', () => {
    expect(pathOf('a ≤ b')).not.toBe(pathOf('a ≥ b'));
    expect(pathOf('a.b')).not.toBe(pathOf('a b'));
    expect(pathOf('…')).toMatch(/^dgpu_rig\.swap\.-[0-9a-f]{6}$/);
  });
});

test('a kernel bug is one issue, in whichever run it comes, with an incident for each test', () => {
  const [issue] = sample.issues;
  expect(issue).toMatchObject({ categories: ['kernel.kasan'], culprit: { code: true } });
  const twice = documentOf(withResults(failed ?? {}, { ...failed, test: 'another' }));
  expect(twice.issues.map(({ id }) => id)).toEqual([issue?.id]);
  expect(twice.incidents).toHaveLength(2);
});

test('what a test provokes is no issue, and what is known to fail is one', () => {
  const [bug] = failed?.kernelReports ?? [];
  if (!bug) throw new Error('the sample has a bug');
  const provoked = withResults({ kernelReports: [{ ...bug, expected: true }] });
  const noted = withResults({ kernelReports: [{ ...bug, severity: 'note' }] });
  for (const report of [provoked, noted]) expect(documentOf(report).issues).toEqual([]);
  const known = documentOf(withResults({ status: 'xfail', message: 'Expected until 2027-01-01: a reason\nmore' }));
  expect(known.issues).toMatchObject([{ report_subject: 'swap › kept: Expected until 2027-01-01: a reason' }]);
});

test('the same run has the same identifiers again, and another run has other tests of the same builds', () => {
  expect(documentOf(SAMPLE)).toEqual(sample);
  const later = documentOf({ ...SAMPLE, startedAt: '2026-11-22T05:00:00.000Z' });
  expect(later.builds[0]?.id).toBe(sample.builds[0]?.id);
  expect(later.tests[0]?.id).not.toBe(sample.tests[0]?.id);
});

test('a tree with changes of its own is a checkout of that run alone; a commit is the same everywhere', () => {
  const other = '2026-11-22T05:00:00.000Z';
  const checkoutsOf = (kernel: RunReport['kernel']): KcidbDocument['checkouts'] =>
    [SAMPLE_REPORT.startedAt, other].flatMap(
      (startedAt) => documentOf({ ...SAMPLE_REPORT, startedAt, kernel }).checkouts,
    );
  const [dirty, dirtyLater] = checkoutsOf({ version: '/linux at 1234', patches: [] });
  expect(dirty?.id).not.toBe(dirtyLater?.id);
  expect(dirty).not.toHaveProperty('git_commit_hash');
  const commit = 'a'.repeat(40);
  const [clean, cleanLater] = checkoutsOf({ version: '/linux at aaaa', patches: [], patchset: '', commit });
  expect(clean).toMatchObject({ id: cleanLater?.id, git_commit_hash: commit, patchset_hash: '' });
});

test('no hash is no claim that there are no patches', () => {
  const [checkout] = documentOf({ ...SAMPLE, kernel: { version: '7.3.4', patches: ['0001-a.patch'] } }).checkouts;
  expect(checkout).not.toHaveProperty('patchset_hash');
});

test('each flavour is a build, and a test that has none is of the first', () => {
  const report = withResults(
    { params: { flavour: 'kasan' } },
    { params: { flavour: 'plain' } },
    { test: '(not begun)' },
  );
  const { builds, tests } = documentOf(report);
  expect(builds.map(({ config_name }) => config_name)).toEqual(['kasan', 'plain']);
  expect(tests.map(({ build_id }) => builds.findIndex(({ id }) => id === build_id))).toEqual([0, 1, 0]);
});

test('the same flavour with options of one’s own is another build', () => {
  const asked = { machine: 'tiers', dmaBits: [40], backend: 'shmem', kconfig: ['CONFIG_SW_SYNC=y'] };
  const [own] = documentOf({ ...SAMPLE, asked }).builds;
  expect(own?.comment).toContain('CONFIG_SW_SYNC=y');
  expect(own?.id).not.toBe(sample.builds[0]?.id);
});

test('a figure of a bench is a test with a number', () => {
  const figures = sample.tests.filter(({ number }) => number);
  expect(figures).toMatchObject([
    { path: 'dgpu_rig.mmap.is_measured.time_per_GiB_to_evict.shmem', status: 'DONE', number: { value: 1, unit: 'ms' } },
    { path: 'dgpu_rig.mmap.is_measured.time_per_GiB_to_evict.legacy', number: { value: 4, unit: 'ms' } },
  ]);
});

test('what a guest says is cut to what may be sent', () => {
  const [long] = documentOf(withResults({ status: 'fail', message: `\0${'😀'.repeat(20_000)}` })).tests;
  expect(long?.log_excerpt).toHaveLength(16_383);
  expect(long?.log_excerpt).toMatch(/^\uFFFD😀/);
});
