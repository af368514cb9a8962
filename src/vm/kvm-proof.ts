/** KVM is used only where it has booted the real kernel: a /dev/kvm that opens proves nothing. */
import { createHash } from 'node:crypto';
import { access, constants, mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { slowdownOf } from '../config/flavour.ts';
import { cacheDirectory } from '../config/paths.ts';
import type { MachineProfile } from '../config/machine-profile.ts';
import { RigError } from '../util/rig-error.ts';
import type { Emit } from '../util/rig-event.ts';
import type { Accelerator } from './time-limits.ts';
import { Vm, type VmSoftware } from './vm.ts';

export const ACCELERATOR_CHOICES = ['auto', 'kvm', 'tcg'] as const;
export type AcceleratorChoice = (typeof ACCELERATOR_CHOICES)[number];

export interface ProofSubject {
  readonly software: VmSoftware;
  readonly profile: MachineProfile;
  readonly emit: Emit;
  readonly signal: AbortSignal;
}

const proof = z.object({ works: z.boolean(), reason: z.string() });
type Proof = z.infer<typeof proof>;

/** A plain kernel under working KVM is up in one second; a broken KVM hangs for ever. */
const PROOF_MS = 8000;

export async function chooseAccelerator(choice: AcceleratorChoice, subject: ProofSubject): Promise<Accelerator> {
  if (choice === 'tcg') return 'tcg';
  const { works, reason } = await remembered(subject);
  if (works) return 'kvm';
  if (choice === 'auto') return 'tcg';
  throw new RigError('infrastructure', `KVM does not work here: ${reason}`, {
    remedy: 'Leave out --accel, or use --accel tcg.',
  });
}

/** The answer holds for one boot of the host, one QEMU, one kernel and one kind of CPU. */
async function remembered(subject: ProofSubject): Promise<Proof> {
  if (!(await mayUseKvm())) return { works: false, reason: 'there is no /dev/kvm that this user may open.' };
  const bootId = await readFile('/proc/sys/kernel/random/boot_id', 'utf8');
  const { software, profile } = subject;
  const premises = [bootId, software.qemu.binary, software.kernel.image, profile.cpu].join('\n');
  const key = createHash('sha256').update(premises).digest('hex').slice(0, 32);
  const file = path.join(cacheDirectory(), 'kvm-proofs', `${key}.json`);
  const known = await readProof(file);
  if (known) return known;
  const found = await prove(subject, path.join(cacheDirectory(), 'kvm-proofs', `${key}.vm`));
  const temporary = `${file}.${String(process.pid)}`;
  await mkdir(path.dirname(file), { recursive: true });
  await writeFile(temporary, JSON.stringify(found));
  await rename(temporary, file);
  return found;
}

async function prove({ software, profile, emit, signal }: ProofSubject, folder: string): Promise<Proof> {
  const start = performance.now();
  const step = { id: 'kvm-proof' };
  emit({ type: 'step-start', ...step, title: 'Does KVM boot this kernel?' });
  const late = AbortSignal.timeout(PROOF_MS * slowdownOf(software.kernel.flavour));
  const end = (outcome: Proof): Proof => {
    const detail = outcome.works ? 'yes' : 'no: TCG it is';
    emit({ type: 'step-progress', ...step, detail });
    emit({ type: 'step-end', ...step, outcome: 'done', durationMs: performance.now() - start });
    return outcome;
  };
  try {
    const both = AbortSignal.any([late, signal]);
    const vm = await Vm.boot({ profile, accelerator: 'kvm', software, folder, signal: both });
    await vm.end({ keep: false, verdict: { status: 'passed' } });
    return end({ works: true, reason: 'it booted the kernel.' });
  } catch (error) {
    signal.throwIfAborted();
    const reason = error instanceof Error && !late.aborted ? error.message : 'the kernel did not come up in seconds.';
    return end({ works: false, reason });
  }
}

async function mayUseKvm(): Promise<boolean> {
  return access('/dev/kvm', constants.R_OK | constants.W_OK).then(
    () => true,
    () => false,
  );
}

async function readProof(file: string): Promise<Proof | undefined> {
  try {
    return proof.parse(JSON.parse(await readFile(file, 'utf8')));
  } catch {
    return undefined; // Never proven, or unreadable: prove it (again).
  }
}
