/** For vitest started by hand (`npx vitest`): what the CLI otherwise prepares and provides itself. */
import type { TestProject } from 'vitest/node';
import { DEFAULT_SELECTION } from './rig-context.ts';
import type { Combination } from '../config/combination.ts';
import { loadPlans } from '../config/plan.ts';
import { planOf, planParts } from './plan-parts.ts';
import { prepareRun } from './prepare-run.ts';
import { randomSeed } from '../util/random.ts';

export default async function setup(project: TestProject): Promise<void> {
  if ('rig' in project.getProvidedContext()) return;
  const rig = await prepareRun({
    selection: { ...DEFAULT_SELECTION, combinations: await usualCombinations(), seed: randomSeed() },
    accelerator: 'auto',
    kernelSource: undefined,
    emit: () => undefined,
    signal: new AbortController().signal,
  });
  project.vitest.getRootProject().provide('rig', rig);
}

async function usualCombinations(): Promise<readonly Combination[]> {
  const plans = await loadPlans();
  const plan = planOf(['matrix'], { flavour: DEFAULT_SELECTION.flavour }, plans);
  return planParts(plan, plans, []).flatMap(({ combinations }) => combinations);
}
