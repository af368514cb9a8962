/** The options that choose what a run is about, shared by the verbs that boot VMs. */
import { access, constants, stat } from 'node:fs/promises';
import path from 'node:path';
import { InvalidArgumentError, Option, type Command } from 'commander';
import type { QemuVariant } from '../../builds/machine/qemu-build.ts';
import { REPORT_FORMATS, type ReportFiles } from '../../report/formats/report-files.ts';
import {
  ACCELERATOR_CHOICES,
  type AcceleratorChoice,
  BACKENDS,
  type Backend,
  DMA_MASKS,
} from '../../config/combination.ts';
import { parseDuration } from '../../config/duration.ts';
import { FLAVOURS, type Flavour, type KernelVariant } from '../../config/flavour.ts';
import { COVERS, type Cover } from '../../config/plan.ts';
import { parseShard, type Shard } from '../../config/shard.ts';
import { RigError } from '../../util/rig-error.ts';
import { DEFAULT_SELECTION, type Selection } from '../../plan/rig-context.ts';
import { randomSeed } from '../../util/random.ts';
import type { RunRequest } from '../../plan/prepare-run.ts';
import { defaultMaxVms } from '../../plan/vm-admission.ts';
import type { Session } from '../session.ts';

/** What machine to boot: for every verb that boots one. */
export interface MachineOptions {
  readonly machine: string;
  readonly dmaBits: readonly number[];
  readonly accel: AcceleratorChoice;
  readonly keep: boolean;
  readonly flavour: Flavour;
  readonly kernelSrc?: string;
  readonly unpatched?: boolean;
  readonly debugInfo?: boolean;
  readonly qemuSrc?: string;
  readonly sanitize?: boolean;
}

/** For every verb that tests or measures. */
interface ResultOptions extends MachineOptions {
  readonly seed?: number;
  readonly filter?: RegExp;
  readonly json?: string;
  readonly junit?: string;
  readonly ktap?: string;
  readonly html?: string;
  /** Not of the results, but of all that happens. */
  readonly jsonl?: string;
}

export interface RunOptions extends ResultOptions {
  readonly backend: Backend;
  readonly maxVms: number;
  readonly repeat?: number;
  readonly plan?: string;
  readonly matrix?: Cover;
  /** Milliseconds. */
  readonly for?: number;
  readonly cycles?: number;
  /** Milliseconds. */
  readonly duration?: number;
  readonly engine?: Engine;
  readonly shard?: Shard;
  readonly shards?: number;
}

/** Where a run runs: on this host, or on those of a Slurm cluster. */
const ENGINES = ['local', 'slurm'] as const;
type Engine = (typeof ENGINES)[number];

export interface TestOptions extends RunOptions {
  readonly effort: number;
  /** Where to write what each test file took. */
  readonly ledger?: string;
}

/** All the rest is as it was when it was recorded. */
export type ReproOptions = Pick<RunOptions, 'accel' | 'keep' | 'maxVms' | 'repeat' | 'debugInfo'> & ReportFiles;

export interface BaselineOptions extends MachineOptions {
  readonly maxVms: number;
}

export interface BenchOptions extends ResultOptions {
  readonly rounds: number;
}

type ChosenOptions = MachineOptions & Partial<RunOptions> & Partial<BenchOptions>;

export function addMachineOptions(command: Command): Command {
  return command
    .option('--machine <name>', 'machine profile, from rig/machines', DEFAULT_SELECTION.machine)
    .addOption(
      new Option('--dma-bits <list>', 'address widths of the device')
        .default(DEFAULT_SELECTION.dmaBits, DEFAULT_SELECTION.dmaBits.join(','))
        .argParser(parseMasks),
    )
    .addOption(accelOption())
    .addOption(flavourOption())
    .option('--kernel-src <dir>', 'build and test this kernel tree instead of the pinned one')
    .addOption(unpatchedOption())
    .addOption(debugInfoOption())
    .option('--qemu-src <dir>', 'build and use this QEMU tree instead of the pinned one')
    .option('--sanitize', 'build and use QEMU with AddressSanitizer and UndefinedBehaviorSanitizer (slow)')
    .addOption(keepOption());
}

function accelOption(): Option {
  return new Option('--accel <how>', 'how QEMU runs the guest').choices(ACCELERATOR_CHOICES).default('auto');
}

function keepOption(): Option {
  return new Option('--keep', 'keep the artifacts of VMs where nothing failed, too').default(false);
}

function addReportOptions(command: Command): Command {
  return command
    .option('--json <file>', 'write the results to this file')
    .option('--junit <file>', 'write them as JUnit XML')
    .option('--ktap <file>', "write them as KTAP, as the kernel's own tools do")
    .option('--html <file>', 'write a report to look at: one file, no network');
}

export function addReproOptions(command: Command): Command {
  return addReportOptions(command)
    .addOption(accelOption())
    .addOption(debugInfoOption())
    .addOption(keepOption())
    .addOption(repeatOption())
    .addOption(maxVmsOption());
}

export function flavourOption(): Option {
  return new Option('--flavour <name>', "what the guest's kernel watches for")
    .choices(FLAVOURS)
    .default(DEFAULT_SELECTION.flavour);
}

export function unpatchedOption(): Option {
  return new Option('--unpatched', 'the kernel without the series and the driver: what upstream does by itself');
}

export function debugInfoOption(): Option {
  return new Option('--debug-info', 'the kernel with debug information: source lines in its reports, and gdb');
}

function addResultOptions(command: Command): Command {
  return addReportOptions(addSelectionOptions(command)).option(
    '--jsonl <file>',
    'write all that happens as it happens, one JSON object a line',
  );
}

function addSelectionOptions(command: Command): Command {
  return addMachineOptions(command)
    .option('--filter <regex>', 'only tests whose name matches, as it is printed: suite › group › test', parseRegex)
    .addOption(new Option('--seed <n>', 'repeat a run with the seed it printed').argParser(parseCount));
}

export function addRunOptions(command: Command): Command {
  return addSuiteOptions(addResultOptions(command)).addOption(repeatOption());
}

/** Its verdicts are for who looks on, and not written anywhere. */
export function addWatchOptions(command: Command): Command {
  return addSuiteOptions(addSelectionOptions(command));
}

function addSuiteOptions(command: Command): Command {
  return command
    .addOption(backendOption())
    .addOption(
      new Option(
        '--matrix <cover>',
        'what the suite "matrix" tests: every pair of values, or every combination',
      ).choices(COVERS),
    )
    .addOption(
      new Option('--cycles <n>', 'suites suspend and hibernate: random cycles under load, so many').argParser(
        parseCount,
      ),
    )
    .addOption(new Option('--duration <time>', 'the same, for so long at most (30 min)').argParser(parseTime))
    .addOption(maxVmsOption());
}

export function backendOption(): Option {
  return new Option('--backend <name>', "what the driver's objects live in")
    .choices(BACKENDS)
    .default(DEFAULT_SELECTION.backend);
}

function repeatOption(): Option {
  return new Option('--repeat <n>', 'repeat each test that failed so often, to learn how often it does').argParser(
    parseCount,
  );
}

export function maxVmsOption(): Option {
  return new Option('--max-vms <n>', 'most VMs at the same time, as long as there is memory for them')
    .default(defaultMaxVms())
    .argParser(parseCount);
}

/** Only for "run": what "test" runs is what has to hold. */
export function addPlanOptions(command: Command): Command {
  return command
    .option('--plan <name>', 'run this plan of rig/plans.yaml: smoke, ci, nightly, soak')
    .addOption(
      new Option(
        '--for <duration>',
        'go on with other seeds for so long (30 min, 8 h), or until something fails',
      ).argParser(parseTime),
    )
    .addOption(
      new Option('--shard <i/n>', 'only the i-th of n equal parts; "report --merge" makes one run of all').argParser(
        parseShardOption,
      ),
    )
    .addOption(
      new Option('--engine <name>', 'on this host, or spread over a Slurm cluster')
        .choices(ENGINES)
        .default('local' as const),
    )
    .addOption(
      new Option('--shards <n>', 'so many parts over the cluster; by default three a node').argParser(parseCount),
    );
}

export function addTestOptions(command: Command): Command {
  return addRunOptions(command)
    .addOption(
      new Option('--effort <n>', 'so many times as many random runs and kills; above 1 what takes long, too')
        .default(1)
        .argParser(parseCount),
    )
    .option('--ledger <file>', 'write what each test file took, as rig/ledger.json has it');
}

export function addBenchOptions(command: Command): Command {
  return addResultOptions(command).addOption(
    new Option('--rounds <n>', 'how often each thing is measured')
      .default(DEFAULT_SELECTION.rounds)
      .argParser(parseCount),
  );
}

/** What to build and boot, by these options. */
export function runRequest(options: ChosenOptions, { progress, signal }: Session): RunRequest {
  const { accel, kernelSrc } = options;
  const sources = { kernelSource: kernelSrc, variant: kernelVariant(options), qemu: qemuVariant(options) };
  return { selection: selectionOf(options), accelerator: accel, ...sources, emit: progress.emit, signal };
}

function selectionOf(options: ChosenOptions): Selection {
  const { machine, dmaBits, flavour, keep, seed = randomSeed() } = options;
  const { backend = DEFAULT_SELECTION.backend, rounds = DEFAULT_SELECTION.rounds } = options;
  const { cycles, duration } = options;
  return {
    ...{ machine, dmaBits, backend, flavour, combinations: [], rounds, keep, seed },
    ...(cycles === undefined ? {} : { cycles }),
    ...(duration === undefined ? {} : { durationMs: duration }),
  };
}

/** Which kernel to build, beside its flavour. */
export function kernelVariant({
  unpatched = false,
  debugInfo = false,
}: Pick<MachineOptions, 'unpatched' | 'debugInfo'>): KernelVariant {
  return { unpatched, debugInfo };
}

/** Which QEMU to build, by these options. */
export function qemuVariant({ qemuSrc, sanitize = false }: Pick<MachineOptions, 'qemuSrc' | 'sanitize'>): QemuVariant {
  return { ...(qemuSrc === undefined ? {} : { source: qemuSrc }), sanitize };
}

/** Before minutes of work, not after. */
export async function checkReportFiles(files: ReportFiles): Promise<void> {
  for (const format of REPORT_FORMATS) {
    const file = files[format];
    if (file === undefined) continue;
    const folder = path.dirname(path.resolve(file));
    await access(folder, constants.W_OK).catch((cause: unknown) => {
      throw new RigError('usage', `--${format} ${file}: there is no folder ${folder} to write to.`, { cause });
    });
    const found = await stat(file).catch(() => undefined);
    if (file === '' || found?.isDirectory() === true) {
      throw new RigError('usage', `--${format} ${file}: that is no name of a file.`, {
        remedy: `Give one, as in --${format} ${path.join(file === '' ? '.' : file, `report.${format}`)}`,
      });
    }
  }
}

function parseMasks(text: string): number[] {
  const masks = text.split(',').map(Number);
  const valid: readonly number[] = DMA_MASKS;
  if (masks.every((mask) => valid.includes(mask))) return [...new Set(masks)];
  throw new InvalidArgumentError(`Give one or more of ${DMA_MASKS.join(', ')}, separated by commas.`);
}

function parseShardOption(text: string): Shard {
  const shard = parseShard(text);
  if (shard) return shard;
  throw new InvalidArgumentError('Give it as i/n, i from 1 to n: 2/5.');
}

function parseTime(text: string): number {
  const milliseconds = parseDuration(text);
  if (milliseconds !== undefined) return milliseconds;
  throw new InvalidArgumentError('Give a duration such as 90 s, 30 min or 8 h.');
}

export function parseRegex(text: string): RegExp {
  try {
    return new RegExp(text);
  } catch (error) {
    throw new InvalidArgumentError(error instanceof Error ? error.message : String(error));
  }
}

function parseCount(text: string): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value > 0) return value;
  throw new InvalidArgumentError('Give a positive whole number.');
}

/** "3/20": failures of runs. */
export function parseRate(text: string): { failures: number; runs: number } {
  const [, failures, runs] = /^(\d+)\/(\d+)$/.exec(text) ?? [];
  if (failures === undefined || runs === undefined) throw new InvalidArgumentError('Give it as failures/runs: 3/20.');
  return { failures: Number(failures), runs: Number(runs) };
}
