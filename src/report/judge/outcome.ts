/** From failures to one status per test and one exit code per run. */
import { EXIT_CODES, type FailureClass } from '../../util/rig-error.ts';
import type { TestResult } from '../run-report.ts';

/** When a run failed in more ways than one, the first of these names it: what is wrong with the product, then with the rig. */
const PRECEDENCE: readonly FailureClass[] = ['usage', 'kernel', 'test', 'timeout', 'infrastructure'];

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

/** Of a run whose results were written down: each says itself how it failed. */
export function recordedExitCode(results: readonly TestResult[]): number {
  return runExitCode(results.flatMap(({ failure }) => failure ?? []));
}
