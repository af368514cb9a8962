/**
 * The options, as one table. The command line, dgpu-rig.yaml with its schema, completion and the arguments of other
 * rigs are made of it.
 */
import { ACCELERATOR_CHOICES, BACKENDS, COVERS, DMA_BITS } from '../../config/combination.ts';
import { FLAVOURS } from '../../config/flavour.ts';
import type { Shard } from '../../config/shard.ts';
import type { AskedShare } from '../../config/share.ts';
import type { Transfer } from '../../config/transfer.ts';
import { DEFAULT_SELECTION, defaultMaxVms } from '../../plan/rig-context.ts';
import { CYCLING_SUITES } from '../../plan/suite-files.ts';
import type { CoverageFormat } from '../../report/coverage/coverage-files.ts';
import type { ReportFormat } from '../../report/formats/report-files.ts';

/** The kinds of values, and what a verb gets of each. */
interface Values {
  readonly switch: boolean;
  /** A name, or the path of a file. */
  readonly machine: string;
  readonly text: string;
  readonly plan: string;
  readonly file: string;
  readonly folder: string;
  readonly count: number;
  /** Milliseconds. */
  readonly time: number;
  /** Bytes. */
  readonly size: number;
  readonly pattern: RegExp;
  readonly shard: Shard;
  /** May be repeated, as those that follow. */
  readonly commands: readonly string[];
  readonly transfers: readonly Transfer[];
  readonly shares: readonly AskedShare[];
  /** Names of Debian packages. */
  readonly packages: readonly string[];
  /** Of the kernel's self-tests. */
  readonly targets: readonly string[];
  readonly files: readonly string[];
  readonly suites: readonly string[];
  /** `CONFIG_X=y`, or paths of files of such lines. */
  readonly kconfigs: readonly string[];
  /** Patterns of trace events of the guest's kernel. */
  readonly events: readonly string[];
}

/** Whole numbers, both ends among them. */
export interface NumberRange {
  readonly from: number;
  readonly to: number;
}

export interface OptionRow {
  readonly is: keyof Values | { readonly oneOf: readonly string[] } | { readonly someOf: NumberRange };
  readonly help: string;
  readonly default?: string | number | boolean | readonly number[];
  /** May it stand in dgpu-rig.yaml? */
  readonly inFile?: true;
}

const { dmaBits, backend, flavour, keep, rounds } = DEFAULT_SELECTION;

/** The keys are the names that verbs know options by; on a command line `dmaBits` is `--dma-bits`. */
const TABLE = {
  machine: {
    is: 'machine',
    help: 'machine profile (./dgpu-rig list machines), or the file of one of your own; by default tiers, or what KVM can have of it',
    inFile: true,
  },
  dmaBits: {
    is: { someOf: DMA_BITS },
    help: 'address widths of the device, in bits, each from 32 to 52',
    default: dmaBits,
    inFile: true,
  },
  backend: {
    is: { oneOf: BACKENDS },
    help: 'where the driver keeps objects: in shmem as the series does, or as TTM does upstream (backup, legacy)',
    default: backend,
    inFile: true,
  },
  flavour: {
    is: { oneOf: FLAVOURS },
    help: "what the guest's kernel checks for (./dgpu-rig list flavours)",
    default: flavour,
    inFile: true,
  },
  accel: {
    is: { oneOf: ACCELERATOR_CHOICES },
    help: 'how QEMU runs the guest; auto is KVM where it works',
    default: 'auto',
    inFile: true,
  },
  kernelSrc: { is: 'folder', help: 'use this kernel tree instead of the pinned one', inFile: true },
  drivers: { is: 'switch', help: 'compile what uses TTM in every driver of the tree, too' },
  run: {
    is: 'suites',
    help: 'instead, boot each commit and run this suite, up to the first bad one; may be repeated',
  },
  patch: {
    is: 'files',
    help: 'apply this patch to the kernel, on top of all else: a file, or the id of its message on a list, for b4; may be repeated',
  },
  kconfig: {
    is: 'kconfigs',
    help: 'build the kernel with this option (CONFIG_X=y) or the options in this file, too; may be repeated',
    inFile: true,
  },
  append: { is: 'text', help: "add this to the kernel's command line", inFile: true },
  unpatched: { is: 'switch', help: 'use the kernel without the series and the driver, as upstream has it' },
  debugInfo: { is: 'switch', help: 'use a kernel with debug information, for source lines in its reports' },
  qemuSrc: { is: 'folder', help: 'use this QEMU tree instead of the pinned one', inFile: true },
  sanitize: { is: 'switch', help: 'use QEMU with AddressSanitizer and UndefinedBehaviorSanitizer (slow)' },
  keep: { is: 'switch', help: 'keep the artifacts of VMs in which nothing failed, too', default: keep, inFile: true },
  filter: { is: 'pattern', help: 'only tests whose name matches, as it is printed: suite › group › test' },
  seed: { is: 'count', help: 'repeat a run with the seed that it printed' },
  json: { is: 'file', help: 'write the results to this file' },
  junit: { is: 'file', help: 'write the results as JUnit XML' },
  ktap: { is: 'file', help: "write the results as KTAP, as the kernel's own tools do" },
  html: { is: 'file', help: 'write the results as one HTML file, which needs no network' },
  kcidb: { is: 'file', help: 'write the results for KCIDB, the database of KernelCI (schema 5.3)' },
  jsonl: { is: 'file', help: 'write each event as it happens, one JSON object a line' },
  exec: {
    is: 'commands',
    help: 'run this command in the guest as a test, in a VM of its own; may be repeated',
  },
  target: {
    is: 'targets',
    help: "for the suite kselftest: which of the kernel tree's self-tests to build and run: mm,dmabuf-heaps",
  },
  put: { is: 'transfers', help: 'copy a file or folder into the guest before; may be repeated' },
  get: { is: 'transfers', help: 'copy one out of the guest afterwards; may be repeated' },
  share: {
    is: 'shares',
    help: 'let the guest see this folder of the host, read-only, at /mnt/NAME or where you say; may be repeated',
  },
  rootfs: {
    is: { oneOf: ['debian'] },
    help: "run commands in a Debian userland, with bash and the usual tools, rather than in the guest's own",
  },
  install: {
    is: 'packages',
    help: 'packages of this userland, and what they depend on, by their names: stress-ng,python3; may be repeated',
  },
  timeout: {
    is: 'time',
    help: 'the longest time of a program of --exec with KVM (5 min by default); with TCG and slow kernels it is longer',
  },
  matrix: { is: { oneOf: COVERS }, help: 'what the suite matrix tests: every pair of values, or every combination' },
  cycles: { is: 'count', help: `number of random suspend cycles (suites ${CYCLING_SUITES.join(' and ')})` },
  duration: { is: 'time', help: 'the longest time for these cycles: 30 min, 2 h' },
  trace: {
    is: 'events',
    help: "record these trace events of the guest's kernel, and keep them where a test fails: drm:*,dma_fence:*",
  },
  maxVms: {
    is: 'count',
    help: 'most VMs at the same time, as long as there is memory for them',
    default: defaultMaxVms(),
    inFile: true,
  },
  repeat: { is: 'count', help: 'repeat each failed test n times, to measure how often it fails', inFile: true },
  plan: { is: 'plan', help: 'run a plan instead of suites (./dgpu-rig list plans)' },
  for: { is: 'time', help: 'repeat with other seeds for so long (30 min, 8 h), or until something fails' },
  shard: { is: 'shard', help: 'only the i-th of n equal parts; "report --merge" makes one run of all' },
  engine: { is: { oneOf: ['local', 'slurm'] }, help: 'run on this host (local), or spread over a Slurm cluster' },
  shards: { is: 'count', help: 'number of parts on the cluster; by default three a node' },
  effort: {
    is: 'count',
    help: 'so many times as many random runs and kills; above 1 what takes long, too',
    default: 1,
  },
  ledger: { is: 'file', help: 'write what each test file took, as rig/ledger.json has it' },
  older: { is: 'time', help: 'remove the artifacts of runs that are older (30 d, if neither option is given)' },
  above: { is: 'size', help: 'remove the oldest artifacts until so much is left (5 GiB, if neither option is given)' },
  lcov: { is: 'file', help: "write the coverage in lcov's format" },
  cobertura: { is: 'file', help: "write the coverage as Cobertura's XML" },
  coverage: {
    is: 'files',
    help: 'only mutants of lines that suites reach by this file of "coverage --json"; may be repeated',
  },
  count: { is: 'count', help: 'how many mutants to judge (20 by default); those that do not compile are not counted' },
  showPatch: { is: 'count', help: 'print the lines that this patch of the series adds, with their counts' },
  rounds: { is: 'count', help: 'how often each thing is measured', default: rounds },
} as const satisfies Readonly<Record<string, OptionRow>>;

type Table = typeof TABLE;
export type OptionName = keyof Table;
export const OPTIONS: Readonly<Record<OptionName, OptionRow>> = TABLE;
export const OPTION_NAMES = Object.keys(TABLE) as OptionName[];

type ValueOf<Row extends OptionRow> = Row['is'] extends { readonly oneOf: readonly (infer Choice)[] }
  ? Choice
  : Row['is'] extends { readonly someOf: NumberRange }
    ? readonly number[]
    : Row['is'] extends keyof Values
      ? Values[Row['is']]
      : never;

type WithDefault<Name extends OptionName> = Name extends unknown
  ? Table[Name] extends { readonly default: unknown }
    ? Name
    : never
  : never;

/** What a verb with these options gets. */
export type Options<Name extends OptionName> = {
  readonly [Each in WithDefault<Name>]: ValueOf<Table[Each]>;
} & { readonly [Each in Exclude<Name, WithDefault<Name>>]?: ValueOf<Table[Each]> };

/** What to build. */
export const BUILD_OPTIONS = [
  ...(['flavour', 'kernelSrc', 'patch', 'kconfig', 'unpatched', 'debugInfo', 'qemuSrc', 'sanitize'] as const),
] as const;
/** For every verb that boots a machine. */
const MACHINE_OPTIONS = ['machine', 'dmaBits', 'accel', 'append', ...BUILD_OPTIONS, 'keep'] as const;
/** For a person's own VM. */
export const DESK_OPTIONS = [...MACHINE_OPTIONS, 'share'] as const;
export const SHELL_OPTIONS = [...DESK_OPTIONS, 'rootfs', 'install', 'put', 'get'] as const;
const SELECTION_OPTIONS = [...MACHINE_OPTIONS, 'filter', 'seed'] as const;
export const REPORT_OPTIONS = ['json', 'junit', 'ktap', 'html', 'kcidb'] as const satisfies readonly ReportFormat[];
/** There are no files: the verdicts of `watch` are for the person who looks on. */
export const WATCH_OPTIONS = [...SELECTION_OPTIONS, 'backend', 'matrix', 'cycles', 'duration', 'maxVms'] as const;
/** A person's own programs as tests. */
const PROGRAM_OPTIONS = ['exec', 'put', 'share', 'rootfs', 'install', 'timeout'] as const;
export const RUN_OPTIONS = [
  ...WATCH_OPTIONS,
  ...REPORT_OPTIONS,
  ...PROGRAM_OPTIONS,
  ...(['target', 'trace', 'jsonl', 'repeat', 'plan', 'for', 'shard', 'engine', 'shards'] as const),
] as const;
/** There is neither a plan nor a repetition: `test` runs what has to hold. */
export const TEST_OPTIONS = [...WATCH_OPTIONS, 'effort', 'ledger'] as const;
export const BENCH_OPTIONS = [...SELECTION_OPTIONS, ...REPORT_OPTIONS, 'rounds'] as const;
export const COVERAGE_FILES = ['json', 'html', 'lcov', 'cobertura'] as const satisfies readonly CoverageFormat[];
/** The kernel is one that counts, with the series in it. */
export const COVERAGE_OPTIONS = [
  ...(['machine', 'dmaBits', 'accel', 'kernelSrc', 'qemuSrc', 'keep', 'filter', 'seed', 'backend', 'matrix'] as const),
  ...(['maxVms', 'plan', 'showPatch'] as const),
  ...COVERAGE_FILES,
] as const;
/** The kernel has the series in it; with patches of a person's own the mutants are of those. */
export const MUTATE_OPTIONS = [
  ...(['machine', 'dmaBits', 'accel', 'append', 'flavour', 'kernelSrc', 'patch', 'kconfig', 'qemuSrc'] as const),
  ...(['keep', 'filter', 'seed', 'backend', 'maxVms', 'coverage', 'count', 'json'] as const),
] as const;
/** Everything else is as it was when the run was recorded. */
export const REPRO_OPTIONS = [...REPORT_OPTIONS, 'accel', 'debugInfo', 'trace', 'keep', 'repeat', 'maxVms'] as const;
export const UPSTREAM_OPTIONS = [...MACHINE_OPTIONS, 'maxVms'] as const;
export const BISECT_OPTIONS = [...MACHINE_OPTIONS, 'filter', 'backend', 'maxVms', ...PROGRAM_OPTIONS] as const;

export const CLEAN_OPTIONS = ['older', 'above'] as const;

/** What `list` lists. */
export const LISTS = ['suites', 'tests', 'benches', 'plans', 'machines', 'flavours', 'programs'] as const;
export type List = (typeof LISTS)[number];
/** What the names of tests depend on. */
export const LIST_OPTIONS = ['filter', 'dmaBits', 'flavour'] as const;

export type ListOptions = Options<(typeof LIST_OPTIONS)[number]>;
export type CleanOptions = Options<(typeof CLEAN_OPTIONS)[number]>;
export type BuildOptions = Options<(typeof BUILD_OPTIONS)[number]>;
export type DeskOptions = Options<(typeof DESK_OPTIONS)[number]>;
/** What the VM of a person may have. */
export type OwnVmOptions = Pick<Options<OptionName>, 'share' | 'rootfs' | 'install'>;
export type MachineOptions = Options<(typeof MACHINE_OPTIONS)[number]>;
export type RunOptions = Options<(typeof RUN_OPTIONS)[number]>;
export type WatchOptions = Options<(typeof WATCH_OPTIONS)[number]>;
export type TestOptions = Options<(typeof TEST_OPTIONS)[number]>;
export type BenchOptions = Options<(typeof BENCH_OPTIONS)[number]>;
export type CoverageOptions = Options<(typeof COVERAGE_OPTIONS)[number]>;
export type MutateOptions = Options<(typeof MUTATE_OPTIONS)[number]>;
export type ReproOptions = Options<(typeof REPRO_OPTIONS)[number]>;
export type UpstreamOptions = Options<(typeof UPSTREAM_OPTIONS)[number]>;

/** Returns `dma-bits` for `dmaBits`. */
export function longName(name: OptionName): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}
