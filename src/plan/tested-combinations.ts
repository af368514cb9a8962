/** The combinations that this run is to test, each with a name for its tests. */
import { inject } from 'vitest';
import { combinationName, type Combination } from '../config/combination.ts';

export function testedCombinations(): (readonly [string, Combination])[] {
  return inject('rig').selection.combinations.map(
    (combination) => [combinationName(combination), combination] as const,
  );
}
