/** The names of tests, without anything being built, booted or run. */
import { DEFAULT_SELECTION, type RigContext, type Selection } from '../../plan/rig-context.ts';
import { loadPlans } from '../../config/plan.ts';
import { planOf, planParts } from '../../plan/plan-parts.ts';
import { suiteFiles, suiteNames } from '../../plan/suite-files.ts';
import { vitestProject } from '../../plan/vitest-projects.ts';
import { testTitle } from '../../report/text/result-text.ts';
import type { ListOptions } from '../options/option-table.ts';
import type { Session } from '../session.ts';
import { OpenVitest } from './vitest-run.ts';

export async function testNames(
  suites: readonly string[],
  { filter, flavour, dmaBits }: ListOptions,
  session: Session,
): Promise<string[]> {
  const include = await suiteFiles(suites);
  const plans = await loadPlans();
  const [part] = planParts(planOf(suites, { flavour }, plans), plans, await suiteNames());
  const combinations = part?.combinations ?? [];
  const selection: Selection = { ...DEFAULT_SELECTION, flavour, dmaBits, combinations, seed: 1 };
  const vitest = await OpenVitest.open({ projects: [vitestProject('suites', { include, flavour })] }, session);
  try {
    // A suite that is only looked at asks for nothing else.
    return (await vitest.collect({ selection, sources: {} } as RigContext, filter)).map(testTitle);
  } finally {
    await vitest.close();
  }
}
