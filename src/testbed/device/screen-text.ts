/**
 * What a screen says, in the kernel's own font, of which the rig knows the size of its cells and nothing else: what the
 * characters look like is learnt from a picture of lines whose text is known.
 */
import type { Picture } from './display.ts';

/** Of the font that the kernel takes for displays of this size. */
export const CELL = { width: 8, height: 16 } as const;

const PRINTABLE = Array.from({ length: 94 }, (_, i) => String.fromCharCode(33 + i)).join('');
const GROUP = 24;
const GROUPS = Array.from({ length: Math.ceil(PRINTABLE.length / GROUP) }, (_, i) =>
  PRINTABLE.slice(i * GROUP, (i + 1) * GROUP),
);

/** What is not known. */
const UNKNOWN = '\ufffd';

/**
 * Lines by whose form alone each is found, whatever the font: a group of characters, all different, the same group once
 * more, and its first character as often as says which group it is.
 */
export const ALPHABET_LINES: readonly string[] = GROUPS.map(
  (group, index) => `${group}${group}${(group[0] ?? '').repeat(index + 2)}`,
);

/** The cells of each row, as bits: lit or not. Without those that are blank to its end. */
function rowsOf({ width, height, pixels }: Picture): string[][] {
  const rows: string[][] = [];
  for (let top = 0; top + CELL.height <= height; top += CELL.height) {
    const cells = Array.from({ length: Math.floor(width / CELL.width) }, (_, column) =>
      cellAt(pixels, width, column * CELL.width, top),
    );
    rows.push(cells.slice(0, cells.findLastIndex((cell) => cell.includes('1')) + 1));
  }
  return rows;
}

function cellAt(pixels: Buffer, width: number, left: number, top: number): string {
  let bits = '';
  for (let y = top; y < top + CELL.height; y++) {
    for (let x = left; x < left + CELL.width; x++) {
      bits += pixels.readUIntBE((y * width + x) * 3, 3) === 0 ? '0' : '1';
    }
  }
  return bits;
}

/** Which characters the row shows, if it is the line of the alphabet with this number. */
function readAlphabet(row: readonly string[], index: number): Map<string, string> | undefined {
  const [line = '', group = ''] = [ALPHABET_LINES[index], GROUPS[index]];
  // What stands before it is the kernel's.
  const cells = row.slice(-line.length);
  const known = new Map(group.split('').map((character, at) => [cells[at] ?? '', character]));
  const says = cells.map((cell) => known.get(cell) ?? UNKNOWN).join('');
  const before = row.at(-line.length - 1);
  return known.size === group.length && says === line && before !== cells[0] ? known : undefined;
}

export class ScreenReader {
  readonly #characters: ReadonlyMap<string, string>;

  private constructor(characters: ReadonlyMap<string, string>) {
    this.#characters = characters;
  }

  /** Nothing, if the picture does not show all the lines of the alphabet. */
  static learn(picture: Picture): ScreenReader | undefined {
    const rows = rowsOf(picture);
    const characters = new Map<string, string>();
    for (const index of ALPHABET_LINES.keys()) {
      const found = rows.map((row) => readAlphabet(row, index)).find((known) => known !== undefined);
      if (!found) return undefined;
      for (const [cell, character] of found) characters.set(cell, character);
    }
    const blank = '0'.repeat(CELL.width * CELL.height);
    return new ScreenReader(characters.set(blank, ' '));
  }

  /** The text of each row, from the top. */
  read(picture: Picture): string[] {
    return rowsOf(picture).map((row) => row.map((cell) => this.#characters.get(cell) ?? UNKNOWN).join(''));
  }
}

/** A line of the log as the screen shows it: in rows of so many columns. */
export function asRows(line: string, columns: number): string[] {
  const rows = Array.from({ length: Math.max(1, Math.ceil(line.length / columns)) }, (_, i) =>
    line.slice(i * columns, (i + 1) * columns),
  );
  return rows.map((row) => row.trimEnd());
}
