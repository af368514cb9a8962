/** Moments that a seed decides. `DGPU_RIG_SEED` replays a run, `DGPU_RIG_EFFORT` makes it longer. */

export const EFFORT = Number(process.env['DGPU_RIG_EFFORT'] ?? '1');

export const SEED = Number(process.env['DGPU_RIG_SEED'] ?? Math.floor(Math.random() * 2 ** 31));

/** Numbers in [0, 1), the same for the same seed (mulberry32). */
export function randomNumbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
