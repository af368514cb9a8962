/** From what vitest knows about a finished test to our result of it. */
import type { SerializedError, TestCase } from 'vitest/node';
import type { FailureClass } from '../../util/rig-error.ts';
import { EXIT_CODES } from '../../util/rig-error.ts';
import { withMedians } from './measurement.ts';
import type { JudgedReport, Subtest, TestRecord } from '../../plan/rig-context.ts';
import { suiteNameOf } from '../../plan/suite-files.ts';
import { failureMessage } from './failure-message.ts';
import { judgeExpectation, type Judgement } from './expected-failure.ts';
import { statusOf } from './outcome.ts';
import { placeholderResult, type TestResult } from '../run-report.ts';

type Status = TestResult['status'];

/** The result of a test, and behind it those of the cases that its program reported. */
export function resultsOf(test: TestCase): [TestResult, ...TestResult[]] {
  const result = resultOf(test);
  const { subtests = [] } = test.meta();
  return [result, ...subtests.map((subtest) => caseResult(result, subtest))];
}

/** What it ran on is what its program did; that has the kernel's reports, the time and the logs. */
function caseResult(program: TestResult, { name, status, message }: Subtest): TestResult {
  const { suite, test, params, accelerator } = program;
  return placeholderResult({
    ...{ suite, test: `${test} > ${name}`, caseOf: test, params, status, message },
    ...(accelerator === undefined ? {} : { accelerator }),
    ...(status === 'fail' ? { failure: 'test' as const } : {}),
  });
}

export function resultOf(test: TestCase): TestResult {
  const verdict = test.result();
  const { state, errors = [] } = verdict;
  const meta = test.meta();
  const kernelReports = meta.rig?.kernelReports ?? [];
  const failed = state === 'failed' ? classify(errors, kernelReports) : undefined;
  const said = state === 'skipped' ? (verdict.note ?? '') : failureMessage(errors, kernelReports, test.module.moduleId);
  const raw: Judgement = { failure: failed, status: rawStatus(state, failed), message: said };
  const { failure, status, message } = judgeExpectation(raw, meta.xfail, new Date());
  return {
    ...recordOf(meta.rig),
    suite: suiteNameOf(test.module.moduleId),
    test: test.fullName,
    status,
    durationMs: Math.round(test.diagnostic()?.duration ?? 0),
    ...(failure === undefined ? {} : { failure }),
    ...(message === '' ? {} : { message }),
  };
}

function rawStatus(state: 'passed' | 'failed' | 'skipped' | 'pending', failed: FailureClass | undefined): Status {
  if (failed) return statusOf(failed);
  return state === 'passed' ? 'pass' : 'skip';
}

type RecordPart = Omit<TestResult, 'suite' | 'test' | 'status' | 'durationMs'>;

/** What the test's own process left, in the form that the report has; what it did not leave is missing. */
function recordOf(record: TestRecord | undefined): RecordPart {
  const { kernelReports = [], measurements, memory, sleeps, ...rest } = record ?? { params: {}, metrics: {} };
  return {
    ...rest,
    kernelReports: kernelReports.map(reportedBug),
    ...(memory === undefined || memory.length === 0 ? {} : { memory }),
    ...(sleeps === undefined
      ? {}
      : {
          sleeps: sleeps.map(({ stages, ...sleep }) => ({ ...sleep, stages: stages.map((stage) => ({ ...stage })) })),
        }),
    ...(measurements === undefined ? {} : { measurements: measurements.map(withMedians) }),
  };
}

function reportedBug({ where, source, lines, ...report }: JudgedReport): RecordPart['kernelReports'][number] {
  return {
    ...report,
    lines: [...lines],
    ...(where === undefined ? {} : { where }),
    ...(source === undefined ? {} : { source: [...source] }),
  };
}

/** A kernel bug explains everything else; otherwise the first error does, the later ones being its consequences. */
function classify([first]: readonly SerializedError[], reports: readonly JudgedReport[]): FailureClass {
  if (reports.some(({ severity, expected }) => severity === 'bug' && !expected)) return 'kernel';
  if (/^(Test|Hook) timed out/.test(first?.message ?? '')) return 'timeout';
  const chain = withCauses(first);
  const declared = chain.flatMap((error) => declaredClass(error) ?? [])[0];
  // A claim that is wrong is an assertion; whatever else has no class is a bug of the rig, or of the suite.
  return declared ?? (chain.some(isAssertion) ? 'test' : 'infrastructure');
}

/**
 * A property that does not hold is told with the assertion as its cause, one about a promise with the error of that.
 */
function withCauses(error: SerializedError | undefined): readonly SerializedError[] {
  return error === undefined ? [] : [error, ...withCauses(error.cause)];
}

/** Snapshots that differ have no name of their own. */
function isAssertion(error: SerializedError): boolean {
  return error.name === 'AssertionError' || 'actual' in error;
}

/** Of an error that is the rig's own; vitest hands it on without its type. */
export function declaredClass(error: SerializedError | undefined): FailureClass | undefined {
  const declared: unknown = error?.['failureClass'];
  return typeof declared === 'string' && declared in EXIT_CODES ? (declared as FailureClass) : undefined;
}
