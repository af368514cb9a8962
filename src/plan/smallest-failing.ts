/** A combination that fails, made as usual as it can be: what is left of the unusual is what the failure is about. */
import {
  combinationName,
  FACTORS,
  isPossible,
  type Combination,
  type Factor,
  type Factors,
  type Impossible,
} from '../config/combination.ts';

export interface Space {
  readonly factors: Factors;
  readonly impossible: readonly Impossible[];
}

/** Verdicts by the name of the combination; what is found is added, so that nothing is tried twice. */
export type Verdicts = Map<string, boolean>;

/**
 * The combination with fewest unusual factors that fails, too; `failing` itself where none does. From the most usual
 * on, so that nothing smaller is ever missed, also where a failure needs two factors at once, or one of them hides
 * another's.
 */
export async function smallestFailing(
  failing: Combination,
  { factors, impossible }: Space,
  fails: Verdicts,
  tryOut: (candidate: Combination) => Promise<boolean>,
): Promise<Combination> {
  for (const candidate of smallerOnes(failing, factors)) {
    if (!isPossible(candidate, impossible)) continue;
    const name = combinationName(candidate);
    const verdict = fails.get(name) ?? (await tryOut(candidate));
    fails.set(name, verdict);
    if (verdict) return candidate;
  }
  return failing;
}

/** With some of the unusual values replaced by the usual ones, those with fewest left first. */
export function smallerOnes(combination: Combination, factors: Factors): Combination[] {
  const unusual = FACTORS.filter((name) => combination[name] !== factors[name][0]);
  return subsets(unusual)
    .filter(({ length }) => length < unusual.length)
    .sort((a, b) => a.length - b.length)
    .map((kept) => {
      const usual = unusual.filter((name) => !kept.includes(name)).map((name) => [name, factors[name][0]] as const);
      return { ...combination, ...(Object.fromEntries(usual) as Partial<Combination>) };
    });
}

function subsets(names: readonly Factor[]): Factor[][] {
  return names.reduce<Factor[][]>((all, name) => [...all, ...all.map((subset) => [...subset, name])], [[]]);
}
