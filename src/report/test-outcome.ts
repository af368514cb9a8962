/** From what vitest knows about a finished test to our result and, unless it passed, the class of its failure. */
import path from 'node:path';
import type { SerializedError, TestCase } from 'vitest/node';
import type { FailureClass } from '../util/rig-error.ts';
import { EXIT_CODES } from '../util/rig-error.ts';
import { withMedians } from './measurement.ts';
import { statusOf } from './outcome.ts';
import type { TestResult } from './run-report.ts';

export interface TestOutcome {
  readonly result: TestResult;
  readonly failure: FailureClass | undefined;
}

export function outcomeOf(test: TestCase): TestOutcome {
  const verdict = test.result();
  const { state, errors = [] } = verdict;
  const record = test.meta().rig;
  const failure = state === 'failed' ? classify(errors, (record?.kernelReports.length ?? 0) > 0) : undefined;
  const message = state === 'skipped' ? (verdict.note ?? '') : errors.map(describeError).join('\n');
  return {
    failure,
    result: {
      suite: suiteName(test.module.moduleId),
      test: test.fullName,
      params: record?.params ?? {},
      status: failure ? statusOf(failure) : state === 'passed' ? 'pass' : 'skip',
      durationMs: Math.round(test.diagnostic()?.duration ?? 0),
      metrics: record?.metrics ?? {},
      kernelReports: (record?.kernelReports ?? []).map((report) => ({ ...report, lines: [...report.lines] })),
      ...(record?.measurements === undefined ? {} : { measurements: record.measurements.map(withMedians) }),
      ...(message === '' ? {} : { message }),
      ...(record?.artifacts === undefined ? {} : { artifacts: record.artifacts }),
    },
  };
}

export function suiteName(file: string): string {
  return path.basename(file).replace(/\.(suite|bench|test)\.ts$/, '');
}

/** A kernel report explains everything else; otherwise the first error does, the later ones being its consequences. */
function classify(errors: readonly SerializedError[], kernelReported: boolean): FailureClass {
  if (kernelReported) return 'kernel';
  const [first] = errors;
  const declared: unknown = first?.['failureClass'];
  if (typeof declared === 'string' && declared in EXIT_CODES) return declared as FailureClass;
  return /^(Test|Hook) timed out/.test(first?.message ?? '') ? 'timeout' : 'test';
}

function describeError(error: SerializedError): string {
  const remedy: unknown = error['remedy'];
  return typeof remedy === 'string' ? `${error.message}\n${remedy}` : error.message;
}
