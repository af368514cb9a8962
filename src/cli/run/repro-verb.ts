/**
 * `dgpu-rig repro`: what failed in a recorded run, again, with the seed, machine, mask, backend, kernel and QEMU it
 * had.
 */
import { BACKENDS, type Combination, combinationName } from '../../config/combination.ts';
import { FLAVOURS, type Flavour } from '../../config/flavour.ts';
import { loadPlans, type Plans } from '../../config/plan.ts';
import type { RecordedRun } from '../../report/past/history.ts';
import type { Asked, RunReport, TestResult } from '../../report/run-report.ts';
import { testTitle } from '../../report/text/result-text.ts';
import { fullProduct } from '../../plan/covering.ts';
import type { PlanPart } from '../../plan/plan-parts.ts';
import { DEFAULT_SELECTION } from '../../plan/rig-context.ts';
import { EXEC_SUITE, suiteFiles, suiteNameOf, suiteNames } from '../../plan/suite-files.ts';
import { repositoryCommit, type RunRequest } from '../../plan/prepare-run.ts';
import { RigError } from '../../util/rig-error.ts';
import { exactly } from './failure-rates.ts';
import { JudgedRun } from './judged-run.ts';
import { Rigs, runParts } from './plan-run.ts';
import { findRun, isRepeatable, openHistory } from './recorded-runs.ts';
import { concludeRun } from './run-conclusion.ts';
import type { ReproOptions, RunOptions } from '../options/option-table.ts';
import { checkReportFiles, programsOf, runRequest, withBrought, type ProgramOptions } from '../options/run-request.ts';
import type { Session } from '../session.ts';

export async function reproVerb(id: string, given: ReproOptions, session: Session): Promise<number> {
  await checkReportFiles(given);
  const { number, report, subjects } = await look(id);
  const outside = outsideOf(report, subjects);
  refuseBenches(report, subjects, [...(await suiteNames()), EXEC_SUITE, ...outside.map(suiteNameOf)]);
  await suiteFiles(outside);
  const { progress } = session;
  progress.print(`Run ${String(number)}: ${subjects.map(testTitle).join(', ')}`);
  await warnOfOtherSources(report, progress.print);
  const plans = await loadPlans();
  const programs = subjects.some(({ suite }) => suite === EXEC_SUITE) ? await programsOf(programsAsked(report)) : {};
  const groups = alike(subjects).map((group) => ({
    ...group,
    rigs: new Rigs(withBrought(requestOf(report, group, given, session), { ...programs, outside })),
  }));
  const [first] = groups;
  if (!first) throw new Error('Nothing is to be repeated');
  const run = new JudgedRun(await first.rigs.of(first.flavour), session);
  await run.judge(async () => {
    for (const group of groups) {
      const filter = exactly(group.results);
      const request = { space: plans, filter, maxVms: given.maxVms, repeat: given.repeat ?? 0 };
      await runParts([partOf(group, plans, outside)], group.rigs, request, session, run);
    }
    if (run.results.length > 0) return;
    const { rig: commit = 'unknown' } = report;
    throw new RigError('usage', 'There is no such test any more.', {
      remedy: `It was run with commit ${commit} of the rig.`,
    });
  }, session);
  return concludeRun(run, given, session);
}

/** A bench has the host to itself, and is run by another verb. */
export function refuseBenches(
  { seed }: Pick<RunReport, 'seed'>,
  subjects: readonly Pick<TestResult, 'suite'>[],
  suites: readonly string[],
): void {
  const bench = subjects.find(({ suite }) => !suites.includes(suite))?.suite;
  if (bench === undefined) return;
  const words = ['./dgpu-rig bench', bench, ...(seed === undefined ? [] : ['--seed', String(seed)])];
  throw new RigError('usage', `There is no suite ${bench} to run again.`, {
    remedy: `If it was a bench, measure again: ${words.join(' ')}`,
  });
}

/** The paths of the suites of these tests that are not the rig's own. */
function outsideOf({ asked }: RunReport, subjects: readonly TestResult[]): string[] {
  return (asked?.outside ?? []).filter((file) => subjects.some(({ suite }) => suite === suiteNameOf(file)));
}

/** Their files are what they are now. */
export function programsAsked({ asked }: RunReport): ProgramOptions {
  const { exec, put, share, install, timeoutMs }: Partial<Asked> = asked ?? {};
  return {
    ...(exec && { exec }),
    ...(put && { put }),
    ...(share && { share }),
    ...(install && { install }),
    ...(timeoutMs !== undefined && { timeout: timeoutMs }),
  };
}

/** Where nobody had chosen a machine, it is still the one that was taken, whatever this host's KVM can have. */
export function requestOf(
  report: RunReport,
  group: Omit<Alike, 'results'>,
  given: ReproOptions,
  session: Session,
): RunRequest {
  const request = runRequest(optionsOf(report, group, given), session);
  const wider = report.asked?.wider;
  return wider ? { ...request, selection: { ...request.selection, wider } } : request;
}

interface Found {
  readonly number: number;
  readonly report: RunReport;
  readonly subjects: readonly TestResult[];
}

async function look(id: string): Promise<Found> {
  const { run, test } = parseId(id);
  const recorded = await findRun(openHistory(), run, Infinity);
  return { number: recorded.id, report: recorded.report, subjects: subjectsOf(recorded, test) };
}

/** "12" is a run; "12.3" the third test of it; "last" and a commit are runs, too. */
export function parseId(id: string): { run: string; test: number | undefined } {
  const [, run = id, test] = /^(#?\d+|last)\.(\d+)$/.exec(id) ?? [];
  return { run, test: test === undefined ? undefined : Number(test) };
}

/** The tests that failed; or the one that is named, whether it failed or not. */
export function subjectsOf({ id, report }: Pick<RecordedRun, 'id' | 'report'>, test: number | undefined): TestResult[] {
  const { results } = report;
  if (test !== undefined) {
    const named = results[test - 1];
    if (named) return [named];
    throw new RigError(
      'usage',
      `Run ${String(id)} has no test ${String(test)}, but ${String(results.length)} of them.`,
    );
  }
  const failed = results.filter(isRepeatable);
  if (failed.length > 0) return failed;
  throw new RigError('usage', `Nothing failed in run ${String(id)}.`, {
    remedy: `Name one of its ${String(results.length)} tests: ./dgpu-rig repro ${String(id)}.1`,
  });
}

interface Alike {
  readonly flavour: Flavour;
  readonly seed: number | undefined;
  readonly results: readonly TestResult[];
}

/** Groups results by kernel and seed: a plan has several kernels, and a run that is repeated has several seeds. */
export function alike(results: readonly TestResult[]): Alike[] {
  const groups = new Map<string, Alike & { results: TestResult[] }>();
  for (const result of results) {
    const flavour = FLAVOURS.find((name) => name === result.params['flavour']) ?? 'plain';
    const seed = typeof result.params['seed'] === 'number' ? result.params['seed'] : undefined;
    const key = `${flavour} ${String(seed)}`;
    const group = groups.get(key) ?? { flavour, seed, results: [] };
    group.results.push(result);
    groups.set(key, group);
  }
  return [...groups.values()];
}

function partOf({ flavour, results }: Alike, plans: Plans, outside: readonly string[]): PlanPart {
  const names = [...new Set(results.map(({ suite }) => suite))];
  const suites = names.map((name) => outside.find((file) => suiteNameOf(file) === name) ?? name);
  return { flavour, suites, combinations: combinationsOf(results, plans) };
}

/** The suite "matrix" has a group for each, of its name. */
export function combinationsOf(results: readonly TestResult[], { factors, impossible }: Plans): Combination[] {
  const groups = new Set(results.filter(({ suite }) => suite === 'matrix').map(({ test }) => test.split(' > ')[0]));
  if (groups.size === 0) return [];
  return fullProduct(factors, impossible).filter((combination) => groups.has(combinationName(combination)));
}

/** The options of the recorded run; those that are given now are only added to them. */
export function optionsOf(
  report: RunReport,
  { flavour, seed }: Omit<Alike, 'results'>,
  given: ReproOptions,
): RunOptions {
  const { asked } = report;
  const backend = BACKENDS.find((name) => name === asked?.backend);
  const chosenSeed = seed ?? report.seed;
  const { machine, dmaBits } = DEFAULT_SELECTION;
  return {
    ...{ machine, dmaBits, backend: DEFAULT_SELECTION.backend, ...given },
    ...(asked && { machine: asked.machine, dmaBits: asked.dmaBits }),
    ...(backend && { backend }),
    ...(chosenSeed !== undefined && { seed: chosenSeed }),
    ...(asked?.cycles !== undefined && { cycles: asked.cycles }),
    ...(asked?.durationMs !== undefined && { duration: asked.durationMs }),
    ...(asked?.kernelSource !== undefined && { kernelSrc: asked.kernelSource }),
    ...(asked?.unpatched && { unpatched: true }),
    ...(asked?.kconfig && { kconfig: asked.kconfig }),
    ...(asked?.patch && { patch: asked.patch }),
    ...(asked?.append !== undefined && { append: asked.append }),
    ...(given.trace === undefined && asked?.trace && { trace: asked.trace }),
    ...(asked?.qemuSource !== undefined && { qemuSrc: asked.qemuSource }),
    ...(asked?.sanitize && { sanitize: true }),
    flavour,
  };
}

/** Everything else is in the record; the sources are what the person has now. */
async function warnOfOtherSources({ rig: then }: RunReport, tell: (text: string) => void): Promise<void> {
  const now = await repositoryCommit();
  if (then === undefined || then === now) return;
  tell(
    `It was run with commit ${then.slice(0, 13)} of the rig; this is ${now?.slice(0, 13) ?? 'none'}, so it may do something else.`,
  );
}
