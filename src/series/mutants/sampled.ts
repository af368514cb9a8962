/** A random order by the seed, in which each has its place whatever else there is: what is left out moves no other. */
import { contentKey } from '../../cache/content-key.ts';

export function sampled<T>(all: readonly T[], idOf: (one: T) => string, seed: number): T[] {
  const placed = all.map((one) => ({ one, place: contentKey({ seed: String(seed), id: idOf(one) }) }));
  return placed.sort((a, b) => (a.place < b.place ? -1 : 1)).map(({ one }) => one);
}
