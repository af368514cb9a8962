/** `dgpu-rig build`: everything `run` needs, without running anything. */
import { buildRig } from '../build/build-rig.ts';
import { qemuVariant, type MachineOptions } from './run-options.ts';
import type { Session } from './session.ts';

export type BuildVerbOptions = Pick<MachineOptions, 'kernelSrc' | 'qemuSrc' | 'sanitize'>;

export async function buildVerb(options: BuildVerbOptions, { progress, signal }: Session): Promise<number> {
  const { kernelSrc } = options;
  const source = kernelSrc === undefined ? {} : { kernelSource: kernelSrc };
  const { kernel, qemu } = await buildRig({ ...source, qemu: qemuVariant(options), emit: progress.emit, signal });
  progress.print(`Linux ${kernel.version} with ${String(kernel.patches.length)} patches, QEMU ${qemu.version}.`);
  return 0;
}
