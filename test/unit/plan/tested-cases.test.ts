/** A brief run leaves out what a suite keeps for longer ones; any other run leaves out nothing. */
import { expect, test, vi } from 'vitest';
import { testedCases } from '../../../src/plan/tested-cases.ts';

const chosen = vi.hoisted(() => ({ selection: { brief: undefined as boolean | undefined } }));
vi.mock('vitest', async (original) => ({ ...(await original<object>()), inject: () => chosen }));

test.each([
  [true, [1, 3]],
  [false, [1, 2, 3]],
  [undefined, [1, 2, 3]],
])('brief: %s', (brief, cases) => {
  chosen.selection.brief = brief;
  expect(testedCases([1, 2, 3], (number) => number % 2 === 1)).toEqual(cases);
});
