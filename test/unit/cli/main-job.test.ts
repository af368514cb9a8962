/** What `dgpu-rig run` runs when nobody says which suites, and the options that not all suites have. */
import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { checkCycles } from '../../../src/cli/options/run-request.ts';
import { choosePlan } from '../../../src/cli/run/run-verb.ts';
import type { RunOptions } from '../../../src/cli/options/option-table.ts';
import { loadPlans } from '../../../src/config/plan.ts';
import { CYCLING_SUITES, suiteFiles, suiteNames } from '../../../src/plan/suite-files.ts';

const options = (given: Partial<RunOptions> = {}): RunOptions => ({ flavour: 'plain', ...given }) as RunOptions;

test('without a suite and a plan it is the plan smoke, under the kernel that is asked for', async () => {
  const plans = await loadPlans();
  expect(choosePlan([], options(), plans)).toMatchObject({ suites: ['smoke'], flavours: ['plain'] });
  expect(choosePlan([], options({ flavour: 'kasan' }), plans)).toMatchObject({
    suites: ['smoke'],
    flavours: ['kasan'],
  });
});

test('named suites are those, and the plan ci is all of them', async () => {
  const plans = await loadPlans();
  expect(choosePlan(['dma', 'swap'], options(), plans).suites).toEqual(['dma', 'swap']);
  expect(choosePlan([], options({ plan: 'ci' }), plans).suites).toBe('all');
});

test.for([
  ['--cycles', { cycles: 3 }],
  ['--duration', { duration: 1000 }],
] as const)('%s is refused where no suite takes notice of it, and only there', async ([name, given]) => {
  const all = await suiteNames();
  expect(() => checkCycles(given, ['smoke', 'swap'])).toThrow(`No suite of this run takes notice of ${name}`);
  expect(() => checkCycles({}, ['smoke', 'swap'])).not.toThrow();
  for (const suites of [['smoke', 'suspend'], ['hibernate'], all]) {
    expect(() => checkCycles(given, suites)).not.toThrow();
  }
});

test('the suites that take notice of --cycles are those that have random cycles', async () => {
  const texts = await Promise.all((await suiteFiles([])).map((file) => readFile(file, 'utf8')));
  const names = await suiteNames();
  expect(names.filter((_, index) => texts[index]?.includes('describeStress('))).toEqual([...CYCLING_SUITES].sort());
});
