/**
 * The short way for who edits the driver or the stress program: that alone is built, and put into the guest in the
 * place of what its image has. The image stays, and so do the templates of machines that boot it.
 */

import path from 'node:path';

import { cacheDirectory } from '../config/paths.ts';
import type { Emit } from '../util/rig-event.ts';
import { runStep } from '../util/step.ts';
import { runBuildCommand } from './tree/build-command.ts';
import { withBuildLock } from '../cache/build-lock.ts';
import type { RigBuild } from './build-rig.ts';
import type { EntryWork } from '../cache/cache-entry.ts';
import { fetchDebianPackages } from './debian/debian-packages.ts';
import { compileStress, STRESS_PROGRAM } from './guest/guest-image.ts';
import { compileModule, DRIVER_GRAFT } from './kernel/kernel-build.ts';
import { openKernelSource } from './kernel/kernel-source.ts';

export const PARTS = ['driver', 'stress'] as const;
export type Part = (typeof PARTS)[number];

/** A file for the guest, by its path in it. */
export interface GuestFile {
  readonly path: string;
  /** On the host. */
  readonly file: string;
  readonly mode: number;
}

export interface FreshRequest {
  readonly build: RigBuild;
  readonly kernelSource: string | undefined;
  /** Where the file goes; it has to stay for as long as guests are started with it. */
  readonly folder: string;
  readonly emit: Emit;
  readonly signal: AbortSignal;
}

const TITLES: Readonly<Record<Part, string>> = {
  driver: 'Build the driver',
  stress: 'Build the stress program',
};

/** What a part is now. */
export async function freshFile(part: Part, request: FreshRequest): Promise<GuestFile> {
  const { folder, emit, signal } = request;
  const log = path.join(cacheDirectory(), `logs/${part}.log`);
  return runStep(emit, { id: part, title: TITLES[part], signal }, async (step) => {
    const work = { folder, step, signal, log };
    const file = part === 'stress' ? freshStress(request, work) : buildModule(DRIVER, request, work);
    return { outcome: 'done', value: await file };
  });
}

const DRIVER = `kernel/${DRIVER_GRAFT.to}/edgpu.ko`;

/** A module as the sources are now, with the patches of the kernel's variant in it; by its name in modules.dep. */
export async function freshModule(name: string, request: FreshRequest): Promise<GuestFile> {
  const { folder, emit, signal } = request;
  const [id, log] = ['module', path.join(cacheDirectory(), 'logs/module.log')];
  return runStep(emit, { id, title: `Build ${path.basename(name)}`, signal }, async (step) => ({
    ...{ outcome: 'done', value: await buildModule(name, request, { folder, step, signal, log }) },
  }));
}

async function buildModule(name: string, { build, kernelSource }: FreshRequest, work: EntryWork): Promise<GuestFile> {
  const { folder, signal, step, log } = work;
  const source = await openKernelSource(kernelSource, await fetchDebianPackages(() => undefined, signal));
  const { flavour, variant, release, modules, config } = build.kernel;
  const inGuest = path.join('/usr/lib/modules', release, name);
  const file = path.join(folder, path.basename(name));
  const onWait = (): void => step.progress('waiting for another rig that is building');
  await withBuildLock({ name: 'kernel', signal, onWait }, async (locked) => {
    const installed = path.join(modules, 'lib/modules', release);
    const module = await compileModule(
      { source, flavour, variant },
      { installed, config, name },
      { ...work, signal: locked },
    );
    const argv = ['strip', '--strip-debug', '-o', file, module] as const;
    await runBuildCommand({ what: 'Stripping the module', argv, cwd: folder, log, signal: locked });
  });
  return { path: inGuest, file, mode: 0o644 };
}

async function freshStress({ build }: FreshRequest, work: EntryWork): Promise<GuestFile> {
  const file = path.join(work.folder, 'edgpu-stress');
  await compileStress(file, build.kernel.folder, work);
  return { path: STRESS_PROGRAM, file, mode: 0o755 };
}
