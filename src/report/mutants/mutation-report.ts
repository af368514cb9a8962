/** The one record of a campaign of mutants, from which everything that is written about it is made. */
import type { Mutant } from '../../series/mutants/mutants.ts';

/**
 * What noticed a mutant: the kernel's own unit tests, a test of a suite, a report of the kernel's, a time limit; or the
 * VM was lost twice, for which the kernel gave no reason.
 */
export const NOTICES = ['kunit', 'suite', 'kernel report', 'time-out', 'lost VM'] as const;
export type Notice = (typeof NOTICES)[number];

export interface Catch {
  readonly how: Notice;
  readonly suite: string;
  readonly test: string;
  readonly message: string;
}

export interface JudgedMutant extends Mutant {
  /** Those that reach the line, in the order in which they are tried. */
  readonly suites: readonly string[];
  /** What its kernel and its suites took. */
  readonly durationMs: number;
  /** A survivor has none. */
  readonly caught?: Catch;
}

export interface MutationReport {
  readonly schema: 1;
  readonly kernel: string;
  readonly seed: number;
  /** How many were to be judged. */
  readonly count: number;
  /** All mutants of lines that a suite reaches, but for those that are judged equivalent. */
  readonly candidates: number;
  readonly equivalent: number;
  /** They do not compile, and count for nothing. */
  readonly unbuilt: readonly Mutant[];
  /** What each suite takes without a mutant. */
  readonly suites: readonly { readonly name: string; readonly durationMs: number }[];
  readonly mutants: readonly JudgedMutant[];
  /** Why it has not come to its end. */
  readonly interrupted?: string;
}

export function survivorsOf({ mutants }: MutationReport): JudgedMutant[] {
  return mutants.filter(({ caught }) => caught === undefined);
}
