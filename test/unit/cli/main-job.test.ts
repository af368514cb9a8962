/** What `dgpu-rig run` runs when nobody says which suites. */
import { expect, test } from 'vitest';
import { choosePlan } from '../../../src/cli/run/run-verb.ts';
import type { RunOptions } from '../../../src/cli/options/option-table.ts';
import { loadPlans } from '../../../src/config/plan.ts';

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
