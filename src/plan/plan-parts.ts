/**
 * What a plan comes to: for each kernel that it needs, the suites to run and the combinations for the suite "matrix".
 */
import type { Combination, Cover } from '../config/combination.ts';
import type { Flavour } from '../config/flavour.ts';
import { narrowed, type Plan, type Plans } from '../config/plan.ts';
import { allPairs, fullProduct } from './covering.ts';

export interface PlanPart {
  readonly flavour: Flavour;
  /** Names; paths of those that are not the rig's own. */
  readonly suites: readonly string[];
  readonly combinations: readonly Combination[];
}

/** The suite that tests combinations. */
export const MATRIX = 'matrix';

export function planParts(plan: Plan, { impossible }: Plans, allSuites: readonly string[]): PlanPart[] {
  const suites = (plan.suites === 'all' ? allSuites : plan.suites).filter((name) => !plan.except.includes(name));
  const cover = plan.matrix && { pairs: allPairs, full: fullProduct }[plan.matrix.cover];
  const all = plan.matrix && suites.includes(MATRIX) ? (cover?.(plan.matrix.factors, impossible) ?? []) : [];
  const flavours = [...new Set([...plan.flavours, ...all.map(({ flavour }) => flavour)])];
  const parts = flavours.map((flavour): PlanPart => {
    const combinations = all.filter((combination) => combination.flavour === flavour);
    const others = plan.flavours.includes(flavour) ? suites.filter((name) => name !== MATRIX) : [];
    return { flavour, suites: combinations.length > 0 ? [...others, MATRIX] : others, combinations };
  });
  return parts.filter((part) => part.suites.length > 0);
}

/** The same plan on one kernel only. */
export function onFlavour({ matrix, ...plan }: Plan, flavour: Flavour): Plan {
  const own = matrix && { ...matrix, factors: { ...matrix.factors, flavour: [flavour] as const } };
  return { ...plan, flavours: [flavour], matrix: own };
}

/** The plan that a person gives on the command line by naming suites, or none for all of them. */
export function planOf(
  names: readonly string[],
  { flavour, cover = 'pairs' }: { flavour: Flavour; cover?: Cover | undefined },
  { factors }: Plans,
): Plan {
  return {
    name: 'as given',
    description: 'what was asked for',
    suites: names.length === 0 ? 'all' : names,
    except: [],
    brief: false,
    flavours: [flavour],
    matrix: { cover, factors: { ...narrowed(factors, {}), flavour: [flavour] } },
    forMs: undefined,
  };
}
