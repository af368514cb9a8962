/** How long and from which seed random tests run. fast-check prints the seed of a failure. */
import type { Parameters } from 'fast-check';

/** `DGPU_RIG_SEED` replays; `DGPU_RIG_EFFORT` multiplies the number of runs for a longer search. */
export function propertyRuns(numRuns: number): Parameters<unknown> & { readonly numRuns: number } {
  const seed = process.env['DGPU_RIG_SEED'];
  const effort = Number(process.env['DGPU_RIG_EFFORT'] ?? '1');
  return { numRuns: Math.ceil(numRuns * effort), ...(seed === undefined ? {} : { seed: Number(seed) }) };
}

/** What a longer search did, for the person who asked for it. */
export function tellVolume(volume: Readonly<Record<string, number>>): void {
  if (Number(process.env['DGPU_RIG_EFFORT'] ?? '1') === 1) return;
  const counts = Object.entries(volume).map(([what, count]) => `${count} ${what}`);
  process.stdout.write(`${counts.join(', ')}\n`);
}

/** The time limit of a test that does this. */
export function propertyTimeoutMs(): number {
  return 120_000 * Math.max(1, Number(process.env['DGPU_RIG_EFFORT'] ?? '1'));
}
