/**
 * What a run decides once and every test of it gets: `inject('rig')` in the tests, `provide` in the process that starts
 * them.
 */
import { availableParallelism } from 'node:os';
import type { RigBuild } from '../builds/build-rig.ts';
import type { GuestFile } from '../builds/fresh-files.ts';
import { USUAL_DMA_BITS, type AcceleratorChoice, type Backend, type Combination } from '../config/combination.ts';
import type { Flavour } from '../config/flavour.ts';
import type { Share } from '../config/share.ts';
import type { Transfer } from '../config/transfer.ts';
import type { Excuse } from '../util/expiry.ts';
import type { DistinctReport } from '../vm/kernel-log/distinct-reports.ts';
import type { UnknownWarning } from '../vm/kernel-log/known-warnings.ts';
import type { CaseVerdicts } from './ktap.ts';
import type { SleepRecord } from '../vm/sleep/sleep-stages.ts';
import type { Acceleration } from '../vm/kvm-proof.ts';
import type { Accelerator } from '../vm/time-limits.ts';

/** What a person may choose for a run; a suite that takes no notice of one of these says so. */
export interface Selection {
  readonly machine: string;
  /** Tests of wider masks have another machine: the one that is selected has no memory beyond them. */
  readonly wider?: { readonly than: number; readonly machine: string };
  readonly dmaBits: readonly number[];
  readonly backend: Backend;
  /** Of the guest's kernel. */
  readonly flavour: Flavour;
  /** What the suite "matrix" tests; the choices above are not for it. */
  readonly combinations: readonly Combination[];
  /** Leave out cases that differ from others of their suite in one choice, and are kept for longer runs. */
  readonly brief?: boolean;
  /** All that is random in a test derives from it. */
  readonly seed: number;
  /** How often a bench measures each thing it compares. */
  readonly rounds: number;
  /** Keep the artifacts of tests that passed, too. */
  readonly keep: boolean;
  /** Of the stress mode of the suites that have one: so many cycles, or as many as fit into this time. */
  readonly cycles?: number;
  readonly durationMs?: number;
  /** More of the kernel's command line, for every VM. */
  readonly append?: string;
  /** Trace events of the guest's kernel, as patterns. */
  readonly trace?: readonly string[];
  readonly programs?: Programs;
  /** Folders of the host, in the VMs of programs and of who works at a desk. */
  readonly shares?: readonly Share[];
  /** These have a Debian userland with these packages in it; undefined: they have none. */
  readonly install?: readonly string[];
  /** Paths of the suites that are not the rig's own. */
  readonly outside?: readonly string[];
}

/** A person's own programs, each of which is a test. */
export interface Programs {
  /** For a shell of the guest. */
  readonly commands: readonly string[];
  /** Files and folders, by absolute paths, that are put into each guest before. */
  readonly put: readonly Transfer[];
  /** The longest time of one of them with KVM and the plain kernel; undefined is the usual one. */
  readonly timeoutMs?: number;
}

export const DEFAULT_SELECTION: Omit<Selection, 'seed'> = {
  machine: 'tiers',
  dmaBits: USUAL_DMA_BITS,
  backend: 'shmem',
  flavour: 'plain',
  combinations: [],
  rounds: 3,
  keep: false,
};

/**
 * One VM more than processors: under TCG it keeps about one of them busy, however many it has itself, but for the time
 * in which it or its test waits.
 */
export function defaultMaxVms(processors = availableParallelism()): number {
  return processors + 1;
}

/** Of which sources the rig was built, where they are not its own. */
export interface Sources {
  readonly kernelSource?: string;
  readonly unpatched?: boolean;
  readonly kconfig?: readonly string[];
  readonly patches?: readonly string[];
  readonly qemuSource?: string;
  readonly sanitize?: boolean;
}

export interface RigContext {
  readonly build: RigBuild;
  readonly sources: Sources;
  /** Files that are newer than those of the guest's image. */
  readonly fresh: readonly GuestFile[];
  /** The image of the userland that `selection.install` asks for. */
  readonly userland?: string;
  /** What was asked for; each machine then has what it can have. */
  readonly accelerator: AcceleratorChoice;
  /** Of the machine that is selected; where nobody chose that, it may have a reason under KVM, too. */
  readonly acceleration: Acceleration;
  /** Of every time limit of a VM; 1 by default. */
  readonly patience?: number;
  /** A kernel bug is all that is to be found out: a test ends with it, rather than when it has had time to. */
  readonly endsAtBug?: true;
  readonly selection: Selection;
  /** The events that `selection.trace` asks for, as this kernel takes them. */
  readonly traceSettings?: readonly string[];
  /** ISO 8601. */
  readonly startedAt: string;
  /** Of the rig's repository, with a + where it was edited; missing where it is none. */
  readonly commit?: string;
  /** Folder of this run, with one folder per VM in it. */
  readonly artifacts: string;
  /** Where the counters of all VMs go, of kernels that count what they execute: see src/testbed/life/counters.ts. */
  readonly counters?: string;
}

/** What a person adds to the kernel's command line of every VM. */
export function appended({ selection: { append } }: Pick<RigContext, 'selection'>): readonly string[] {
  return append === undefined ? [] : [append];
}

/** One quantity of a bench, for all the things that it compares, measured in turn. */
export interface Measurement {
  readonly quantity: string;
  readonly unit: string;
  readonly better: 'less' | 'more';
  /** One number a round for each thing; the first named is the one that the others are held against. */
  readonly samples: Readonly<Record<string, readonly number[]>>;
  /** What the first should reach, in words: a figure that misses it is reported, not failed. */
  readonly aim?: string;
}

/**
 * A kernel report, and whether the test is about it: then it is no failure that it came, but would be one had it not.
 */
export interface JudgedReport extends DistinctReport {
  readonly expected: boolean;
  /** Source lines of `where`, outermost function last; missing where the build has no debug information. */
  readonly source?: readonly string[];
}

/** Bytes, but for the time; what the guest does not have is missing. */
export interface MemorySample {
  readonly timeMs: number;
  readonly available: number;
  readonly swapUsed: number;
  readonly shmem: number;
  readonly swappedOut: number;
  readonly swappedIn: number;
  readonly vram?: number;
  readonly gtt?: number;
}

/** A failure that is known, and why; after its last day it is not excused any longer. */
export type ExpectedFailure = Excuse;

/** What a program said of one of its own cases. */
export interface Subtest {
  readonly name: string;
  readonly status: 'pass' | 'fail' | 'skip' | 'xfail';
  readonly message?: string;
}

/** What a test leaves for the report, beside its verdict. */
export interface TestRecord {
  params: Record<string, string | number>;
  /** What its VM ran under. */
  accelerator?: Accelerator;
  metrics: Record<string, number>;
  kernelReports: JudgedReport[];
  /** Lines of level warning or worse that nobody knows. */
  warnings?: UnknownWarning[];
  /** What the kernel's own tests said, case by case. */
  cases?: CaseVerdicts;
  /** Once a second, over the life of the VM. */
  memory?: MemorySample[];
  /** What the device counted, by the end. */
  deviceStatistics?: Record<string, number>;
  /** Each time the guest was put to sleep; of many, the last. */
  sleeps?: SleepRecord[];
  /** Of a bench. */
  measurements?: Measurement[];
  /** Folder of the VM's artifacts, when they were kept. */
  artifacts?: string;
  /** Names of the files in it that not every VM leaves: of what led to a failure. */
  evidence?: string[];
}

declare module 'vitest' {
  interface ProvidedContext {
    rig: RigContext;
  }
}

declare module '@vitest/runner' {
  interface TaskMeta {
    rig?: TestRecord;
    /** Of a person's own program: each is a result of its own. */
    subtests?: readonly Subtest[];
    /** `test(name, { meta: { xfail: { reason, until } } }, …)` */
    xfail?: ExpectedFailure;
  }
}
