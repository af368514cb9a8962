/** The short way for who edits the driver: its module alone is built, and laid over the guest image that there is. */

import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { cacheDirectory } from '../config/paths.ts';
import type { Emit } from '../util/rig-event.ts';
import { runStep } from '../util/step.ts';
import { runBuildCommand } from './build-command.ts';
import { withBuildLock } from './build-lock.ts';
import type { RigBuild } from './build-rig.ts';
import { padTo, writeCpio } from './cpio.ts';
import { fetchDebianPackages } from './debian-packages.ts';
import { compileDriver } from './kernel-build.ts';
import { openKernelSource } from './kernel-source.ts';

export interface DriverRequest {
  readonly build: RigBuild;
  readonly kernelSource: string | undefined;
  readonly emit: Emit;
  readonly signal: AbortSignal;
}

/** The same build with the driver as it is now. `discard` removes what was made for it. */
export async function withDriverOfNow({
  build,
  kernelSource,
  emit,
  signal,
}: DriverRequest): Promise<{ build: RigBuild; discard: () => Promise<void> }> {
  const source = await openKernelSource(kernelSource, await fetchDebianPackages(() => undefined, signal));
  const { flavour, release } = build.kernel;
  const folder = await mkdtemp(path.join(tmpdir(), 'dgpu-rig-driver-'));
  const discard = (): Promise<void> => rm(folder, { recursive: true, force: true });
  try {
    const initrd = await runStep(emit, { id: 'driver', title: 'Build the driver' }, async (step) => {
      const onWait = (): void => step.progress('waiting for another rig that is building');
      const log = path.join(cacheDirectory(), 'logs/driver.log');
      await withBuildLock({ name: 'kernel', signal, onWait }, async (locked) => {
        const module = await compileDriver({ source, flavour }, { folder, step, signal: locked, log });
        const argv = ['strip', '--strip-debug', '-o', path.join(folder, 'edgpu.ko'), module] as const;
        await runBuildCommand({ what: 'Stripping the driver', argv, cwd: folder, log, signal: locked });
      });
      return { outcome: 'done', value: await overlaid(build.initrd, folder, release) };
    });
    return { build: { ...build, initrd }, discard };
  } catch (error) {
    await discard();
    throw error;
  }
}

/** Of two files of one name in an initrd the later one counts. */
async function overlaid(initrd: string, folder: string, release: string): Promise<string> {
  const data = await readFile(path.join(folder, 'edgpu.ko'));
  const name = `usr/lib/modules/${release}/kernel/drivers/gpu/drm/edgpu/edgpu.ko`;
  const segment = writeCpio([{ kind: 'file', path: name, data, mode: 0o644 }]);
  const file = path.join(folder, 'initrd');
  await writeFile(file, padTo(Buffer.concat([await readFile(initrd), segment]), 512));
  return file;
}
