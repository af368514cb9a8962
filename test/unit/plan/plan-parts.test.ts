/** What a plan comes to on a kernel of another kind than its own. */
import { expect, test } from 'vitest';
import { loadPlans, planNamed } from '../../../src/config/plan.ts';
import { onFlavour, planParts } from '../../../src/plan/plan-parts.ts';

test.for(['ci', 'nightly', 'smoke'])(
  'the plan %s on one kernel is one part, with its suites and its matrix',
  async (name) => {
    const plans = await loadPlans();
    const plan = planNamed(plans, name);
    const own = planParts(plan, plans, ['matrix', 'smoke', 'swap']);
    const parts = planParts(onFlavour(plan, 'gcov'), plans, ['matrix', 'smoke', 'swap']);
    expect(parts.map(({ flavour, suites }) => ({ flavour, suites }))).toEqual([
      { flavour: 'gcov', suites: own[0]?.suites },
    ]);
    expect(new Set(parts[0]?.combinations.map(({ flavour }) => flavour))).toEqual(
      new Set(plan.matrix === undefined ? [] : ['gcov']),
    );
  },
);
