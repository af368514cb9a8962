/** All that is random derives from a seed, so that it can be repeated. */

/**
 * Numbers in [0, 1), the same for the same seed: the generator that Steele, Lea and Flood call splitmix, in its form
 * for 32 bits.
 */
export function randomNumbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x9e3779b9) >>> 0;
    let value = state;
    value = Math.imul(value ^ (value >>> 16), 0x21f0aaad);
    value = Math.imul(value ^ (value >>> 15), 0x735a2d97);
    return ((value ^ (value >>> 15)) >>> 0) / 2 ** 32;
  };
}

/** A seed for a run that was not told one. */
export function randomSeed(): number {
  return Math.floor(Math.random() * 2 ** 31);
}
