/** In which order test files are started, so that no processor is left without work at the end. */
import { expect, test } from 'vitest';
import type { TestSpecification, Vitest } from 'vitest/node';
import { repositoryPath } from '../../../src/config/paths.ts';
import { readLedger } from '../../../src/plan/ledger.ts';
import { LongestFirst } from '../../../src/plan/longest-first.ts';

const NEW_SUITE = 'src/suites/nobody-has-measured-it.suite.ts';
const QUICK = 'test/unit/takes-no-second.test.ts';

test('a suite that is new, then by what the ledger says, then what takes no second', async () => {
  const measured = Object.entries(readLedger()).map(([file, { seconds }]) => ({ file, seconds }));
  const files = [QUICK, ...measured.map(({ file }) => file), NEW_SUITE];
  const specifications = files.map((file): unknown => ({ moduleId: repositoryPath(file) })) as TestSpecification[];
  const sorted = await new LongestFirst({} as unknown as Vitest).sort(specifications);
  const order = sorted.map(({ moduleId }) => moduleId.slice(repositoryPath().length + 1));
  expect(order[0]).toBe(NEW_SUITE);
  expect(order.at(-1)).toBe(QUICK);
  const seconds = order.slice(1, -1).map((file) => measured.find((row) => row.file === file)?.seconds);
  expect(seconds).toEqual(measured.map((row) => row.seconds).sort((a, b) => b - a));
});
