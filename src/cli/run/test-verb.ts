/** `dgpu-rig test`: the tests of the rig itself, then the suites: all that has to hold before a change lands. */
import { writeFile } from 'node:fs/promises';
import { execa } from 'execa';
import type { Flavour } from '../../config/flavour.ts';
import type { Cover } from '../../config/combination.ts';
import { loadPlans, planNamed, type Plans } from '../../config/plan.ts';
import { repositoryPath } from '../../config/paths.ts';
import { reportExitCode } from '../../report/judge/outcome.ts';
import type { TestFile } from '../../report/judge/rig-reporter.ts';
import { summarize, type TestResult } from '../../report/run-report.ts';
import { cutShortText } from '../../report/text/cut-short-text.ts';
import { failuresText } from '../../report/text/failures-text.ts';
import { unknownWarningsText } from '../../report/text/unknown-warnings-text.ts';
import { summaryLine } from '../../report/text/summary-line.ts';
import { costTable, type CostPart } from '../../report/text/cost-table.ts';
import { verdictTable } from '../../report/text/verdict-table.ts';
import { onFlavour, planParts, type PlanPart } from '../../plan/plan-parts.ts';
import { suiteFiles, suiteNames } from '../../plan/suite-files.ts';
import { PROJECT_NAMES, vitestProject, type ProjectName } from '../../plan/vitest-projects.ts';
import { whichThereAre } from '../../util/nearest-names.ts';
import { RigError } from '../../util/rig-error.ts';
import type { RigEvent } from '../../util/rig-event.ts';
import type { TestOptions } from '../options/option-table.ts';
import { briefly, checkCycles, runRequest } from '../options/run-request.ts';
import { loggedSession, type Session } from '../session.ts';
import { runVitest } from './vitest-run.ts';
import { JudgedRun } from './judged-run.ts';
import { matrixTrial, Rigs } from './plan-run.ts';
import { reduceFailures } from './reduced-failures.ts';

export async function testVerb(names: readonly string[], options: TestOptions, quiet: Session): Promise<number> {
  const start = performance.now();
  const { session, steps } = timedSession(quiet);
  const { progress } = session;
  setSearchEffort(options);
  const projects = names.length === 0 ? PROJECT_NAMES : names.map(projectName);
  if (!projects.includes('suites')) checkCycles(options, []);
  const { filter, maxVms, flavour, matrix } = options;
  const plans = await loadPlans();
  const { combinations, suites } = await ciPart(plans, flavour, matrix);
  const rigs = new Rigs(briefly(planNamed(plans, 'ci').brief, runRequest(options, session)));
  const [plain, checked] = await Promise.all([rigs.of(flavour), runCheck(session)]);
  const setUp = steps();
  const rig = { ...plain, selection: { ...plain.selection, combinations } };
  const include = await suiteFiles(suites);
  const configured = projects.map((name) =>
    vitestProject(name, { maxVms, flavour, ...(name === 'suites' ? { include } : {}) }),
  );
  // The tests of the rig itself are no run that another could be compared with.
  const run = new JudgedRun(rig, session, { recorded: false });
  let files: readonly TestFile[] = [];
  await run.judge(async () => {
    const onResult = (result: TestResult): void => run.add(result);
    ({ files } = await runVitest({ projects: configured, rig, filter, onResult }, session));
    const trial = matrixTrial(rigs, { maxVms }, session);
    await run.refine(0, (results) => reduceFailures(results, { ...plans, combinations }, trial, session));
  }, session);

  progress.stop();
  const { results, report } = run;
  const { pass, fail, error } = summarize(results);
  const watched = results.filter(({ params, notRun }) => Object.keys(params).length > 0 && notRun !== true);
  if (watched.length > 0) process.stdout.write(`\n${verdictTable(watched)}\n`);
  const named = files.map((file) => ({ ...file, name: file.path }));
  process.stdout.write(`\n${costTable([...setUp, ...named], performance.now() - start)}\n`);
  // After a run that was cut short the ledger would lack the files that were not run.
  if (options.ledger !== undefined && !report.cutShort) await writeLedger(options.ledger, files);
  const last = summaryLine(pass + Number(checked), fail + error + Number(!checked));
  const said = `${unknownWarningsText(results)}${failuresText(results)}`;
  process.stdout.write(`\n${said}${cutShortText(report)}${last}\n`);
  return reportExitCode(report, checked ? [] : ['test']);
}

/** The same session, and how long each step took that had to be done. */
function timedSession(session: Session): { session: Session; steps: () => CostPart[] } {
  const titles = new Map<string, string>();
  const parts: CostPart[] = [];
  const log = (event: RigEvent): void => {
    if (event.type === 'step-start') titles.set(event.id, event.title);
    if (event.type !== 'step-end' || event.outcome === 'cached') return;
    parts.push({ name: titles.get(event.id) ?? event.id, milliseconds: event.durationMs });
  };
  return { session: loggedSession(session, log), steps: () => [...parts] };
}

/** Files that take a second or more, sorted by path, so that a change of one line is a change of one line. */
async function writeLedger(file: string, files: readonly TestFile[]): Promise<void> {
  const rows = files.flatMap(({ path, milliseconds, vms }) => {
    const seconds = Math.round(milliseconds / 1000);
    return seconds === 0 ? [] : [[path, { seconds, vms }] as const];
  });
  await writeFile(
    file,
    `${JSON.stringify(Object.fromEntries(rows.sort(([a], [b]) => a.localeCompare(b))), undefined, 2)}\n`,
  );
}

/** The suites are those of the plan "ci": on one kernel, the plain one unless told otherwise. */
async function ciPart(plans: Plans, flavour: Flavour, cover: Cover | undefined): Promise<PlanPart> {
  const { matrix, ...ci } = onFlavour(planNamed(plans, 'ci'), flavour);
  const own = matrix && { ...matrix, cover: cover ?? matrix.cover };
  const [part] = planParts({ ...ci, matrix: own }, plans, await suiteNames());
  return part ?? { flavour, suites: [], combinations: [] };
}

/** Sets what the property tests of the device read, which run in other processes. */
function setSearchEffort({ effort, seed, sanitize }: TestOptions): void {
  process.env['DGPU_RIG_EFFORT'] = String(effort);
  if (seed !== undefined) process.env['DGPU_RIG_SEED'] = String(seed);
  if (sanitize !== true) return;
  // What QEMU leaves allocated at its end is not the question; undefined behaviour must not go on after a remark.
  process.env['ASAN_OPTIONS'] ??= 'detect_leaks=0';
  process.env['UBSAN_OPTIONS'] ??= 'halt_on_error=1:print_stacktrace=1';
}

/** Format, lint, types and import order count as one test. */
async function runCheck({ progress, signal }: Session): Promise<boolean> {
  const start = performance.now();
  const step = { id: 'npm-run-check' };
  progress.emit({ type: 'step-start', ...step, title: 'Format, lint, types, import order' });
  const { exitCode, all } = await execa('npm', ['run', '--silent', 'check'], {
    cwd: repositoryPath(),
    all: true,
    reject: false,
    cancelSignal: signal,
  });
  signal.throwIfAborted();
  const outcome = exitCode === 0 ? 'done' : 'failed';
  progress.emit({ type: 'step-end', ...step, outcome, durationMs: performance.now() - start });
  if (exitCode !== 0) progress.print(all);
  return exitCode === 0;
}

function projectName(name: string): ProjectName {
  const known = PROJECT_NAMES.find((candidate) => candidate === name);
  if (known) return known;
  throw new RigError('usage', `There are no tests named ${name}.`, {
    remedy: whichThereAre(name, 'kinds of tests', PROJECT_NAMES),
  });
}
