/** A name that was printed, given to `--filter`, matches that test and no other. */
import { expect, test } from 'vitest';
import { exactly } from '../../../src/cli/run/failure-rates.ts';
import type { TestResult } from '../../../src/report/run-report.ts';
import { PrintedNamePattern } from '../../../src/plan/printed-name-pattern.ts';

/** As vitest has it, of the test "my › mine › the driver loads". */
const NAME = ' mine the driver loads';

test.for([
  ['my › mine › the driver loads', true],
  ['^my › mine › the driver loads$', true],
  ['my > mine > the driver', true],
  ['mine › the driver', true],
  ['mine > the driver', true],
  ['mine the driver', true],
  ['^mine the', true],
  ['^ ?(mine the driver loads|another)$', true],
  ['nothing|my › mine', true],
  ['driver', true],
  ['^my ', true],
  ['your › mine › the driver loads', false],
  ['^the driver', false],
  ['mine › the driver$', false],
] as const)('%s: %s', ([filter, matches]) => {
  expect(NAME.match(new PrintedNamePattern(new RegExp(filter), 'my')) !== null).toBe(matches);
});

test('tests that failed are named exactly', () => {
  const result = { suite: 'my', test: 'mine > (a|b) loads. all' } as TestResult;
  const matches = (suite: string, name: string): boolean => new PrintedNamePattern(exactly([result]), suite).test(name);
  expect(matches('my', ' mine (a|b) loads. all')).toBe(true);
  expect(matches('other', ' mine (a|b) loads. all')).toBe(false);
  expect(matches('my', ' mine (a|b) loads. all of it')).toBe(false);
});

test('flags stay', () => {
  expect(NAME.match(new PrintedNamePattern(/MY › MINE/i, 'my'))).not.toBeNull();
});
