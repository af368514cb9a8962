/** The names that somebody may have meant who wrote one that does not exist. */

/** Two letters that change places are two mistakes, and that happens in short names, too. */
const MISTAKES_PER_CHARACTER = 0.4;
const MOST = 3;

/** A sentence with the nearest of `names`; undefined where none is near. */
export function didYouMean(wanted: string, names: readonly string[]): string | undefined {
  const near = nearestNames(wanted, names);
  return near.length === 0 ? undefined : `Did you mean ${near.join(', ')}?`;
}

/** For a message about a name that does not exist: `Did you mean smoke? The suites are: cache, …` */
export function whichThereAre(wanted: string, what: string, names: readonly string[]): string {
  return [didYouMean(wanted, names) ?? [], `The ${what} are: ${names.join(', ')}.`].flat().join(' ');
}

/** Nearest first; `wanted` may be a part of a name. */
export function nearestNames(wanted: string, names: readonly string[]): string[] {
  const mistakes = Math.floor(wanted.length * MISTAKES_PER_CHARACTER);
  return names
    .map((name) => ({ name, distance: distanceToPart(wanted.toLowerCase(), name.toLowerCase()) }))
    .filter(({ distance }) => distance <= mistakes)
    .sort((a, b) => a.distance - b.distance || a.name.length - b.name.length)
    .slice(0, MOST)
    .map(({ name }) => name);
}

/** Fewest characters to insert, delete or replace in `wanted` to find it anywhere in `name` (Sellers' algorithm). */
function distanceToPart(wanted: string, name: string): number {
  let row = new Array<number>(name.length + 1).fill(0);
  for (const [index, character] of Array.from(wanted).entries()) {
    const next = [index + 1];
    for (let column = 1; column <= name.length; column++) {
      const replaced = (row[column - 1] ?? 0) + (name[column - 1] === character ? 0 : 1);
      next.push(Math.min(replaced, (row[column] ?? 0) + 1, (next[column - 1] ?? 0) + 1));
    }
    row = next;
  }
  return Math.min(...row);
}
