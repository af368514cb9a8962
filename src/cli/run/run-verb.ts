/** `dgpu-rig run`: builds what is missing, boots, runs suites, judges. */
import type { Command } from 'commander';
import { buildKselftest } from '../../builds/kernel/kselftest-build.ts';
import { runFacts } from '../../report/compose-report.ts';
import { accelerationText } from '../../report/text/accelerators.ts';
import { openEventLog, type LogEvent } from '../../report/live/event-log.ts';
import type { RunReport } from '../../report/run-report.ts';
import { loadPlans, planNamed, type Plan, type Plans } from '../../config/plan.ts';
import { planOf, planParts, type PlanPart } from '../../plan/plan-parts.ts';
import { shardOf } from '../../plan/plan-shards.ts';
import { randomSeed } from '../../util/random.ts';
import { EXEC_SUITE, KSELFTEST, isOutside, suiteFiles, suiteNames } from '../../plan/suite-files.ts';
import { checkSuites } from '../../plan/suite-syntax.ts';
import { RigError } from '../../util/rig-error.ts';
import { artifactsFolder } from '../../config/paths.ts';
import { artifactsHint } from '../../report/past/old-artifacts.ts';
import { jobArguments } from '../slurm/job-arguments.ts';
import { JudgedRun } from './judged-run.ts';
import { Rigs, runParts } from './plan-run.ts';
import { concludeReport, concludeRun, requireResults } from './run-conclusion.ts';
import type { RunOptions } from '../options/option-table.ts';
import {
  briefly,
  checkCycles,
  checkDriver,
  checkReportFiles,
  kernelVariant,
  programsOf,
  runRequest,
  withBrought,
  type Brought,
} from '../options/run-request.ts';
import { loggedSession, type Session } from '../session.ts';
import { runOnSlurm } from '../slurm/slurm-run.ts';

export async function runVerb(
  words: readonly string[],
  given: RunOptions,
  quiet: Session,
  command: Command,
): Promise<number> {
  const names = words.filter((word) => word !== KSELFTEST);
  checkKselftest(words, given);
  await checkSuites(await suiteFiles(names));
  await checkReportFiles(given);
  checkEngine(given);
  const options = given.target === undefined ? given : await withKselftest(given, given.target, quiet);
  const brought = { ...(await programsOf(options)), outside: names.filter(isOutside) };
  const plans = await loadPlans();
  const plan = choosePlan(names, options, plans);
  const whole = planParts(plan, plans, await suiteNames());
  const suites = [...new Set(whole.flatMap((part) => part.suites))];
  checkCycles(options, suites);
  checkDriver(options, suites);
  const log = openEventLog(options.jsonl, quiet.progress.print);
  const session = loggedSession(quiet, log);
  const forMs = options.for ?? plan.forMs;
  if (options.engine === 'slurm') {
    const args = jobArguments(process.argv.slice(3), command.options, options.seed ?? randomSeed());
    const request = { parts: whole, shards: options.shards, timed: forMs !== undefined, args, keep: options.keep };
    const report = await runOnSlurm(request, session, log);
    requireResults(report.results, options.filter, []);
    return logEnd(log, report, await concludeReport(report, options, session));
  }
  const parts = options.shard ? shardOf(whole, options.shard) : whole;
  return runHere({ parts, plans, forMs, brief: plan.brief, brought }, options, session, log);
}

interface LocalRun {
  readonly parts: readonly PlanPart[];
  readonly plans: Plans;
  readonly forMs: number | undefined;
  readonly brief: boolean;
  readonly brought: Brought;
}

async function runHere(
  { parts, plans, forMs, brief, brought }: LocalRun,
  options: RunOptions,
  session: Session,
  log: LogEvent,
): Promise<number> {
  const { progress } = session;
  const request = withBrought(briefly(brief, runRequest(options, session)), brought);
  const rigs = new Rigs(request);
  const rig = await rigs.of(parts[0]?.flavour ?? options.flavour);
  log({ type: 'run-start', ...runFacts(rig) });
  const { build, acceleration, selection } = rig;
  const kernels = parts.map(({ flavour }) => flavour).join(', ');
  progress.print(
    `Linux ${build.kernel.version} (${kernels}), QEMU ${build.qemu.version}, ${accelerationText(acceleration)}, seed ${String(selection.seed)}`,
  );
  const { filter, maxVms, repeat = 0 } = options;
  const { shard } = options;
  const run = new JudgedRun(rig, session, { shard, onResult: (result) => log({ type: 'test-end', result }) });
  const common = { space: plans, filter, maxVms, repeat };
  await run.judge(async () => {
    await untilOver(forMs, run, (first) => {
      if (first) return runParts(parts, rigs, common, session, run);
      const seed = randomSeed();
      progress.print(`Once more, with seed ${String(seed)}`);
      const again = new Rigs({ ...request, selection: { ...request.selection, seed } });
      return runParts(parts, again, common, session, run);
    });
    // A shard may well have none of the tests that are asked for.
    if (!shard) requireResults(run.results, filter, run.leftOut);
  }, session);
  // Who runs a program wants to read what it printed, whatever came of it.
  const keep = options.keep || brought.programs !== undefined;
  const exitCode = logEnd(log, run.report, await concludeRun(run, { ...options, keep }, session));
  const hint = await artifactsHint(artifactsFolder());
  if (hint !== undefined) process.stdout.write(`${hint}\n`);
  return exitCode;
}

function logEnd(log: LogEvent, { summary, cutShort }: RunReport, exitCode: number): number {
  log({ type: 'run-end', summary, exitCode, ...(cutShort ? { cutShort } : {}) });
  return exitCode;
}

function checkKselftest(words: readonly string[], { target, plan, engine }: RunOptions): void {
  const example = 'For example: ./dgpu-rig run kselftest --target dmabuf-heaps';
  if (words.includes(KSELFTEST) !== (target !== undefined)) {
    const message =
      target === undefined
        ? "--target says which of the kernel's self-tests to run, and is missing."
        : '--target is for kselftest, which is not among the suites.';
    throw new RigError('usage', message, { remedy: example });
  }
  if (target === undefined) return;
  if (plan !== undefined)
    throw new RigError('usage', `The plan ${plan} says what to run; kselftest can't be run with it.`);
  // Where a job is run, the cache may be another.
  if (engine === 'slurm') throw new RigError('usage', "--engine slurm can't run kselftest.", { remedy: example });
}

/** They are programs as those of --exec are, in a userland that has the shells they are written for. */
async function withKselftest(
  options: RunOptions,
  targets: readonly string[],
  { progress, signal }: Session,
): Promise<RunOptions> {
  const { kernelSrc, flavour, exec = [], put = [], install = [] } = options;
  const request = { targets, flavour, variant: kernelVariant(options) };
  const sources = kernelSrc === undefined ? {} : { kernelSource: kernelSrc };
  const built = await buildKselftest({ ...request, ...sources }, progress.emit, signal);
  const { folder, commands } = built;
  if (commands.length === 0) {
    throw new RigError('usage', `The self-tests ${targets.join(', ')} have no program to run on this machine.`);
  }
  return {
    ...options,
    exec: [...exec, ...commands],
    put: [...put, { from: folder, to: '/tmp/' }],
    // Which implies the userland.
    install: [...install, ...built.install],
  };
}

function checkEngine({ engine, shard, shards }: RunOptions): void {
  if (engine === 'slurm' && shard) {
    throw new RigError('usage', '--shard is for one job; --engine slurm makes a job for each.', {
      remedy: '--shards N says how many.',
    });
  }
  if (engine !== 'slurm' && shards !== undefined) {
    throw new RigError('usage', '--shards is for --engine slurm.', {
      remedy: 'To run one part on this host: --shard 1/3',
    });
  }
}

/** The plan for a run of which neither suites nor a plan are named: it gives a first verdict soon. */
const MAIN_JOB = 'smoke';

type Choice = Pick<RunOptions, 'plan' | 'matrix' | 'flavour' | 'exec'>;

export function choosePlan(names: readonly string[], options: Choice, plans: Plans): Plan {
  const { plan: name, matrix: cover, flavour, exec } = options;
  if (name === undefined) {
    const { suites } = planNamed(plans, MAIN_JOB);
    const named = exec === undefined ? names : [...names, EXEC_SUITE];
    return planOf(named.length === 0 && suites !== 'all' ? suites : named, { flavour, cover }, plans);
  }
  if (exec !== undefined) {
    throw new RigError('usage', `The plan ${name} says what to run; --exec can't be run with it.`, {
      remedy: 'Run the program by itself, or with suites that you name.',
    });
  }
  if (names.length > 0) {
    throw new RigError(
      'usage',
      `The plan ${name} says which suites to run; ${names.join(', ')} can't be run with it.`,
      {
        remedy: 'Name either suites or a plan.',
      },
    );
  }
  const plan = planNamed(plans, name);
  return cover && plan.matrix ? { ...plan, matrix: { ...plan.matrix, cover } } : plan;
}

/** Runs once, or repeatedly until the time is over or something failed. */
async function untilOver(
  milliseconds: number | undefined,
  run: Pick<JudgedRun, 'hasFailed'>,
  round: (first: boolean) => Promise<void>,
): Promise<void> {
  const end = performance.now() + (milliseconds ?? 0);
  await round(true);
  while (performance.now() < end && !run.hasFailed) await round(false);
}
