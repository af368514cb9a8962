/** What to build and boot, and where to write, by the options that were given. */
import { access, constants, stat } from 'node:fs/promises';
import path from 'node:path';
import type { QemuVariant } from '../../builds/machine/qemu-build.ts';
import type { KernelVariant } from '../../config/flavour.ts';
import type { RunRequest } from '../../plan/prepare-run.ts';
import { DEFAULT_SELECTION, type Selection } from '../../plan/rig-context.ts';
import { checkedPrograms } from '../../plan/programs.ts';
import { checkedShares } from '../../plan/shares.ts';
import { CYCLING_SUITES, EXEC_SUITE, isOutside, WITHOUT_DRIVER } from '../../plan/suite-files.ts';
import type { ReportFiles } from '../../report/formats/report-files.ts';
import { randomSeed } from '../../util/random.ts';
import { RigError } from '../../util/rig-error.ts';
import type { Session } from '../session.ts';
import { absoluteKconfig, absoluteMachine } from './command-options.ts';
import {
  REPORT_OPTIONS,
  type BenchOptions,
  type BuildOptions,
  type DeskOptions,
  type OwnVmOptions,
  type MachineOptions,
  type RunOptions,
} from './option-table.ts';

type ChosenOptions = MachineOptions & Partial<RunOptions> & Partial<BenchOptions>;

/** What to build and boot, by these options. */
export function runRequest(options: ChosenOptions, { progress, signal }: Session): RunRequest {
  const { accel, kernelSrc, machine } = options;
  const sources = { kernelSource: kernelSrc, variant: kernelVariant(options), qemu: qemuVariant(options) };
  return {
    selection: selectionOf(options),
    anyMachine: machine === undefined,
    accelerator: accel,
    ...sources,
    emit: progress.emit,
    signal,
  };
}

function selectionOf(options: ChosenOptions): Selection {
  const { machine = DEFAULT_SELECTION.machine, dmaBits, flavour, keep, seed = randomSeed() } = options;
  const { backend = DEFAULT_SELECTION.backend, rounds = DEFAULT_SELECTION.rounds } = options;
  const { cycles, duration, append, trace } = options;
  return {
    ...{ machine: absoluteMachine(machine), dmaBits, backend, flavour, combinations: [], rounds, keep, seed },
    ...(cycles === undefined ? {} : { cycles }),
    ...(duration === undefined ? {} : { durationMs: duration }),
    ...(append === undefined ? {} : { append }),
    ...(trace === undefined ? {} : { trace }),
  };
}

/** The programs of `--exec`, if there is any; what is wrong with them is told before anything is built. */
export async function programsOf(options: ProgramOptions): Promise<Omit<Brought, 'outside'>> {
  const { exec, put = [], timeout } = options;
  if (exec === undefined) {
    const given = (['put', 'share', 'rootfs', 'install', 'timeout'] as const).find(
      (name) => options[name] !== undefined,
    );
    if (given === undefined) return {};
    throw new RigError('usage', `--${given} is for the programs of --exec, and there is none.`, {
      remedy: "For example: ./dgpu-rig run --put my-test:/tmp/ --exec '/tmp/my-test --all'",
    });
  }
  const programs = { commands: exec, put, ...(timeout === undefined ? {} : { timeoutMs: timeout }) };
  const own = await ownVm(options);
  return { programs: await checkedPrograms(programs, { hasUserland: own.install !== undefined }), ...own };
}

/** Who names packages wants the userland that they are in. */
async function ownVm({ share = [], rootfs, install }: OwnVmOptions): Promise<Pick<Selection, 'shares' | 'install'>> {
  const packages = rootfs === undefined ? install : (install ?? []);
  return { shares: await checkedShares(share), ...(packages === undefined ? {} : { install: packages }) };
}

/** What belongs to the programs of `--exec`. */
export type ProgramOptions = Pick<RunOptions, 'exec' | 'put' | 'timeout'> & OwnVmOptions;

/** What a person brings along: programs, what their VMs have, and paths of suites. */
export interface Brought extends Pick<Selection, 'programs' | 'shares' | 'install'> {
  readonly outside: readonly string[];
}

/** The same request, for runs of these, too. */
export function withBrought(request: RunRequest, brought: Brought): RunRequest {
  return { ...request, selection: { ...request.selection, ...brought } };
}

/** For the VM of a person at a desk. */
export async function deskRequest(options: DeskOptions & OwnVmOptions, session: Session): Promise<RunRequest> {
  const own = await ownVm(options);
  const request = runRequest(options, session);
  return { ...request, selection: { ...request.selection, ...own } };
}

/** The same request, with or without the cases that are kept for longer runs. */
export function briefly(brief: boolean, request: RunRequest): RunRequest {
  return { ...request, selection: { ...request.selection, brief } };
}

/** Which kernel to build, beside its flavour. */
export function kernelVariant({ unpatched = false, debugInfo = false, kconfig, patch }: BuildOptions): KernelVariant {
  return {
    ...{ unpatched, debugInfo },
    ...(kconfig === undefined ? {} : { kconfig: kconfig.map(absoluteKconfig) }),
    ...(patch === undefined ? {} : { patches: patch.map((file) => path.resolve(file)) }),
  };
}

/** Which QEMU to build, by these options. */
export function qemuVariant({ qemuSrc, sanitize = false }: BuildOptions): QemuVariant {
  return { ...(qemuSrc === undefined ? {} : { source: qemuSrc }), sanitize };
}

export async function checkReportFiles(files: ReportFiles): Promise<void> {
  await checkFiles(files, REPORT_OPTIONS);
}

/** Refuses files that can't be written before minutes of work rather than after. */
export async function checkFiles<Format extends string>(
  files: Partial<Readonly<Record<NoInfer<Format>, string>>>,
  formats: readonly Format[],
): Promise<void> {
  for (const format of formats) {
    const file = files[format];
    if (file !== undefined) await checkFile(format, file);
  }
}

/** `option` is what the file was given for. */
export async function checkFile(option: string, file: string): Promise<void> {
  const folder = path.dirname(path.resolve(file));
  await access(folder, constants.W_OK).catch((cause: unknown) => {
    throw new RigError('usage', `--${option} ${file}: there is no folder ${folder} that may be written to.`, { cause });
  });
  const found = await stat(file).catch(() => undefined);
  if (file === '' || found?.isDirectory() === true) {
    throw new RigError('usage', `--${option} ${file}: that is no name of a file.`, {
      remedy: `Give one, as in --${option} ${path.join(file === '' ? '.' : file, `report.${option}`)}`,
    });
  }
}

/** Refuses suites that need the driver on a kernel without it: they would fail, after half an hour of building it. */
export function checkDriver({ unpatched }: Pick<RunOptions, 'unpatched'>, suites: readonly string[]): void {
  const needing = suites.filter((suite) => !isOutside(suite) && ![...WITHOUT_DRIVER, EXEC_SUITE].includes(suite));
  if (!unpatched || needing.length === 0) return;
  const those = needing.join(', ');
  throw new RigError('usage', `--unpatched leaves out the driver edgpu, and these suites need it: ${those}.`, {
    remedy: `What means something there: ${WITHOUT_DRIVER.join(', ')}, kselftest, and programs of your own (--exec).`,
  });
}

/** Refuses options that no suite would read: it would run as if they had not been given. */
export function checkCycles(
  { cycles, duration }: Pick<RunOptions, 'cycles' | 'duration'>,
  suites: readonly string[],
): void {
  const given = cycles === undefined ? duration !== undefined && '--duration' : '--cycles';
  if (given === false || CYCLING_SUITES.some((name) => suites.includes(name))) return;
  const those = CYCLING_SUITES.join(' and ');
  throw new RigError('usage', `No suite of this run takes notice of ${given}: only ${those} have random cycles.`, {
    remedy:
      given === '--cycles'
        ? 'For example: ./dgpu-rig run suspend --cycles 20'
        : 'To repeat other suites for a time: ./dgpu-rig run SUITE --for "1 h"',
  });
}
