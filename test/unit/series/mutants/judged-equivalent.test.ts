/** What rig/mutants.yaml may say, and that a sample is the same whatever the order of what it is of. */
import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { repositoryPath } from '../../../../src/config/paths.ts';
import { EQUIVALENT_FILE, parseEquivalent } from '../../../../src/series/mutants/judged-equivalent.ts';
import { mutantId } from '../../../../src/series/mutants/mutants.ts';
import { sampled } from '../../../../src/series/mutants/sampled.ts';

const CONTENT = { file: 'mm/limit.c', function: 'take', was: 'a = 1;', becomes: 'a = 2;' };

function yaml(entries: readonly object[]): string {
  return JSON.stringify({ equivalent: entries });
}

test('an entry is the mutant of the same content', () => {
  const known = parseEquivalent(yaml([{ ...CONTENT, reason: 'Nobody reads it.' }]));
  expect([...known]).toEqual([mutantId({ ...CONTENT, nth: 1 })]);
  const second = parseEquivalent(yaml([{ ...CONTENT, nth: 2, reason: 'Nobody reads it.' }]));
  expect([...second]).toEqual([mutantId({ ...CONTENT, nth: 2 })]);
  expect([...second]).not.toEqual([...known]);
});

test.for([
  ['no reason', yaml([CONTENT]), /reason/],
  ['a reason that is none', yaml([{ ...CONTENT, reason: 'n/a' }]), /a reason is a sentence/],
  ['the same one twice', yaml(Array(2).fill({ ...CONTENT, reason: 'Nobody reads it.' })), /twice: mm\/limit\.c, take/],
  ['a misspelt key', yaml([{ ...CONTENT, raeson: 'Nobody reads it.' }]), /raeson/],
  ['no YAML', 'equivalent: [', /rig\/mutants\.yaml is not valid/],
] as const)('%s is a mistake', ([, text, message]) => {
  expect(() => parseEquivalent(text)).toThrow(message);
});

test('the file of the rig is valid', async () => {
  expect(() => parseEquivalent('')).toThrow();
  parseEquivalent(await readFile(repositoryPath(EQUIVALENT_FILE), 'utf8'));
});

test('a sample depends on the seed, and not on the order of what it is of', () => {
  const all = Array.from({ length: 50 }, (_, index) => String(index));
  const some = sampled(all, (one) => one, 7);
  expect(some).not.toEqual(all);
  expect([...some].sort()).toEqual([...all].sort());
  expect(sampled(all.toReversed(), (one) => one, 7)).toEqual(some);
  expect(sampled(all, (one) => one, 8)).not.toEqual(some);
  // One that is found to be equivalent leaves the others where they are.
  const [, second, ...others] = some;
  expect(sampled([second ?? '', ...others], (one) => one, 7)).toEqual([second, ...others]);
});
