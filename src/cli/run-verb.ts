/** `dgpu-rig run`: builds what is missing, boots, runs suites, judges. */
import { runFacts } from '../report/compose-report.ts';
import { openEventLog } from '../report/event-log.ts';
import { summarize } from '../report/run-report.ts';
import { loadPlans, planNamed, type Plan, type Plans } from '../config/plan.ts';
import { planOf, planParts } from '../suite/plan-parts.ts';
import { randomSeed } from '../suite/run-context.ts';
import { suiteFiles, suiteNames } from '../suite/suite-files.ts';
import { RigError } from '../util/rig-error.ts';
import { Rigs, runParts, type PlanOutcome } from './plan-run.ts';
import { concludeRun } from './run-conclusion.ts';
import { checkReportFiles, runRequest, type RunOptions } from './run-options.ts';
import { loggedSession, type Session } from './session.ts';

export async function runVerb(names: readonly string[], options: RunOptions, quiet: Session): Promise<number> {
  await suiteFiles(names);
  await checkReportFiles(options);
  const plans = await loadPlans();
  const plan = choosePlan(names, options, plans);
  const parts = planParts(plan, plans, await suiteNames());
  const log = openEventLog(options.jsonl);
  const session = loggedSession(quiet, log);
  const { progress } = session;
  const request = runRequest(options, session);
  const rigs = new Rigs(request);
  const rig = await rigs.of(parts[0]?.flavour ?? options.flavour);
  log({ type: 'run-start', ...runFacts(rig) });
  const { build, accelerator, selection } = rig;
  const kernels = parts.map(({ flavour }) => flavour).join(', ');
  progress.print(
    `Linux ${build.kernel.version} (${kernels}), QEMU ${build.qemu.version}, ${accelerator}, seed ${String(selection.seed)}`,
  );
  const { filter, maxVms, repeat = 0 } = options;
  const onResult = (result: PlanOutcome['results'][number]): void => log({ type: 'test-end', result });
  const common = { space: plans, filter, maxVms, repeat, onResult };
  const { results, failures } = await untilOver(options.for ?? plan.forMs, async (first) => {
    if (first) return runParts(parts, rigs, common, session);
    const seed = randomSeed();
    progress.print(`Once more, with seed ${String(seed)}`);
    const again = new Rigs({ ...request, selection: { ...request.selection, seed } });
    return runParts(parts, again, common, session);
  });
  if (results.length === 0) throw new RigError('usage', `No test's name matches ${String(filter)}.`);
  const exitCode = await concludeRun({ rig, results, failures }, options, session);
  log({ type: 'run-end', summary: summarize(results), exitCode });
  return exitCode;
}

function choosePlan(names: readonly string[], options: RunOptions, plans: Plans): Plan {
  const { plan: name, matrix: cover, flavour } = options;
  if (name === undefined) return planOf(names, { flavour, cover }, plans);
  if (names.length > 0) {
    throw new RigError(
      'usage',
      `The plan ${name} says which suites to run; ${names.join(', ')} can't be run with it.`,
      {
        remedy: 'Name suites, or a plan.',
      },
    );
  }
  const plan = planNamed(plans, name);
  return cover && plan.matrix ? { ...plan, matrix: { ...plan.matrix, cover } } : plan;
}

/** Once; or again and again, until the time is over or something failed. */
async function untilOver(
  milliseconds: number | undefined,
  round: (first: boolean) => Promise<PlanOutcome>,
): Promise<PlanOutcome> {
  const end = performance.now() + (milliseconds ?? 0);
  const outcome = await round(true);
  const results = [...outcome.results];
  let { failures } = outcome;
  while (performance.now() < end && failures.length === 0) {
    const next = await round(false);
    results.push(...next.results);
    failures = next.failures;
  }
  return { results, failures };
}
