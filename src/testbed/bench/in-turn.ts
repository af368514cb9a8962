/** Measuring several things in the same guest, in turn, so that whatever changes meanwhile changes for all of them. */

import type { Measurement } from '../../plan/rig-context.ts';

/** What each variant gave, round by round. */
export async function inTurn<Variant extends string, Result>(
  variants: readonly Variant[],
  rounds: number,
  measure: (variant: Variant) => Promise<Result>,
): Promise<ReadonlyMap<Variant, readonly Result[]>> {
  const results = new Map<Variant, Result[]>(variants.map((variant) => [variant, []]));
  for (let round = 0; round < rounds; round++) {
    for (const [variant, found] of results) found.push(await measure(variant));
  }
  return results;
}

/** Makes a measurement of one figure that each result has; less of it is better. */
export function measurements<Result>(results: ReadonlyMap<string, readonly Result[]>) {
  return (quantity: string, unit: string, figure: (result: Result) => number, aim?: string): Measurement => {
    const samples = Object.fromEntries(Array.from(results, ([variant, found]) => [variant, found.map(figure)]));
    return { quantity, unit, better: 'less', samples, ...(aim === undefined ? {} : { aim }) };
  };
}
