/**
 * Runs the parts of a plan one after the other, each with the kernel it needs, and reduces what failed in the matrix.
 */
import path from 'node:path';
import { combinationName, type Combination } from '../../config/combination.ts';
import type { Flavour } from '../../config/flavour.ts';
import type { OnResult } from '../../report/judge/rig-reporter.ts';
import type { PlanPart } from '../../plan/plan-parts.ts';
import type { RigContext } from '../../plan/rig-context.ts';
import { prepareRun, type RunRequest } from '../../plan/prepare-run.ts';
import type { Space } from '../../plan/smallest-failing.ts';
import { filesToRun } from '../../plan/suite-files.ts';
import { vitestProject } from '../../plan/vitest-projects.ts';
import { measureRates } from './failure-rates.ts';
import type { JudgedRun } from './judged-run.ts';
import { reduceFailures } from './reduced-failures.ts';
import type { Session } from '../session.ts';
import { runVitest, type VitestRequest } from './vitest-run.ts';

interface PlanRequest {
  readonly space: Space;
  readonly filter: RegExp | undefined;
  readonly maxVms: number;
  readonly repeat: number;
}

/**
 * The rigs of a run, by the flavour of their kernel: built when first asked for, and all with one folder of artifacts.
 */
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

/** What the rigs are asked for here; a test has others. */
type RigsOfRun = Pick<Rigs, 'of'>;

/** Adds what it judges to `run`, and what it does not come to. */
export async function runParts(
  parts: readonly PlanPart[],
  rigs: RigsOfRun,
  options: PlanRequest,
  session: Session,
  run: JudgedRun,
): Promise<void> {
  const first = run.results.length;
  for (const [index, part] of parts.entries()) {
    const before = run.results.length;
    try {
      await runPart(part, await rigs.of(part.flavour), options, session, run);
    } catch (error) {
      run.addNotBegun(parts.slice(run.results.length === before ? index : index + 1), session.signal);
      throw error;
    }
  }
  const all = parts.flatMap(({ combinations }) => combinations);
  const tryOut = matrixTrial(rigs, options, session);
  await run.refine(first, (results) => {
    return reduceFailures(results, { combinations: all, ...options.space }, tryOut, session);
  });
}

async function runPart(
  { suites, combinations }: PlanPart,
  rig: RigContext,
  options: PlanRequest,
  session: Session,
  run: JudgedRun,
): Promise<void> {
  const first = run.results.length;
  const onResult: OnResult = (result, matches) => run.addOrLeaveOut(result, matches || options.filter === undefined);
  const request = await vitestRequest(suites, withCombinations(rig, combinations), { ...options, onResult });
  await runVitest(request, session);
  await run.refine(first, (results) => measureRates(results, options.repeat, request, session));
}

/** Says whether one combination alone fails. */
export function matrixTrial(
  rigs: RigsOfRun,
  options: Pick<PlanRequest, 'maxVms'>,
  session: Session,
): (combination: Combination) => Promise<boolean> {
  let count = 0;
  return async (combination) => {
    const rig = withCombinations(await rigs.of(combination.flavour), [combination]);
    const own = { ...rig, artifacts: path.join(rig.artifacts, `smaller-${String(++count)}`) };
    const name = combinationName(combination).replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&');
    const request = await vitestRequest(['matrix'], own, { ...options, filter: new RegExp(`^ ?${name} `) });
    return (await runVitest(request, session)).results.some(({ failure }) => failure);
  };
}

function withCombinations(rig: RigContext, combinations: readonly Combination[]): RigContext {
  return { ...rig, selection: { ...rig.selection, combinations } };
}

async function vitestRequest(
  suites: readonly string[],
  rig: RigContext,
  { maxVms, filter, onResult }: Pick<PlanRequest, 'maxVms' | 'filter'> & Pick<VitestRequest, 'onResult'>,
): Promise<VitestRequest> {
  const include = await filesToRun(suites);
  const { flavour } = rig.selection;
  return { projects: [vitestProject('suites', { include, maxVms, flavour })], rig, filter, onResult };
}
