/** Combinations of the matrix that failed, reduced to what is enough to fail: that is what a person has to know. */
import { combinationName, unusualPart, type Combination } from '../../config/combination.ts';
import type { TestResult } from '../../report/run-report.ts';
import { smallestFailing, type Space, type Verdicts } from '../../plan/smallest-failing.ts';
import type { Session } from '../session.ts';

interface Tested extends Space {
  readonly combinations: readonly Combination[];
}

/** Where as many fail, all do for the same reason or none can be reduced in a sensible time. */
const MOST = 6;

export async function reduceFailures(
  results: readonly TestResult[],
  tested: Tested,
  tryOut: (candidate: Combination) => Promise<boolean>,
  { progress }: Pick<Session, 'progress'>,
): Promise<TestResult[]> {
  const byName = new Map(tested.combinations.map((combination) => [combinationName(combination), combination]));
  const verdicts: Verdicts = new Map();
  for (const result of results) {
    const name = combinationOf(result);
    if (byName.has(name) && result.status !== 'skip') verdicts.set(name, result.status === 'fail');
  }
  const reduced: TestResult[] = [];
  let done = 0;
  for (const result of results) {
    const combination = result.status === 'fail' ? byName.get(combinationOf(result)) : undefined;
    if (!combination || ++done > MOST) {
      reduced.push(result);
      continue;
    }
    progress.print(`Looking for the smallest combination that fails as ${combinationName(combination)} does`);
    const smallest = await smallestFailing(combination, tested, verdicts, tryOut);
    const words = `${combinationName(smallest)} (${unusualPart(smallest, tested.factors)})`;
    progress.print(`The smallest that fails: ${words}`);
    reduced.push({ ...result, smallest: words, message: `Enough to fail: ${words}\n${result.message ?? ''}` });
  }
  return reduced;
}

/** The suite "matrix" names its groups so. */
function combinationOf({ suite, test }: TestResult): string {
  return suite === 'matrix' ? (test.split(' > ')[0] ?? '') : '';
}
