/** `dgpu-rig test`: the tests of the rig itself, then the suites: all that has to hold before a change lands. */
import { execa } from 'execa';
import { repositoryPath } from '../config/paths.ts';
import { runExitCode } from '../report/outcome.ts';
import { summarize } from '../report/run-report.ts';
import { summaryLine } from '../report/summary-line.ts';
import { verdictTable } from '../report/verdict-table.ts';
import { prepareRun } from '../suite/run-context.ts';
import { PROJECT_NAMES, vitestProject, type ProjectName } from '../suite/vitest-projects.ts';
import { RigError } from '../util/rig-error.ts';
import { runRequest, type TestOptions } from './run-options.ts';
import type { Session } from './session.ts';
import { runVitest } from './vitest-run.ts';

export async function testVerb(names: readonly string[], options: TestOptions, session: Session): Promise<number> {
  const { progress } = session;
  setSearchEffort(options);
  const projects = names.length === 0 ? PROJECT_NAMES : names.map(projectName);
  const [rig, checked] = await Promise.all([prepareRun(runRequest(options, session)), runCheck(session)]);
  const { filter, maxVms, flavour } = options;
  const configured = projects.map((name) => vitestProject(name, { maxVms, flavour }));
  const reporter = await runVitest({ projects: configured, rig, filter }, session);

  progress.stop();
  const { pass, fail, error } = summarize(reporter.results);
  const watched = reporter.results.filter(({ params }) => Object.keys(params).length > 0);
  if (watched.length > 0) process.stdout.write(`\n${verdictTable(watched)}\n`);
  process.stdout.write(`\n${summaryLine(pass + Number(checked), fail + error + Number(!checked))}\n`);
  return runExitCode([...reporter.failures, ...(checked ? [] : ['test' as const])]);
}

/** For the property tests of the device, which run in other processes. */
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
    remedy: `There are: ${PROJECT_NAMES.join(', ')}.`,
  });
}
