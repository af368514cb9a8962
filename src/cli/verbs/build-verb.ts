/** `dgpu-rig build`: everything `run` needs, without running anything. */
import { buildRig } from '../../builds/build-rig.ts';
import type { BuildOptions } from '../options/option-table.ts';
import { kernelVariant, qemuVariant } from '../options/run-request.ts';
import type { Session } from '../session.ts';

export async function buildVerb(options: BuildOptions, { progress, signal }: Session): Promise<number> {
  const { kernelSrc, flavour } = options;
  const source = kernelSrc === undefined ? {} : { kernelSource: kernelSrc };
  const { kernel, qemu, sources } = await buildRig({
    ...source,
    flavour,
    variant: kernelVariant(options),
    qemu: qemuVariant(options),
    emit: progress.emit,
    signal,
  });
  for (const [name, hash] of Object.entries(sources)) progress.print(`The source of ${name} is sha256:${hash}`);
  progress.print(`Linux ${kernel.version} with ${String(kernel.patches.length)} patches, QEMU ${qemu.version}.`);
  return 0;
}
