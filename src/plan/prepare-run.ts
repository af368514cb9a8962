/** Builds what a run needs and decides, once, what every test of it gets. */
import path from 'node:path';
import { buildRig } from '../builds/build-rig.ts';
import { obtainUserland } from '../builds/debian/userland.ts';
import { tryGit } from '../builds/tree/git.ts';
import type { QemuVariant } from '../builds/machine/qemu-build.ts';
import type { KernelVariant } from '../config/flavour.ts';
import { loadMachineProfile } from '../config/machine-profile.ts';
import { artifactsFolder, repositoryPath } from '../config/paths.ts';
import type { Emit } from '../util/rig-event.ts';
import type { AcceleratorChoice } from '../config/combination.ts';
import { assertKvmPossible, chooseAccelerator } from '../vm/kvm-proof.ts';
import { traceEvents } from '../vm/trace/trace-events.ts';
import { traceSettings } from '../vm/trace/trace-patterns.ts';
import type { RigContext, Selection, Sources } from './rig-context.ts';
import { onUsualMachine, usualMachine } from './usual-machine.ts';

export interface RunRequest {
  readonly selection: Selection;
  /** Nobody chose a machine: where KVM can't have the one that is selected, take the most of it that KVM can have. */
  readonly anyMachine?: boolean;
  readonly accelerator: AcceleratorChoice;
  readonly kernelSource: string | undefined;
  readonly variant?: KernelVariant;
  readonly qemu?: QemuVariant;
  readonly emit: Emit;
  readonly signal: AbortSignal;
}

/** The kernel's driver has no way to bring its queue back to a device that was reset. */
const LOST_IN_SLEEP =
  'A folder of --share does not outlive a suspend of the guest: what reads it after that waits for ever. Unmount it before.';

export async function prepareRun({
  selection: asked,
  anyMachine = false,
  accelerator,
  kernelSource,
  variant = {},
  qemu = {},
  emit,
  signal,
}: RunRequest): Promise<RigContext> {
  const startedAt = new Date();
  const usual = anyMachine ? await usualMachine(accelerator) : { machine: asked.machine };
  const profile = await loadMachineProfile(usual.machine);
  const { flavour } = asked;
  if (accelerator === 'kvm') await assertKvmPossible({ profile });
  const commit = await repositoryCommit();
  if ((asked.shares ?? []).length > 0) emit({ type: 'notice', text: LOST_IN_SLEEP });
  // First, since a name may be wrong: the rest takes long.
  const userland = asked.install === undefined ? undefined : await obtainUserland(asked.install, emit, signal);
  const build = await buildRig({
    ...(kernelSource === undefined ? {} : { kernelSource }),
    flavour,
    variant,
    qemu,
    emit,
    signal,
  });
  const settings =
    asked.trace === undefined ? undefined : traceSettings(asked.trace, await traceEvents(build, emit, signal));
  const acceleration = await chooseAccelerator(accelerator, { software: build, profile, emit, signal });
  return {
    build,
    sources: sourcesOf(kernelSource, variant, qemu),
    fresh: [],
    ...(userland === undefined ? {} : { userland }),
    accelerator,
    ...onUsualMachine(usual, asked, acceleration),
    ...(settings === undefined ? {} : { traceSettings: settings }),
    startedAt: startedAt.toISOString(),
    ...(commit === undefined ? {} : { commit }),
    artifacts: path.join(artifactsFolder(), runName(startedAt)),
  };
}

function sourcesOf(
  kernelSource: string | undefined,
  { unpatched, kconfig, patches }: KernelVariant,
  qemu: QemuVariant,
): Sources {
  return {
    ...(kernelSource === undefined ? {} : { kernelSource: path.resolve(kernelSource) }),
    ...(unpatched ? { unpatched } : {}),
    ...(kconfig === undefined ? {} : { kconfig }),
    ...(patches === undefined ? {} : { patches }),
    ...(qemu.source === undefined ? {} : { qemuSource: path.resolve(qemu.source) }),
    ...(qemu.sanitize ? { sanitize: true } : {}),
  };
}

/** What the results are results of. */
export async function repositoryCommit(): Promise<string | undefined> {
  const root = repositoryPath();
  const head = await tryGit(root, ['rev-parse', 'HEAD']);
  if (!head.ok) return undefined;
  const edits = await tryGit(root, ['status', '--porcelain', '--untracked-files=no']);
  return `${head.stdout.trim()}${edits.stdout === '' ? '' : '+'}`;
}

/** Sorts by time; the process id keeps two runs of one second apart. */
function runName(now: Date): string {
  return `${now.toISOString().slice(0, 19).replaceAll(':', '')}-${String(process.pid)}`;
}
