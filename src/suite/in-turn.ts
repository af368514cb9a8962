/** Measuring several things in the same guest, in turn, so that whatever changes meanwhile changes for all of them. */

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

/** One figure of each result, as a measurement takes them. */
export function samplesOf<Result>(
  results: ReadonlyMap<string, readonly Result[]>,
  figure: (result: Result) => number,
): Record<string, number[]> {
  return Object.fromEntries(Array.from(results, ([variant, found]) => [variant, found.map(figure)]));
}
