/**
 * Which patch of the series has added which line of a file, as the file is with all patches applied: they are taken
 * away again, the last first, and what a patch takes with it is its own.
 */
import type { Patch } from '../builds/tree/patch-series.ts';
import { RigError } from '../util/rig-error.ts';

/** The patch of each line, by its place among the lines; undefined for those that were there before. */
export type Owners = readonly (Patch | undefined)[];

export function ownersOfLines(file: string, text: string, series: readonly Patch[]): Owners {
  const owners: (Patch | undefined)[] = Array.from(text.split('\n'), () => undefined);
  let lines: Line[] = text.split('\n').map((content, index) => ({ content, index }));
  for (const patch of series.toReversed()) {
    for (const hunk of hunksOf(patch, file).toReversed()) {
      const at = placeOf(hunk, lines);
      if (at === undefined) throw misfit(patch, file, hunk);
      const added = lines.slice(at, at + hunk.after.length).filter((_, offset) => hunk.after[offset]?.added);
      for (const { index } of added) if (index !== undefined) owners[index] = patch;
      lines = withoutHunk(hunk, lines, at);
    }
  }
  return owners;
}

interface Line {
  readonly content: string;
  /** Its place in the file; none where the series has removed it. */
  readonly index?: number;
}

interface Hunk {
  readonly heading: string;
  /** From 0, where it begins in the file that it leaves. */
  readonly start: number;
  readonly before: readonly { readonly content: string; readonly removed: boolean }[];
  readonly after: readonly { readonly content: string; readonly added: boolean }[];
}

const HUNK = /^@@ -\d+(?:,(\d+))? \+(\d+)(?:,(\d+))? @@/;

function hunksOf({ text }: Patch, file: string): Hunk[] {
  const parts = text.split(/^diff --git /m).slice(1);
  const lines = parts.find((part) => part.startsWith(`a/${file} b/${file}\n`))?.split('\n') ?? [];
  return lines.flatMap((heading, at) => {
    const [found, oldLength = '1', start, newLength = '1'] = HUNK.exec(heading) ?? [];
    if (found === undefined || start === undefined) return [];
    // By its length: what a mail ends with begins with a minus, too.
    const body = hunkBody(lines.slice(at + 1), Number(oldLength), Number(newLength));
    return [{ heading, start: Math.max(0, Number(start) - 1), ...body }];
  });
}

function hunkBody(lines: readonly string[], oldLength: number, newLength: number): Pick<Hunk, 'before' | 'after'> {
  const before: { content: string; removed: boolean }[] = [];
  const after: { content: string; added: boolean }[] = [];
  for (const line of lines) {
    if (before.length === oldLength && after.length === newLength) break;
    const [mark, content] = [line[0] ?? ' ', line.slice(1)];
    if (mark === '-' || mark === ' ') before.push({ content, removed: mark === '-' });
    if (mark === '+' || mark === ' ') after.push({ content, added: mark === '+' });
  }
  return { before, after };
}

/** Where its lines are: as git has it, not far from where they should be. */
function placeOf({ start, after }: Hunk, lines: readonly Line[]): number | undefined {
  const fits = (at: number): boolean =>
    at >= 0 &&
    at + after.length <= lines.length &&
    after.every(({ content }, offset) => lines[at + offset]?.content === content);
  for (let distance = 0; distance <= lines.length; distance++) {
    const place = [start - distance, start + distance].find(fits);
    if (place !== undefined) return place;
  }
  return undefined;
}

/** Lines that it leaves alone keep their places in the file. */
function withoutHunk({ before, after }: Hunk, lines: readonly Line[], at: number): Line[] {
  const kept = lines.slice(at, at + after.length).filter((_, offset) => after[offset]?.added === false);
  const restored = before.map(({ content, removed }): Line => (removed ? { content } : (kept.shift() ?? { content })));
  return [...lines.slice(0, at), ...restored, ...lines.slice(at + after.length)];
}

function misfit({ name }: Patch, file: string, { heading }: Hunk): RigError {
  return new RigError('usage', `${file} is not what ${name} makes of it (hunk ${heading}).`, {
    remedy: 'Write the tree back to guest-kernel/patches first: ./dgpu-rig kernel refresh DIR',
  });
}
