/**
 * Which combinations to test: all that are possible, or few that have every possible pair of values in them. The
 * libraries there are leave pairs out as soon as combinations are forbidden; all there is to choose from is small
 * enough to look at whole.
 */
import { FACTORS, isPossible, type Combination, type Factors, type Impossible } from '../config/combination.ts';

/** In the order of the factors' values: the most usual first. */
export function fullProduct(factors: Factors, impossible: readonly Impossible[]): Combination[] {
  const all: Combination[] = [];
  for (const flavour of factors.flavour)
    for (const machine of factors.machine)
      for (const dmaBits of factors.dmaBits)
        for (const backend of factors.backend)
          for (const caching of factors.caching) all.push({ machine, dmaBits, backend, caching, flavour });
  return all.filter((combination) => isPossible(combination, impossible));
}

/** Greedy: at each step the combination with most pairs that are still missing; among equals the most usual. */
export function allPairs(factors: Factors, impossible: readonly Impossible[]): Combination[] {
  const candidates = fullProduct(factors, impossible).map((combination) => ({
    combination,
    pairs: pairsOf(combination),
  }));
  const missing = new Set(candidates.flatMap(({ pairs }) => pairs));
  const chosen: Combination[] = [];
  while (missing.size > 0) {
    const gain = (pairs: readonly string[]): number => pairs.filter((pair) => missing.has(pair)).length;
    const [first, ...others] = candidates;
    if (!first) break;
    let best = { ...first, gain: gain(first.pairs) };
    for (const candidate of others) {
      const its = gain(candidate.pairs);
      if (its > best.gain) best = { ...candidate, gain: its };
    }
    for (const pair of best.pairs) missing.delete(pair);
    chosen.push(best.combination);
  }
  return chosen;
}

/** Every pair of values in it. */
export function pairsOf(combination: Combination): string[] {
  return FACTORS.flatMap((one, index) =>
    FACTORS.slice(index + 1).map(
      (other) => `${one}=${String(combination[one])} ${other}=${String(combination[other])}`,
    ),
  );
}
