/**
 * How a test gets its VM: cloned where the suite says that it is stateless and the machine can be, booted otherwise.
 */
import { rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { RigError } from '../../util/rig-error.ts';
import { slug } from '../../util/slug.ts';
import { discardTemplate, isCloneable, obtainTemplate } from '../../vm/clone/template.ts';
import { Vm, type VmSpec } from '../../vm/vm.ts';

interface StartOptions {
  readonly stateless: boolean;
  /** Called when a clone is not to be had after all, and why. */
  readonly onFallback: (why: string) => unknown;
}

/** A test as vitest knows it. */
export interface TestCase {
  readonly fullTestName: string;
  readonly id: string;
}

interface StartedVm {
  readonly vm: Vm;
  readonly cloned: boolean;
}

/**
 * The folder of a test's VM below that of the run's artifacts, whatever the test is called: two tests may have names
 * that differ only in what no folder's name has.
 */
export function vmFolder(artifacts: string, { fullTestName, id }: TestCase): string {
  return path.join(artifacts, `${slug(fullTestName)}-${id}`);
}

/** Machines that this process has found to be no good as clones, by name: one attempt is enough. */
const hopeless = new Set<string>();

export async function startVm(spec: VmSpec, { stateless, onFallback }: StartOptions): Promise<StartedVm> {
  const { name } = spec.profile;
  if (stateless && (spec.shares ?? []).length > 0) {
    onFallback(`${name} is booted, not cloned: QEMU can save no machine that has a folder of the host (--share).`);
  } else if (stateless && spec.userland !== undefined) {
    onFallback(`${name} is booted, not cloned: no template has the disk of a Debian userland (--rootfs).`);
  }
  if (stateless && isCloneable(spec) && !hopeless.has(name)) {
    try {
      return { vm: await startClone(spec), cloned: true };
    } catch (error) {
      spec.signal.throwIfAborted();
      // Such a bug may bite only where a machine goes on from its memory; a boot that goes well does not undo it.
      if (error instanceof RigError && error.failureClass === 'kernel') throw error;
      hopeless.add(name);
      onFallback(`${name} is booted, not cloned: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  return { vm: await Vm.boot(spec), cloned: false };
}

async function startClone(spec: VmSpec): Promise<Vm> {
  const template = await obtainTemplate(spec);
  try {
    return await Vm.clone(spec, template);
  } catch (error) {
    await discardTemplate(template);
    await keepEvidence(spec.folder);
    throw error;
  }
}

/** The boot that comes next has the folder to itself. */
async function keepEvidence(folder: string): Promise<void> {
  const kept = `${folder}-clone`;
  await rm(kept, { recursive: true, force: true });
  await rename(folder, kept).catch((cause: unknown) => {
    throw new RigError('infrastructure', `The logs of a failed clone could not be kept in ${kept}.`, { cause });
  });
}
