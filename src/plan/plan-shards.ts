/**
 * Deals the parts of a plan out to shards: a suite under one kernel is never torn apart, each combination of the matrix
 * stands for itself.
 */
import type { Shard } from '../config/shard.ts';
import { MATRIX, type PlanPart } from './plan-parts.ts';

/** How many shards can have something to do. */
export function unitCount(parts: readonly PlanPart[]): number {
  return units(parts).length;
}

/** The same on every host, as it depends on nothing but the plan. */
export function shardOf(parts: readonly PlanPart[], { index, of }: Shard): PlanPart[] {
  const mine = units(parts).filter((_, position) => position % of === index - 1);
  const flavours = [...new Set(mine.map(({ flavour }) => flavour))];
  return flavours.map((flavour) => {
    const ofFlavour = mine.filter((unit) => unit.flavour === flavour);
    return {
      flavour,
      suites: [...new Set(ofFlavour.flatMap(({ suites }) => suites))],
      combinations: ofFlavour.flatMap(({ combinations }) => combinations),
    };
  });
}

/** Those that take longest come first, so that the many short ones at the end even out what each shard has. */
function units(parts: readonly PlanPart[]): PlanPart[] {
  const suites = parts.flatMap(({ flavour, suites: names }) =>
    names.filter((name) => name !== MATRIX).map((name): PlanPart => ({ flavour, suites: [name], combinations: [] })),
  );
  const combinations = parts.flatMap(({ flavour, combinations: all }) =>
    all.map((combination): PlanPart => ({ flavour, suites: [MATRIX], combinations: [combination] })),
  );
  return [...suites, ...combinations];
}
