/** What vitest tells of its tests becomes results: each once, and none that an abort made up. */
import { beforeEach, expect, test } from 'vitest';
import type { SerializedError, TestCase, TestModule, TestSpecification } from 'vitest/node';
import { RigReporter } from '../../../src/report/judge/rig-reporter.ts';
import type { TestResult } from '../../../src/report/run-report.ts';
import type { RigEvent } from '../../../src/util/rig-event.ts';

const [SMOKE, SWAP] = ['/rig/smoke.suite.ts', '/rig/swap.suite.ts'];

let abort: AbortController;
let events: RigEvent[];
let told: TestResult[];
let reporter: RigReporter;

beforeEach(() => {
  [abort, events, told] = [new AbortController(), [], []];
  reporter = new RigReporter({
    emit: (event) => void events.push(event),
    onResult: (result) => void told.push(result),
    signal: abort.signal,
  });
  reporter.onTestRunStart([SMOKE, SWAP].map((moduleId) => ({ moduleId }) as unknown as TestSpecification));
});

interface Case {
  readonly mode?: 'run' | 'skip';
  readonly state?: 'passed' | 'failed' | 'skipped';
  readonly errors?: readonly object[];
  readonly rig?: object;
  readonly subtests?: readonly object[];
}

function testCase(name: string, { mode = 'run', state = 'passed', errors = [], rig, subtests }: Case = {}): TestCase {
  return {
    ...{ id: name, fullName: name, module: { moduleId: SMOKE }, options: { mode }, project: { name: 'suites' } },
    result: () => ({ state, errors }),
    meta: () => ({ ...(rig ? { rig } : {}), ...(subtests ? { subtests } : {}) }),
    diagnostic: () => ({ duration: 1 }),
  } as unknown as TestCase;
}

function collect(...tests: TestCase[]): void {
  const children = { allTests: () => tests };
  reporter.onTestModuleCollected({ moduleId: SMOKE, children, errors: () => [] } as unknown as TestModule);
}

function statuses(): string[] {
  return reporter.results.map(({ suite, test: name, status, notRun }) => {
    return `${suite} ${name} ${status}${notRun ? ', not run' : ''}`;
  });
}

const ABORTED = { message: 'The VM has been ended.', failureClass: 'infrastructure' };
const KASAN = { kernelReports: [{ kind: 'kasan', severity: 'bug', title: 'KASAN', lines: [], count: 1 }] };

test('what an interrupted run did not come to is told, test by test where they are known', () => {
  const [one, two, three] = [testCase('one'), testCase('two'), testCase('three', { mode: 'skip' })];
  collect(one, two, three);
  reporter.onTestCaseResult(one);
  abort.abort();
  reporter.addNotRun({ flavour: 'plain' });
  expect(statuses()).toEqual(['smoke one pass', 'smoke two skip, not run', 'swap (not begun) skip, not run']);
  expect(told).toEqual(reporter.results);
});

test('a test that fails because it is aborted is not run; its step ends', () => {
  const one = testCase('one', { state: 'failed', errors: [ABORTED] });
  collect(one);
  reporter.onTestCaseReady(one);
  abort.abort();
  reporter.onTestCaseResult(one);
  reporter.addNotRun({});
  expect(statuses()[0]).toBe('smoke one skip, not run');
  expect(events.at(-1)).toMatchObject({ type: 'step-end', id: 'one', outcome: 'skipped' });
});

test('a worker that the signal ended before it could ignore it is no error of the run', () => {
  const lost = { message: '[vitest-pool]: Worker forks emitted error.' } as SerializedError;
  abort.abort();
  reporter.onTestRunEnd([], [lost]);
  expect(reporter.results).toEqual([]);
  reporter.onTestRunEnd([], [{ message: 'boom' }]);
  expect(reporter.results).toMatchObject([{ status: 'error', failure: 'infrastructure', message: 'boom' }]);
});

test('a worker that ends by itself is an error', () => {
  reporter.onTestRunEnd([], [{ message: '[vitest-pool]: Worker forks emitted error.' }]);
  expect(reporter.results).toMatchObject([{ status: 'error' }]);
});

test('a kernel bug is one, whenever it is told', () => {
  const one = testCase('one', { state: 'failed', errors: [ABORTED], rig: KASAN });
  collect(one);
  abort.abort();
  reporter.onTestCaseResult(one);
  expect(reporter.results[0]).toMatchObject({ status: 'fail', failure: 'kernel' });
});

test('what else the kernel noted of a test that failed is told with it, unless the test provoked it', () => {
  const note = (title: string, expected = false): object => {
    return { kind: 'drm-error', severity: 'note', title, expected, lines: [], count: 1 };
  };
  const kernelReports = [note('engine 0 fault'), note('hung in slot 3', true)];
  const one = testCase('one', { state: 'failed', errors: [{ message: 'wrong content' }], rig: { kernelReports } });
  collect(one);
  reporter.onTestCaseResult(one);
  const texts = events.flatMap((event) => (event.type === 'notice' ? [event.text] : []));
  expect(texts).toEqual([expect.stringContaining('kernel: engine 0 fault')]);
  expect(texts.join()).not.toContain('hung in slot');
});

test('each case that a program reported is a result behind that of the program', () => {
  const subtests = [
    { name: 'a', status: 'pass' },
    { name: 'b', status: 'fail', message: 'expected 3' },
  ];
  const params = { machine: 'tiers' };
  const rig = { params, metrics: { bootMs: 1 }, kernelReports: [] };
  const one = testCase('/tmp/t', {
    state: 'failed',
    errors: [{ message: '1 of 2', failureClass: 'test' }],
    rig,
    subtests,
  });
  collect(one);
  reporter.onTestCaseResult(one);
  const [program, ...cases] = reporter.results;
  expect(program).toMatchObject({ test: '/tmp/t', status: 'fail', params, metrics: { bootMs: 1 } });
  const common = { suite: 'smoke', caseOf: '/tmp/t', params, kernelReports: [], metrics: {} };
  expect(cases).toMatchObject([
    { ...common, test: '/tmp/t > a', status: 'pass' },
    { ...common, test: '/tmp/t > b', status: 'fail', failure: 'test', message: 'expected 3' },
  ]);
  expect(told).toEqual(reporter.results);
});

test('what vitest tells of twice when it is cancelled counts once', () => {
  const one = testCase('one');
  collect(one);
  reporter.onTestCaseResult(one);
  abort.abort();
  reporter.onTestCaseResult(one);
  expect(statuses()).toEqual(['smoke one pass']);
});

test('a test that is begun and ended again when it is cancelled is one step', () => {
  const [one, two] = [testCase('one', { state: 'skipped' }), testCase('two', { state: 'skipped' })];
  collect(one, two);
  reporter.onTestCaseReady(one);
  abort.abort();
  for (const again of [one, one, two]) {
    reporter.onTestCaseResult(again);
    reporter.onTestCaseReady(again);
  }
  const steps = events.filter(({ type }) => type === 'step-start' || type === 'step-end');
  expect(steps).toMatchObject([
    { type: 'step-start', id: 'one' },
    { type: 'step-end', id: 'one' },
  ]);
});

test('of a run that comes to its end nothing is left', () => {
  const one = testCase('one');
  collect(one);
  reporter.onTestCaseResult(one);
  const module = { moduleId: SWAP, relativeModuleId: SWAP, children: { allTests: () => [] } };
  reporter.onTestModuleEnd({
    ...module,
    diagnostic: () => ({ duration: 1 }),
    errors: () => [],
  } as unknown as TestModule);
  reporter.addNotRun({});
  expect(statuses()).toEqual(['smoke one pass']);
});

test('a test that skips itself was asked for, and one that the filter leaves out was not', () => {
  const asked: string[] = [];
  reporter = new RigReporter({
    emit: () => undefined,
    onResult: ({ test: name }, matches) => void asked.push(`${name} ${String(matches)}`),
    signal: abort.signal,
  });
  const cases = [testCase('one', { state: 'skipped' }), testCase('two', { mode: 'skip', state: 'skipped' })];
  collect(...cases);
  for (const each of cases) reporter.onTestCaseResult(each);
  expect(asked).toEqual(['one true', 'two false']);
});

const RESET = { name: 'Error', message: 'read ECONNRESET' };
const ASSERTION = { name: 'AssertionError', message: 'expected 1 to be 2' };

test.for([
  ['an assertion', ASSERTION, 'test'],
  ['a property that does not hold', { name: 'Error', message: 'Property failed', cause: ASSERTION }, 'test'],
  ['a snapshot that differs', { name: 'Error', message: 'mismatched', actual: '1', expected: '2' }, 'test'],
  ['a connection that is reset', RESET, 'infrastructure'],
  ['a bug of ours', { name: 'TypeError', message: 'x is undefined' }, 'infrastructure'],
  ['an error of ours that has a class', { ...RESET, failureClass: 'timeout' }, 'timeout'],
  ['an assertion about what failed by itself', { ...ASSERTION, cause: { ...RESET, failureClass: 'usage' } }, 'usage'],
  ['a test without an end', { name: 'Error', message: 'Test timed out in 5000ms.' }, 'timeout'],
  ['nothing', undefined, 'infrastructure'],
] as const)('%s is a failure of class %s', ([, error, failure]) => {
  const one = testCase('one', { state: 'failed', errors: error ? [error] : [] });
  collect(one);
  reporter.onTestCaseResult(one);
  expect(reporter.results[0]?.failure).toBe(failure);
});
