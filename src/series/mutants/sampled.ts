/** A random order that depends on the seed and on what there is, and not on the order in which it was found. */
import { randomNumbers } from '../../util/random.ts';

export function sampled<T>(all: readonly T[], idOf: (one: T) => string, seed: number): T[] {
  const left = [...all].sort((a, b) => (idOf(a) < idOf(b) ? -1 : 1));
  const random = randomNumbers(seed);
  return left.map((_, index) => {
    const chosen = index + Math.floor(random() * (left.length - index));
    const [here, there] = [left[index], left[chosen]] as [T, T];
    left[chosen] = here;
    left[index] = there;
    return there;
  });
}
