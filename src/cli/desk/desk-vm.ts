/** The VM that a person works in: a fresh one, or one that is running for something else. */
import { rmdir } from 'node:fs/promises';
import path from 'node:path';
import { loadMachineProfile } from '../../config/machine-profile.ts';
import { GPU_MEMORY } from '../../config/gpu-memory.ts';
import { appended, type RigContext } from '../../plan/rig-context.ts';
import { machineFor } from '../../plan/usual-machine.ts';
import { RigError } from '../../util/rig-error.ts';
import { runningVms, type RunningVm } from '../../vm/link/door.ts';
import { Vm } from '../../vm/vm.ts';
import type { OwnVmOptions } from '../options/option-table.ts';
import type { Session } from '../session.ts';

interface DeskVmOptions {
  /** The name of its folder. */
  readonly name: string;
  readonly keep: boolean;
  readonly kernelArgs?: readonly string[];
}

/**
 * Boots one for as long as `use` needs it, and says at the end what its kernel had to complain about; then its logs are
 * kept.
 */
export async function withDeskVm<T>(
  rig: RigContext,
  { name, keep, kernelArgs = [] }: DeskVmOptions,
  { progress, signal }: Session,
  use: (vm: Vm) => Promise<T>,
): Promise<T> {
  const [dmaBits = 32] = rig.selection.dmaBits;
  const machine = machineFor(rig.selection, dmaBits);
  const vm = await Vm.boot({
    profile: await loadMachineProfile(machine),
    // The other one is what KVM can't have.
    accelerator: machine === rig.selection.machine ? rig.acceleration.accelerator : 'tcg',
    software: rig.build,
    gpu: { dmaBits, ...GPU_MEMORY },
    kernelArgs: [...kernelArgs, ...appended(rig)],
    shares: rig.selection.shares ?? [],
    userland: rig.userland,
    folder: path.join(rig.artifacts, name),
    signal,
  });
  let failure = '';
  try {
    return await use(vm);
  } catch (error) {
    failure = String(error);
    throw error;
  } finally {
    const bugs = vm.kernelReports.filter(({ severity }) => severity === 'bug');
    for (const { title } of bugs) {
      // The report that ended the VM is told as an error anyway.
      if (failure.includes(title)) continue;
      process.stderr.write(`dgpu-rig: The guest's kernel reported: ${title}\n`);
    }
    const kept = keep || bugs.length > 0;
    await vm.end({ keep: kept, verdict: { status: bugs.length > 0 ? 'failed' : 'passed' } });
    if (kept) progress.print(`Artifacts: ${rig.artifacts}`);
    else await rmdir(rig.artifacts).catch(() => undefined);
  }
}

/** Finds a VM by its process id or a part of its folder's name; `true` means the only one that runs. */
export function chooseVm(running: readonly RunningVm[], wanted: string | true): RunningVm {
  const matches =
    wanted === true
      ? running
      : running.filter(({ pid, folder }) => String(pid) === wanted || path.basename(folder).includes(wanted));
  const [only, ...others] = matches;
  if (only && others.length === 0) return only;
  const list = (matches.length === 0 ? running : matches).map(
    ({ pid, folder, state }) => `${String(pid)}  ${state}  ${path.basename(folder)}`,
  );
  const what =
    matches.length > 1
      ? 'Several VMs are running.'
      : wanted === true
        ? 'No VM is running.'
        : `No running VM is called ${wanted}.`;
  throw new RigError('usage', what, {
    remedy: list.length === 0 ? 'Leave --vm out to boot one.' : `Name one of them by --vm:\n  ${list.join('\n  ')}`,
  });
}

interface AskedVm extends OwnVmOptions {
  /** A running VM; `true` is the only one there is. */
  readonly vm?: string | true;
}

/** Undefined where a fresh one is wanted; a running one has the hardware that it has. */
export async function askedVm(options: AskedVm): Promise<RunningVm | undefined> {
  if (options.vm === undefined) return undefined;
  const given = (['share', 'rootfs', 'install'] as const).find((name) => options[name] !== undefined);
  if (given === undefined) return findVm(options.vm);
  throw new RigError(
    'usage',
    `--${given} is for a new VM: one that is running has the disks and folders that it has.`,
    {
      remedy: 'Leave --vm out to boot one; --put copies files into a running VM.',
    },
  );
}

async function findVm(wanted: string | true): Promise<RunningVm> {
  return chooseVm(await runningVms(), wanted);
}
