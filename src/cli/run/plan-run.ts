/** Runs the parts of a plan one after the other, each with the kernel it needs, and reduces what failed in the matrix. */
import path from 'node:path';
import { combinationName, type Combination } from '../../config/combination.ts';
import type { Flavour } from '../../config/flavour.ts';
import type { FailureClass } from '../../util/rig-error.ts';
import type { TestResult } from '../../report/run-report.ts';
import type { PlanPart } from '../../plan/plan-parts.ts';
import type { RigContext } from '../../plan/rig-context.ts';
import { prepareRun, type RunRequest } from '../../plan/prepare-run.ts';
import type { Space } from '../../plan/smallest-failing.ts';
import { suiteFiles } from '../../plan/suite-files.ts';
import { vitestProject } from '../../plan/vitest-projects.ts';
import { measureRates } from './failure-rates.ts';
import { reduceFailures } from './reduced-failures.ts';
import type { Session } from '../session.ts';
import { runVitest, type VitestRequest } from './vitest-run.ts';

export interface PlanRequest {
  readonly space: Space;
  readonly filter: RegExp | undefined;
  readonly maxVms: number;
  readonly repeat: number;
  readonly onResult: (result: TestResult) => void;
}

export interface PlanOutcome {
  readonly results: readonly TestResult[];
  readonly failures: readonly FailureClass[];
}

/** The rigs of a run, by the flavour of their kernel: built when first asked for, and all with one folder of artifacts. */
export class Rigs {
  readonly #request: RunRequest;
  readonly #rigs = new Map<Flavour, RigContext>();

  constructor(request: RunRequest) {
    this.#request = request;
  }

  async of(flavour: Flavour): Promise<RigContext> {
    const known = this.#rigs.get(flavour);
    if (known) return known;
    const made = await prepareRun({ ...this.#request, selection: { ...this.#request.selection, flavour } });
    const [first] = this.#rigs.values();
    const rig = first ? { ...made, artifacts: path.join(first.artifacts, flavour) } : made;
    this.#rigs.set(flavour, rig);
    return rig;
  }
}

export async function runParts(
  parts: readonly PlanPart[],
  rigs: Rigs,
  options: PlanRequest,
  session: Session,
): Promise<PlanOutcome> {
  const results: TestResult[] = [];
  const failures: FailureClass[] = [];
  for (const part of parts) {
    const rig = withCombinations(await rigs.of(part.flavour), part.combinations);
    const request = await vitestRequest(part.suites, rig, options);
    const reporter = await runVitest(request, session);
    const ran = reporter.results.filter(({ status }) => status !== 'skip' || options.filter === undefined);
    results.push(...(await measureRates(ran, options.repeat, request, session)));
    failures.push(...reporter.failures);
  }
  const all = parts.flatMap(({ combinations }) => combinations);
  const tryOut = matrixTrial(rigs, options, session);
  return { results: await reduceFailures(results, { combinations: all, ...options.space }, tryOut, session), failures };
}

/** Says whether one combination alone fails. */
export function matrixTrial(
  rigs: Rigs,
  options: Pick<PlanRequest, 'maxVms'>,
  session: Session,
): (combination: Combination) => Promise<boolean> {
  let count = 0;
  return async (combination) => {
    const rig = withCombinations(await rigs.of(combination.flavour), [combination]);
    const own = { ...rig, artifacts: path.join(rig.artifacts, `smaller-${String(++count)}`) };
    const name = combinationName(combination).replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&');
    const request = await vitestRequest(['matrix'], own, { ...options, filter: new RegExp(`^ ?${name} `) });
    return (await runVitest(request, session)).failures.length > 0;
  };
}

function withCombinations(rig: RigContext, combinations: readonly Combination[]): RigContext {
  return { ...rig, selection: { ...rig.selection, combinations } };
}

async function vitestRequest(
  suites: readonly string[],
  rig: RigContext,
  { maxVms, filter, onResult }: Pick<PlanRequest, 'maxVms' | 'filter'> & Partial<Pick<PlanRequest, 'onResult'>>,
): Promise<VitestRequest> {
  const include = await suiteFiles(suites);
  const { flavour } = rig.selection;
  return { projects: [vitestProject('suites', { include, maxVms, flavour })], rig, filter, onResult };
}
