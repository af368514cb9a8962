import { expect, test } from 'vitest';
import { elapsed } from '../../../src/report/text/elapsed.ts';

test.for([
  [49, '0.0 s'],
  [59_940, '59.9 s'],
  [59_960, '1 min 0 s'],
  [119_600, '2 min 0 s'],
  [130_000, '2 min 10 s'],
] as const)('%i ms is %s', ([milliseconds, text]) => {
  expect(elapsed(milliseconds)).toBe(text);
});
