/** KVM is used only where it has booted the real kernel: a /dev/kvm that opens proves nothing. */
import { createHash } from 'node:crypto';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { withBuildLock } from '../cache/build-lock.ts';
import { slowdownOf } from '../config/flavour.ts';
import type { AcceleratorChoice } from '../config/combination.ts';
import { KVM_DEVICE, type KvmDevice } from '../config/kvm-device.ts';
import { cacheDirectory } from '../config/paths.ts';
import { addressBits, type MachineProfile } from '../config/machine-profile.ts';
import { RigError } from '../util/rig-error.ts';
import type { Emit } from '../util/rig-event.ts';
import type { Accelerator } from './time-limits.ts';
import { Vm, type VmSoftware } from './vm.ts';

export interface ProofSubject {
  readonly software: VmSoftware;
  readonly profile: MachineProfile;
  readonly emit: Emit;
  readonly signal: AbortSignal;
  readonly device?: KvmDevice;
  /** Tests multiply each time limit by this; it is 1 by default. */
  readonly patience?: number;
  /** Whatever is remembered. */
  readonly again?: boolean;
}

/** How a machine is run. Where KVM was wanted and is not had, it says why, and what can be done about it. */
export interface Acceleration {
  readonly accelerator: Accelerator;
  readonly reason?: string;
  readonly remedy?: string;
}

type Refusal = Required<Pick<Acceleration, 'reason'>> & Acceleration & { readonly accelerator: 'tcg' };

const proof = z.object({ works: z.boolean(), reason: z.string() });
type Proof = z.infer<typeof proof>;
/** Trouble is no proof, and may be over the next time: a full disk, say. */
type Finding = Proof | { readonly trouble: string };

/** A plain kernel under working KVM is up in one second; a broken KVM hangs for ever. */
const PROOF_MS = 8000;

export async function chooseAccelerator(choice: AcceleratorChoice, subject: ProofSubject): Promise<Acceleration> {
  if (choice === 'tcg') return { accelerator: 'tcg' };
  const refusal = (await refusalWithoutTrial(subject)) ?? (await refusalByTrial(subject));
  if (refusal === undefined) return { accelerator: 'kvm' };
  if (choice === 'auto') return { ...refusal, reason: inShort(refusal.reason) };
  throw notToBeHad(refusal);
}

/** Refuses a run that insists on KVM before anything is built, where that can be said by then. */
export async function assertKvmPossible({ profile, device }: Pick<ProofSubject, 'profile' | 'device'>): Promise<void> {
  const refusal = await refusalWithoutTrial({ profile, ...(device ? { device } : {}) });
  if (refusal) throw notToBeHad(refusal);
}

function notToBeHad({ reason, remedy }: Refusal): RigError {
  return new RigError('infrastructure', `KVM can't be had here: ${reason}`, {
    remedy: [remedy, 'Or leave out --accel, or use --accel tcg.'].filter((part) => part !== undefined).join(' '),
  });
}

async function refusalWithoutTrial({
  profile,
  device = KVM_DEVICE,
}: Pick<ProofSubject, 'profile' | 'device'>): Promise<Refusal | undefined> {
  const { verdict, text, remedy } = await device.opens();
  if (verdict !== 'good') return { accelerator: 'tcg', reason: text, ...(remedy === undefined ? {} : { remedy }) };
  const [needed, has] = [addressBits(profile), await device.addressBits()];
  if (needed <= has) return undefined;
  return {
    accelerator: 'tcg',
    reason: `machine ${profile.name} needs physical addresses of ${needed} bits, and this host's processor has ${has}.`,
    remedy:
      'Machines with no memory at such high addresses run under KVM, tiers-46 for example: docs/kvm.md lists them.',
  };
}

async function refusalByTrial(subject: ProofSubject): Promise<Refusal | undefined> {
  const found = await findOut(subject);
  if ('trouble' in found) return { accelerator: 'tcg', reason: `it could not be tried: ${found.trouble}` };
  return found.works
    ? undefined
    : { accelerator: 'tcg', reason: found.reason, remedy: '"./dgpu-rig doctor --kvm" tries again.' };
}

/**
 * What QEMU said last, which is mostly the reason; otherwise the first line of all there is to say. Where an MSR is
 * refused, QEMU says so, and then which assertion of its own failed for that.
 */
function inShort(reason: string): string {
  const said = /^It said: ([^]*?)\n(?=The console|Logs:)/m.exec(reason)?.[1];
  if (said === undefined) return reason.split('\n')[0] ?? reason;
  const lines = said.trim().split('\n');
  return `QEMU said: ${lines.findLast((line) => !/: Assertion `.*' failed\.$/.test(line)) ?? said}`;
}

/** The answer holds for one boot of the host, one QEMU, one kernel and one kind of CPU. */
async function findOut(subject: ProofSubject): Promise<Finding> {
  const { software, profile, signal, again = false } = subject;
  const bootId = await readFile('/proc/sys/kernel/random/boot_id', 'utf8');
  const premises = [bootId, software.qemu.binary, software.kernel.image, profile.cpu].join('\n');
  const key = createHash('sha256').update(premises).digest('hex').slice(0, 32);
  const folder = path.join(cacheDirectory(), 'kvm-proofs');
  const file = path.join(folder, `${key}.json`);
  // The folder of the boot is the same for all rigs.
  return withBuildLock({ name: `kvm-proof-${key}`, signal, onWait: () => undefined }, async () => {
    if (again) await rm(file, { force: true });
    const known = await readProof(file);
    if (known) return known;
    const found = await prove(subject, path.join(folder, `${key}.vm`));
    if ('works' in found) await remember(found, file);
    return found;
  });
}

async function remember(found: Proof, file: string): Promise<void> {
  const temporary = `${file}.${String(process.pid)}`;
  await mkdir(path.dirname(file), { recursive: true });
  await writeFile(temporary, JSON.stringify(found));
  await rename(temporary, file);
}

async function prove(subject: ProofSubject, folder: string): Promise<Finding> {
  const { software, profile, emit, signal, patience = 1 } = subject;
  const start = performance.now();
  const step = { id: 'kvm-proof' };
  emit({ type: 'step-start', ...step, title: 'Does KVM boot this kernel?' });
  const late = AbortSignal.timeout(PROOF_MS * patience * slowdownOf(software.kernel.flavour));
  const end = (outcome: Finding): Finding => {
    const detail = 'works' in outcome && outcome.works ? 'yes' : `no: ${inShort(reasonOf(outcome))}`;
    emit({ type: 'step-progress', ...step, detail });
    emit({ type: 'step-end', ...step, outcome: 'done', durationMs: performance.now() - start });
    return outcome;
  };
  try {
    const both = AbortSignal.any([late, signal]);
    const vm = await Vm.boot({ profile, accelerator: 'kvm', software, patience, folder, signal: both });
    await vm.end({ keep: false, verdict: { status: 'passed' } });
    return end({ works: true, reason: 'it booted the kernel.' });
  } catch (error) {
    signal.throwIfAborted();
    if (late.aborted) return end({ works: false, reason: 'the kernel did not come up in seconds.' });
    const reason = error instanceof Error ? error.message : String(error);
    return end(isVerdict(error) ? { works: false, reason } : { trouble: reason });
  }
}

function reasonOf(found: Finding): string {
  return 'works' in found ? found.reason : found.trouble;
}

/**
 * A guest that crashed or hung says something about KVM. A QEMU that ended, or could not start, says something about
 * the host.
 */
function isVerdict(error: unknown): boolean {
  return error instanceof RigError && (error.failureClass === 'kernel' || error.failureClass === 'timeout');
}

async function readProof(file: string): Promise<Proof | undefined> {
  try {
    return proof.parse(JSON.parse(await readFile(file, 'utf8')));
  } catch {
    return undefined; // Never proven, or unreadable: prove it (again).
  }
}
