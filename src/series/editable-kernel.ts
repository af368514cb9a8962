/**
 * `kernel edit`: the pinned sources, or a user's, as a tree to work on the series in, configured so that make builds
 * the guest's kernel.
 */

import path from 'node:path';

import { cacheDirectory } from '../config/paths.ts';
import type { Emit } from '../util/rig-event.ts';
import { runStep } from '../util/step.ts';
import { fetchDebianPackages } from '../builds/debian/debian-packages.ts';
import { prepareHost } from '../builds/debian/host.ts';
import { configureKernel, DRIVER_GRAFT, PATCH_FOLDER, readFragments, titleOf } from '../builds/kernel/kernel-build.ts';
import { openKernelSource } from '../builds/kernel/kernel-source.ts';
import { createEditableTree } from './series-edit.ts';

interface EditRequest {
  readonly folder: string;
  readonly kernelSource?: string;
  readonly emit: Emit;
  readonly signal: AbortSignal;
}

export async function editKernel({ folder, kernelSource, emit, signal }: EditRequest): Promise<void> {
  await prepareHost(emit, signal);
  const source = await openKernelSource(kernelSource, await fetchDebianPackages(emit, signal));
  const title = titleOf(source);
  const log = path.join(cacheDirectory(), 'logs/kernel-edit.log');
  await runStep(emit, { id: 'kernel-edit', title: `Lay out ${title}`, signal }, async (step) => {
    const work = { step, signal, log };
    const { unpack } = source.fill(work);
    await createEditableTree({ folder, title, unpack, patchFolder: PATCH_FOLDER, graft: DRIVER_GRAFT }, work);
    await configureKernel({ source: folder }, { fragment: await readFragments('plain'), title }, work);
    return { outcome: 'done', value: undefined };
  });
}
