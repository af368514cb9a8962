/** Shards of every plan there is: together they are the plan, and none is done twice. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { loadPlans } from '../../../src/config/plan.ts';
import { parseShard } from '../../../src/config/shard.ts';
import { planParts, type PlanPart } from '../../../src/plan/plan-parts.ts';
import { shardOf, unitCount } from '../../../src/plan/plan-shards.ts';
import { suiteNames } from '../../../src/plan/suite-files.ts';

const plans = await loadPlans();
const suites = await suiteNames();

/** Whatever can run by itself, by name. */
function things(parts: readonly PlanPart[]): string[] {
  return parts.flatMap(({ flavour, suites: names, combinations }) => [
    ...names.filter((name) => name !== 'matrix').map((name) => `${flavour} ${name}`),
    ...combinations.map((combination) => JSON.stringify(combination)),
  ]);
}

test.for(plans.plans)('plan $name', (plan) => {
  const whole = planParts(plan, plans, suites);
  const count = unitCount(whole);
  expect(things(whole)).toHaveLength(count);
  fc.assert(
    fc.property(fc.integer({ min: 1, max: count + 3 }), (of) => {
      const shards = Array.from({ length: of }, (_, position) => shardOf(whole, { index: position + 1, of }));
      expect(shards.flatMap(things).sort()).toEqual(things(whole).sort());
      const sizes = shards.map((parts) => things(parts).length);
      expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1);
      for (const part of shards.flat()) {
        expect(part.suites.includes('matrix')).toBe(part.combinations.length > 0);
      }
    }),
  );
});

test('a shard is written as i/n', () => {
  expect(parseShard('2/5')).toEqual({ index: 2, of: 5 });
  for (const wrong of ['0/5', '6/5', '1', '1/', '-1/5', '1/5x', '']) expect(parseShard(wrong)).toBeUndefined();
});
