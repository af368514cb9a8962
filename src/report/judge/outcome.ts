/** From failures to one status per test and one exit code per run. */
import { EXIT_CODES, INTERRUPTED_EXIT_CODE, type FailureClass } from '../../util/rig-error.ts';
import type { RunReport, TestResult } from '../run-report.ts';

/**
 * When a run failed in more ways than one, the first of these names it: what is wrong with the product, then with a
 * suite, then with the rig.
 */
const PRECEDENCE: readonly FailureClass[] = ['kernel', 'test', 'usage', 'timeout', 'infrastructure'];

export function statusOf(failure: FailureClass): TestResult['status'] {
  switch (failure) {
    case 'test':
    case 'kernel':
      return 'fail';
    case 'usage':
    case 'infrastructure':
    case 'timeout':
      return 'error';
  }
}

export function runExitCode(failures: readonly FailureClass[]): number {
  const worst = PRECEDENCE.find((candidate) => failures.includes(candidate));
  return worst === undefined ? 0 : EXIT_CODES[worst];
}

/** Each result says itself how it failed; `more` is what failed beside them. */
export function reportExitCode(
  { results, cutShort }: Pick<RunReport, 'results' | 'cutShort'>,
  more: readonly FailureClass[] = [],
): number {
  if (cutShort?.how === 'interrupted') return INTERRUPTED_EXIT_CODE;
  const failures = results.flatMap(({ failure }) => failure ?? []);
  // No result says that the rig was killed.
  return runExitCode([...failures, ...more, ...(cutShort ? ['infrastructure' as const] : [])]);
}
