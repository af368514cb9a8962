/** The command line: verbs, options, and what becomes of every error. */
import { Argument, Command, CommanderError } from 'commander';
import { suiteNameOf, suiteOf } from '../plan/suite-files.ts';
import { EDITABLE_FOLDER } from '../config/paths.ts';
import { EXIT_CODES, INTERRUPTED_EXIT_CODE, RigError } from '../util/rig-error.ts';
import { addBisectOptions, type BisectOptions } from './bisect/bisect-options.ts';
import { addDeskCommands } from './desk/desk-commands.ts';
import { errorText } from './error-text.ts';
import { applyUserDefaults } from './options/apply-defaults.ts';
import { addOptions, COMPLETION } from './options/command-options.ts';
import {
  UPSTREAM_OPTIONS,
  BENCH_OPTIONS,
  BUILD_OPTIONS,
  CLEAN_OPTIONS,
  COVERAGE_OPTIONS,
  MUTATE_OPTIONS,
  REPORT_OPTIONS,
  LISTS,
  LIST_OPTIONS,
  RUN_OPTIONS,
  TEST_OPTIONS,
  WATCH_OPTIONS,
  type UpstreamOptions,
  type BenchOptions,
  type BuildOptions,
  type CleanOptions,
  type CoverageOptions,
  type List,
  type ListOptions,
  type MutateOptions,
  type Options,
  type RunOptions,
  type TestOptions,
  type WatchOptions,
} from './options/option-table.ts';
import { Interruption, openSession, progressOutput, type Session } from './session.ts';
import type { DoctorOptions } from './verbs/doctor-verb.ts';
import type { ReportOptions } from './verbs/report-verb.ts';

// A verb is loaded when it is called: all of them take longer than most of what a person asks for, and Tab asks for
// nothing.
type SetExitCode = (code: number) => void;

async function program(version: string, session: Session, exit: SetExitCode): Promise<Command> {
  const root = new Command('dgpu-rig')
    .description('A test rig for the memory management of discrete GPUs in the Linux kernel.')
    .version(version, '--version', 'print the version')
    .exitOverride()
    .configureOutput({ outputError: (text, write) => write(text.replace(/^error: /, 'dgpu-rig: ')) })
    .showHelpAfterError('(./dgpu-rig --help lists all commands)');
  applyUserDefaults(root, process.cwd());
  addOptions(root.command('run').description('build what is missing, boot VMs, run suites, judge'), RUN_OPTIONS)
    .argument(
      '[suite...]',
      'suites to run, by name or, for one of your own, by its file; without any the plan "smoke": 1 min on 2 cores once all is set up ("--plan ci", every suite but two: 20 min)',
    )
    .action(async (suites: string[], options: RunOptions, command: Command) =>
      exit(await (await import('./run/run-verb.ts')).runVerb(suites.map(suiteOf), options, session, command)),
    );
  addOptions(root.command('build').description('build everything that run needs'), BUILD_OPTIONS).action(
    async (options: BuildOptions) => exit(await (await import('./verbs/build-verb.ts')).buildVerb(options, session)),
  );
  addDeskCommands(root, session, exit);
  addOptions(root.command('bench').description('measure, and compare with what upstream has'), BENCH_OPTIONS)
    .argument('[bench...]', 'benches to run; all of them by default')
    .action(async (benches: string[], options: BenchOptions) =>
      exit(await (await import('./run/bench-verb.ts')).benchVerb(benches.map(suiteNameOf), options, session)),
    );
  addCoverageCommand(root, session, exit);
  addMutateCommand(root, session, exit);
  addOptions(
    root.command('watch').description('run suites again whenever something they depend on is saved'),
    WATCH_OPTIONS,
  )
    .argument('[suite...]', 'suites to run; all of them by default')
    .action(async (suites: string[], options: WatchOptions) =>
      exit(await (await import('./watch/watch-verb.ts')).watchVerb(suites.map(suiteOf), options, session)),
    );
  addOptions(
    root.command('list').description('print the names that other commands take, and what they stand for'),
    LIST_OPTIONS,
  )
    .addArgument(new Argument('[kind]', 'what to list; all but tests by default').choices(LISTS))
    .argument('[suite...]', 'list only the tests of these suites')
    .action(async (kind: List | undefined, suites: string[], options: ListOptions) =>
      exit(await (await import('./verbs/list-verb.ts')).listVerb(kind, suites.map(suiteOf), options, session)),
    );
  addBisectCommands(root, session, exit);
  addKernelVerbs(root.command('kernel').description('work with the patch series'), session, exit);
  addReportCommand(root, exit);
  addDoctorCommand(root, session, exit);
  addOptions(root.command('clean').description('remove what old runs left in artifacts/'), CLEAN_OPTIONS).action(
    async (options: CleanOptions) => exit(await (await import('./verbs/clean-verb.ts')).cleanVerb(options)),
  );
  addOptions(root.command('test').description('run the tests of the rig itself, then the suites'), TEST_OPTIONS)
    .argument('[project...]', 'unit, device, vm, reliability, slurm, kvm, suites; all of them by default')
    .action(async (projects: string[], options: TestOptions) =>
      exit(await (await import('./run/test-verb.ts')).testVerb(projects, options, session)),
    );
  await addCompletion(root);
  root.commands.forEach(hintAtHelp);
  return root;
}

function addCoverageCommand(root: Command, session: Session, exit: SetExitCode): void {
  addOptions(
    root.command('coverage').description('run suites, and say which lines of the series and the driver none reaches'),
    COVERAGE_OPTIONS,
  )
    .argument('[suite...]', 'suites to run, as of "run"; without any the plan "smoke"')
    .action(async (suites: string[], options: CoverageOptions) =>
      exit(await (await import('./run/coverage-verb.ts')).coverageVerb(suites.map(suiteOf), options, session)),
    );
}

function addMutateCommand(root: Command, session: Session, exit: SetExitCode): void {
  addOptions(
    root.command('mutate').description('change the code of the series and the driver, and say what no suite notices'),
    MUTATE_OPTIONS,
  )
    .argument('[suite...]', 'suites to run, as of "run"; without any those of --coverage, or the plan "smoke"')
    .action(async (suites: string[], options: MutateOptions) =>
      exit(await (await import('./mutate/mutate-verb.ts')).mutateVerb(suites.map(suiteOf), options, session)),
    );
}

function addDoctorCommand(root: Command, session: Session, exit: SetExitCode): void {
  root
    .command('doctor')
    .description('print what this machine lacks, and the command that installs it')
    .option('--kvm', 'build what is missing, and try KVM with each machine, whatever is remembered')
    .action(async (options: DoctorOptions) =>
      exit(await (await import('./verbs/doctor-verb.ts')).doctorVerb(options, session)),
    );
}

function addReportCommand(root: Command, exit: SetExitCode): void {
  addOptions(root.command('report [file...]'), REPORT_OPTIONS)
    .description('render the latest run, a run by its number, or what "run --json FILE" wrote; by default as a table')
    .option('--merge', 'merge the reports of the shards of one run; the exit code is that of the whole run')
    .option('--trend <file>', 'write what became of each test in the latest 30 recorded runs, as one HTML file')
    .option('--baseline <run>', 'compare with an earlier run: "last", its number, a commit or a kernel')
    .action(async (files: string[], options: ReportOptions) =>
      exit(await (await import('./verbs/report-verb.ts')).reportVerb(files, options)),
    );
}

/** The help of most is longer than a terminal: the mistake would be out of sight. */
function hintAtHelp(verb: Command): void {
  const above = verb.parent?.parent ? [verb.parent.name()] : [];
  verb.showHelpAfterError(`(${['./dgpu-rig', ...above, verb.name(), '--help'].join(' ')} says what it takes)`);
  verb.commands.forEach(hintAtHelp);
}

function addKernelVerbs(kernel: Command, session: Session, exit: SetExitCode): void {
  addOptions(
    kernel
      .command('edit')
      .description('lay the kernel out as a git repository with each patch as a commit, and the driver linked into it')
      .argument('[dir]', 'where to; a new folder', EDITABLE_FOLDER),
    ['kernelSrc'],
  ).action(async (dir: string, options: Options<'kernelSrc'>) =>
    exit(await (await import('./verbs/kernel-verb.ts')).kernelEditVerb(dir, options, session)),
  );
  kernel
    .command('refresh')
    .description('write the commits of such a repository back to guest-kernel/patches')
    .argument('[dir]', 'what kernel edit made', EDITABLE_FOLDER)
    .action(async (dir: string) =>
      exit(await (await import('./verbs/kernel-verb.ts')).kernelRefreshVerb(dir, session)),
    );
  addOptions(
    kernel.command('check').description('apply, style-check and build every patch of the series, one by one'),
    ['kernelSrc', 'drivers', 'run'],
  ).action(async ({ run, ...options }: Options<'kernelSrc' | 'drivers' | 'run'>) =>
    exit(
      run === undefined
        ? await (await import('./verbs/kernel-verb.ts')).kernelCheckVerb(options, session)
        : await (await import('./verbs/series-run-verb.ts')).seriesRunVerb({ ...options, run }, session),
    ),
  );
  kernel
    .command('bases')
    .description('say how far the series applies to other kernels that Debian packages')
    .action(async () => exit(await (await import('./verbs/kernel-verb.ts')).kernelBasesVerb(session)));
  addOptions(
    kernel.command('upstream-verdicts').description("record what the kernel's own tests say on the unpatched kernel"),
    UPSTREAM_OPTIONS,
  ).action(async (options: UpstreamOptions) =>
    exit(await (await import('./run/upstream-verdicts-verb.ts')).upstreamVerdictsVerb(options, session)),
  );
}

function addBisectCommands(root: Command, session: Session, exit: SetExitCode): void {
  addBisectOptions(
    root
      .command('bisect')
      .description('find the commit that broke a test, in a kernel tree (by default the one of "kernel edit")'),
  )
    .argument('[suite...]', 'suites to run; all of them by default')
    .action(async (suites: string[], options: BisectOptions) =>
      exit(await (await import('./bisect/bisect-verb.ts')).bisectVerb(suites.map(suiteOf), options, session)),
    );
  root
    .command('bisect-step', { hidden: true })
    .argument('<file>', 'what bisect wrote for it')
    .action(async (file: string) =>
      exit(await (await import('./bisect/bisect-verb.ts')).bisectStepVerb(file, session)),
    );
}

/** Whatever is done with patches is done with files: here the ids of messages become some. */
async function fetchPatches(command: Command, { progress, signal }: Session): Promise<void> {
  const { patch } = command.opts<Partial<Pick<BuildOptions, 'patch'>>>();
  if (!patch?.some((word) => word.includes('@'))) return;
  const { patchFiles } = await import('../builds/tree/patch-message.ts');
  const source = command.getOptionValueSource('patch');
  command.setOptionValueWithSource('patch', await patchFiles(patch, progress.emit, signal), source);
}

/** For Tab and for who asks for the code; all others only see that there is such a verb. */
async function addCompletion(root: Command): Promise<void> {
  if (['complete', 'completion'].includes(process.argv[2] ?? '')) {
    await (await import('./options/completion.ts')).addCompletion(root);
  } else root.command('completion').argument('<shell>').description(COMPLETION);
}

/** Two git processes, for the one who asks. */
async function version(): Promise<string> {
  return process.argv.includes('--version') ? (await import('./options/version-text.ts')).versionText() : '';
}

/** Of what ends a verb without a verdict; a bug of ours is never a failed test. */
function exitCodeOf(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT_CODES.usage;
  if (error instanceof Interruption) return INTERRUPTED_EXIT_CODE;
  process.stderr.write(`dgpu-rig: ${errorText(error)}\n`);
  return error instanceof RigError ? EXIT_CODES[error.failureClass] : EXIT_CODES.infrastructure;
}

const session = openSession(progressOutput(process.argv[2]));
const { signal } = session;
let exitCode = 0;
try {
  const root = await program(await version(), session, (code) => (exitCode = code));
  root.hook('preAction', async (_, command) => fetchPatches(command, session));
  await root.parseAsync();
  // It may have ended as if nothing had happened.
  if (exitCode === 0 && !(signal.reason instanceof Interruption)) signal.throwIfAborted();
} catch (error) {
  session.progress.stop();
  exitCode = exitCodeOf(signal.aborted ? signal.reason : error);
}
session.progress.stop();
// Not process.exitCode: nothing that still holds the event loop may hold the user, too.
process.exit(exitCode);
