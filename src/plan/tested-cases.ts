/** What the run at hand is to test, where a suite has more cases than it always needs. */
import { inject } from 'vitest';
import { combinationName, type Combination } from '../config/combination.ts';

/** The combinations of the suite "matrix", each with a name for its tests. */
export function testedCombinations(): (readonly [string, Combination])[] {
  return inject('rig').selection.combinations.map(
    (combination) => [combinationName(combination), combination] as const,
  );
}

/** All cases, or in a brief run those for which `isBrief` is true: between them they still test every claim. */
export function testedCases<T>(cases: readonly T[], isBrief: (value: T, index: number) => boolean): readonly T[] {
  return inject('rig').selection.brief === true ? cases.filter(isBrief) : cases;
}
