/** `dgpu-rig coverage`: runs suites on a kernel that counts what it executes, and says what no test reaches. */
import { rm } from 'node:fs/promises';
import { DRIVER_GRAFT, PATCH_FOLDER, type KernelBuild, type Profiled } from '../../builds/kernel/kernel-build.ts';
import { readSeries, type Patch } from '../../builds/tree/patch-series.ts';
import { loadPlans, type Plans } from '../../config/plan.ts';
import { onFlavour, planParts, type PlanPart } from '../../plan/plan-parts.ts';
import type { RigContext } from '../../plan/rig-context.ts';
import { isOutside, suiteFiles, suiteNames } from '../../plan/suite-files.ts';
import { checkSuites } from '../../plan/suite-syntax.ts';
import { writeCoverage } from '../../report/coverage/coverage-files.ts';
import { coverageReport, ownersIn, readSources, type Sources } from '../../report/coverage/coverage-report.ts';
import { coverageSummary, coverageTable, patchText } from '../../report/coverage/coverage-text.ts';
import { readCounts } from '../../report/coverage/line-counts.ts';
import type { Owners } from '../../series/added-lines.ts';
import { accelerationText } from '../../report/text/accelerators.ts';
import { EXIT_CODES, RigError } from '../../util/rig-error.ts';
import { errorText } from '../error-text.ts';
import { COVERAGE_FILES, type CoverageOptions } from '../options/option-table.ts';
import { briefly, checkFiles, runRequest, withBrought } from '../options/run-request.ts';
import type { Session } from '../session.ts';
import { JudgedRun } from './judged-run.ts';
import { Rigs, runParts } from './plan-run.ts';
import { concludeRun, requireResults } from './run-conclusion.ts';
import { choosePlan } from './run-verb.ts';

const FLAVOUR = 'gcov';
const DRIVER = DRIVER_GRAFT.to;

export async function coverageVerb(
  names: readonly string[],
  given: CoverageOptions,
  session: Session,
): Promise<number> {
  await checkSuites(await suiteFiles(names));
  await checkFiles(given, COVERAGE_FILES);
  const series = await readSeries(PATCH_FOLDER);
  const patch = given.showPatch === undefined ? undefined : patchNumbered(given.showPatch, series);
  const options = { ...given, flavour: FLAVOUR } as const;
  const plans = await loadPlans();
  const plan = onFlavour(choosePlan(names, options, plans), FLAVOUR);
  const brought = { outside: names.filter(isOutside) };
  const made = await new Rigs(withBrought(briefly(plan.brief, runRequest(options, session)), brought)).of(FLAVOUR);
  const rig = { ...made, counters: `${made.artifacts}-counters` };
  const code = await codeOf(rig.build.kernel, series);
  const { selection, build, acceleration } = rig;
  session.progress.print(
    `Linux ${build.kernel.version} (${FLAVOUR}), QEMU ${build.qemu.version}, ${accelerationText(acceleration)}, seed ${String(selection.seed)}`,
  );
  try {
    const parts = planParts(plan, plans, await suiteNames());
    const exitCode = await runAll(parts, { rig, plans }, options, session);
    const counts = await readCounts(rig.counters, code.profiled);
    // No VM was started: the run was ended before, or its tests need none.
    if (counts.vms.length + counts.lost.length === 0) return exitCode;
    const report = coverageReport({ kernel: build.kernel.version, driver: DRIVER, ...code, counts });
    const wanted = report.patches.find((each) => each.patch === patch);
    const details = wanted ? patchText(wanted, code.sources) : coverageTable(report, DRIVER);
    process.stdout.write(`\n${details}\n${coverageSummary(report)}\n`);
    const written = await writeFiles(options, { report, driver: DRIVER, sources: code.sources });
    return exitCode === 0 ? written : exitCode;
  } finally {
    await rm(rig.counters, { recursive: true, force: true });
  }
}

interface Code {
  readonly profiled: Profiled;
  readonly sources: Sources;
  readonly series: readonly Patch[];
  readonly owners: ReadonlyMap<string, Owners>;
}

/** A tree that has another series is told of before anything is run. */
async function codeOf({ profiled }: KernelBuild, series: readonly Patch[]): Promise<Code> {
  if (!profiled) throw new Error(`A kernel of the flavour ${FLAVOUR} has nothing that its counters are read with`);
  const sources = await readSources(profiled.folder);
  return { profiled, sources, series, owners: ownersIn(sources, series) };
}

interface CountedRig {
  readonly rig: RigContext;
  readonly plans: Plans;
}

/** Returns the exit code of the run. */
async function runAll(
  parts: readonly PlanPart[],
  { rig, plans }: CountedRig,
  { filter, maxVms, keep }: CoverageOptions,
  session: Session,
): Promise<number> {
  const run = new JudgedRun(rig, session);
  await run.judge(async () => {
    const rigs = { of: () => Promise.resolve(rig) };
    await runParts(parts, rigs, { space: plans, filter, maxVms, repeat: 0 }, session, run);
    requireResults(run.results, filter, run.leftOut);
  }, session);
  return concludeRun(run, { keep }, session);
}

function patchNumbered(number: number, series: readonly Patch[]): string {
  const names = series.map(({ name }) => name.replace(/\.patch$/, ''));
  const found = names.find((name) => Number.parseInt(name, 10) === number);
  if (found !== undefined) return found;
  const numbers = names.map((name) => String(Number.parseInt(name, 10)));
  throw new RigError('usage', `The series has no patch ${String(number)}.`, {
    remedy: `It has ${numbers.join(', ')}.`,
  });
}

/** Returns the exit code: what the tests found comes before it. */
async function writeFiles(...args: Parameters<typeof writeCoverage>): Promise<number> {
  try {
    await writeCoverage(...args);
    return 0;
  } catch (error) {
    process.stderr.write(`dgpu-rig: ${errorText(error)}\n`);
    return EXIT_CODES.infrastructure;
  }
}
