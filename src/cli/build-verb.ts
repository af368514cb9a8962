/** `dgpu-rig build`: everything `run` needs, without running anything. */
import { buildRig } from '../build/build-rig.ts';
import type { Session } from './session.ts';

export async function buildVerb({ kernelSrc }: { kernelSrc?: string }, { progress, signal }: Session): Promise<number> {
  const source = kernelSrc === undefined ? {} : { kernelSource: kernelSrc };
  const { kernel, qemu } = await buildRig({ ...source, emit: progress.emit, signal });
  progress.print(`Linux ${kernel.version} with ${String(kernel.patches.length)} patches, QEMU ${qemu.version}.`);
  return 0;
}
