import { expect, test } from 'vitest';
import type { Picture } from '../../../src/testbed/device/display.ts';
import { ALPHABET_LINES, asRows, CELL, ScreenReader } from '../../../src/testbed/device/screen-text.ts';

const COLUMNS = 100;

/** In a font of our own: the bits of each character's code, on a few lines of its cell. */
function draw(lines: readonly string[], color = 0xffffff): Picture {
  const [width, height] = [COLUMNS * CELL.width, (lines.length + 1) * CELL.height];
  const pixels = Buffer.alloc(width * height * 3);
  for (const [row, line] of lines.entries()) {
    for (const [column, character] of line.split('').entries()) {
      const code = character === ' ' ? 0 : character.charCodeAt(0);
      for (let bit = 0; bit < CELL.width; bit++) {
        if (((code >> bit) & 1) === 0) continue;
        const [x, y] = [column * CELL.width + bit, row * CELL.height + 3 + bit];
        pixels.writeUIntBE(color, (y * width + x) * 3, 3);
      }
    }
  }
  return { width, height, pixels };
}

const ALPHABET = ALPHABET_LINES.map((line, i) => `<6>[   12.34567${String(i)}] ${line}`);

test('what the characters look like is learnt from the picture, in any order of the lines', () => {
  const reader = ScreenReader.learn(draw(['Linux', ...ALPHABET.toReversed(), 'some more']));
  expect(reader?.read(draw(['', 'The quick "brown" fox: {0}~']))).toEqual(['', 'The quick "brown" fox: {0}~', '']);
  expect(reader?.read(draw(['dim'], 0x4e9a06))[0]).toBe('dim');
});

test.for([
  ['a line is missing', ALPHABET.slice(1)],
  ['a character is another one', ALPHABET.map((line) => line.replace('Q', 'q'))],
  ['lines stand twice in a row', ALPHABET.map((line) => line.repeat(2).slice(0, COLUMNS))],
  ['there is nothing', []],
] as const)('nothing is learnt where %s', ([, lines]) => {
  expect(ScreenReader.learn(draw(lines))).toBeUndefined();
});

test('a cell with a pixel too many says nothing', () => {
  const reader = ScreenReader.learn(draw(ALPHABET));
  const picture = draw(['abc']);
  picture.pixels[3 * (CELL.width + 1)] = 1;
  expect(reader?.read(picture)[0]).toBe('a\ufffdc');
});

test('a long line is more than one row', () => {
  expect(asRows('abcdefg', 3)).toEqual(['abc', 'def', 'g']);
  expect(asRows('', 3)).toEqual(['']);
});
