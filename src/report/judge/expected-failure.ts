/** Failures that are known: they don't turn a run red until their day, and must not go away unnoticed. */
import { holds } from '../../util/expiry.ts';
import type { FailureClass } from '../../util/rig-error.ts';
import type { ExpectedFailure } from '../../plan/rig-context.ts';
import { statusOf } from './outcome.ts';
import type { TestResult } from '../run-report.ts';

export interface Judgement {
  readonly failure: FailureClass | undefined;
  readonly status: TestResult['status'];
  readonly message: string;
}

/** Only what is wrong with the product can be expected: a lost VM or a time-out is no known failure. */
const EXCUSABLE: readonly (FailureClass | undefined)[] = ['test', 'kernel'];

export function judgeExpectation(raw: Judgement, expected: ExpectedFailure | undefined, now: Date): Judgement {
  if (!expected || raw.status === 'skip') return raw;
  const { reason, until } = expected;
  if (raw.status === 'pass') {
    const message = `It passed, and was expected to fail (${reason}): it is time to take that expectation away.`;
    return { failure: 'test', status: statusOf('test'), message };
  }
  if (!EXCUSABLE.includes(raw.failure)) return raw;
  if (!holds(expected, now)) {
    return { ...raw, message: `It was expected to fail only until ${until} (${reason}).\n${raw.message}` };
  }
  return { failure: undefined, status: 'xfail', message: `Expected until ${until}: ${reason}\n${raw.message}` };
}
