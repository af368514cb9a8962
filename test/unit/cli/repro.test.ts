/** What a recorded run says is enough to repeat what failed in it. */
import { expect, test } from 'vitest';
import {
  alike,
  combinationsOf,
  optionsOf,
  parseId,
  programsAsked,
  refuseBenches,
  requestOf,
  subjectsOf,
} from '../../../src/cli/run/repro-verb.ts';
import { exactly } from '../../../src/cli/run/failure-rates.ts';
import type { Session } from '../../../src/cli/session.ts';
import { repetition } from '../../../src/cli/run/run-conclusion.ts';
import { loadPlans } from '../../../src/config/plan.ts';
import { OUTSIDE_OF_TESTS, runReport, type RunReport, type TestResult } from '../../../src/report/run-report.ts';

function result(name: string, changes: Partial<TestResult> = {}): TestResult {
  const params = { machine: 'tiers', dmaBits: 40, flavour: 'plain', seed: 7 };
  return {
    suite: 'smoke',
    test: name,
    params,
    status: 'pass',
    durationMs: 1,
    metrics: {},
    kernelReports: [],
    ...changes,
  };
}

function recorded(results: TestResult[], changes: Partial<RunReport> = {}): RunReport {
  return runReport.parse({
    schema: 1,
    host: { cpus: 4, memoryBytes: 1, accelerator: 'tcg' },
    kernel: { version: '7.3.4', patches: [] },
    qemu: '10.0.13',
    seed: 7,
    results,
    summary: { pass: 0, fail: 0, skip: 0, error: 0, xfail: 0 },
    ...changes,
  });
}

const GIVEN = { accel: 'auto', keep: true, maxVms: 1 } as const;

test.for([
  ['12', { run: '12', test: undefined }],
  ['#12.3', { run: '#12', test: 3 }],
  ['last.1', { run: 'last', test: 1 }],
  ['v7.3.4', { run: 'v7.3.4', test: undefined }],
  ['7.3.4', { run: '7.3.4', test: undefined }],
] as const)('%s names a run, or one of its tests', ([id, parsed]) => expect(parseId(id)).toEqual(parsed));

test('a run means what failed in it; a number one test, whatever became of it', () => {
  const [good, bad, worse] = [result('good'), result('bad', { status: 'fail' }), result('worse', { status: 'error' })];
  const run = { id: 12, report: recorded([good, bad, worse]) };
  expect(subjectsOf(run, undefined).map((subject) => subject.test)).toEqual(['bad', 'worse']);
  expect(subjectsOf(run, 1).map((subject) => subject.test)).toEqual(['good']);
  expect(() => subjectsOf(run, 4)).toThrow('no test 4');
  expect(() => subjectsOf({ id: 13, report: recorded([good]) }, undefined)).toThrow('Nothing failed');
});

test('the same numbers are what a run ends with', () => {
  const results = [result('good'), result('bad', { status: 'fail' }), result('worse', { status: 'error' })];
  expect(repetition(12, results)).toContain('  12.2  smoke › bad\n  12.3  smoke › worse\n');
  expect(repetition(12, results.slice(0, 2))).toBe('Run what failed again: ./dgpu-rig repro 12\n\n');
  expect(repetition(12, results.slice(0, 1))).toBe('');
});

test('a suite that could not be loaded is no test that could be run again', () => {
  const broken = result(OUTSIDE_OF_TESTS, { status: 'error', failure: 'usage' });
  expect(repetition(12, [broken])).toBe('');
  expect(() => subjectsOf({ id: 12, report: recorded([broken]) }, undefined)).toThrow('Nothing failed');
});

test('kernels and seeds are kept apart', () => {
  const params = (flavour: string, seed: number): Pick<TestResult, 'params'> => ({ params: { flavour, seed } });
  const results = [result('a'), result('b', params('kasan', 7)), result('c', params('plain', 8)), result('d')];
  const groups = alike(results).map(({ flavour, seed, results: of }) => [
    flavour,
    seed,
    of.map(({ test: name }) => name),
  ]);
  expect(groups).toEqual([
    ['plain', 7, ['a', 'd']],
    ['kasan', 7, ['b']],
    ['plain', 8, ['c']],
  ]);
});

test('what was asked for is asked for again', () => {
  const asked = {
    machine: 'tight',
    dmaBits: [40],
    backend: 'backup',
    kernelSource: '/src/linux',
    cycles: 3,
    sanitize: true,
    ...{ kconfig: ['CONFIG_A=y'], patch: ['/a.patch'], append: 'quiet' },
  };
  const options = optionsOf(recorded([], { asked }), { flavour: 'lockdep', seed: 9 }, GIVEN);
  expect(options).toEqual({
    ...GIVEN,
    ...{ machine: 'tight', dmaBits: [40], backend: 'backup', kernelSrc: '/src/linux', cycles: 3, sanitize: true },
    ...{ kconfig: ['CONFIG_A=y'], patch: ['/a.patch'], append: 'quiet' },
    ...{ flavour: 'lockdep', seed: 9 },
  });
});

test('a program is run again with the files and the limit that it had; other runs have none', () => {
  const asked = { machine: 'tight', dmaBits: [40], backend: 'shmem' };
  const program = {
    ...{ exec: ['/tmp/t'], put: [{ from: '/home/t', to: '/tmp/' }] },
    ...{ share: [{ folder: '/src', at: '/mnt/src' }], install: [] },
  };
  expect(programsAsked(recorded([], { asked: { ...asked, ...program, timeoutMs: 9 } }))).toEqual({
    ...program,
    timeout: 9,
  });
  expect(programsAsked(recorded([], { asked }))).toEqual({});
  expect(programsAsked(recorded([]))).toEqual({});
});

test('a case of a program is run again by its program', () => {
  const [program, ofProgram] = [result('/tmp/t -x'), result('/tmp/t -x > a', { caseOf: '/tmp/t -x' })];
  expect(exactly([ofProgram])).toEqual(exactly([program]));
  expect(exactly([program, ofProgram])).toEqual(exactly([program]));
});

test('where nobody had chosen a machine, the tests of wide masks have the one that they had', () => {
  const wider = { than: 40, machine: 'tiers' };
  const asked = { machine: 'tiers-46', wider, dmaBits: [32, 48], backend: 'shmem' };
  const signal = new AbortController().signal;
  const session = { progress: { emit: () => undefined }, signal } as unknown as Session;
  const request = requestOf(recorded([], { asked }), { flavour: 'plain', seed: 9 }, GIVEN, session);
  expect(request).toMatchObject({ anyMachine: false, selection: { machine: 'tiers-46', wider } });
});

test('of a run that was recorded before that was, the usual is taken', () => {
  const options = optionsOf(recorded([]), { flavour: 'plain', seed: undefined }, GIVEN);
  expect(options).toMatchObject({ machine: 'tiers', dmaBits: [32, 40, 48], backend: 'shmem', seed: 7 });
});

test('a combination of the matrix is found by its name', async () => {
  const plans = await loadPlans();
  const name = 'tiers 40-bit backup wc plain';
  const found = combinationsOf([result(`${name} > content is kept, and limits are`, { suite: 'matrix' })], plans);
  expect(found).toEqual([{ machine: 'tiers', dmaBits: 40, backend: 'backup', caching: 'wc', flavour: 'plain' }]);
  expect(combinationsOf([result(`${name} > x`)], plans)).toEqual([]);
});

test('a bench is measured again by its own verb', () => {
  const again = (suite: string): void => refuseBenches({ seed: 7 }, [{ suite }], ['smoke', 'swap']);
  expect(() => again('smoke')).not.toThrow();
  expect(() => again('device')).toThrow(
    expect.objectContaining({ remedy: expect.stringContaining('./dgpu-rig bench device --seed 7') as string }) as Error,
  );
});
