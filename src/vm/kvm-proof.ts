/** KVM is used only where it has booted the real kernel: a /dev/kvm that opens proves nothing. */
import { createHash } from 'node:crypto';
import { access, constants, mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { withBuildLock } from '../cache/build-lock.ts';
import { slowdownOf } from '../config/flavour.ts';
import type { AcceleratorChoice } from '../config/combination.ts';
import { cacheDirectory } from '../config/paths.ts';
import type { MachineProfile } from '../config/machine-profile.ts';
import { RigError } from '../util/rig-error.ts';
import type { Emit } from '../util/rig-event.ts';
import type { Accelerator } from './time-limits.ts';
import { Vm, type VmSoftware } from './vm.ts';

export interface ProofSubject {
  readonly software: VmSoftware;
  readonly profile: MachineProfile;
  readonly emit: Emit;
  readonly signal: AbortSignal;
  /** For tests, on hosts with KVM and without. */
  readonly isUsable?: () => Promise<boolean>;
  readonly proofMs?: number;
}

const proof = z.object({ works: z.boolean(), reason: z.string() });
type Proof = z.infer<typeof proof>;
/** Trouble is no proof, and may be over the next time: a full disk, say. */
type Finding = Proof | { readonly trouble: string };

/** A plain kernel under working KVM is up in one second; a broken KVM hangs for ever. */
const PROOF_MS = 8000;

export async function chooseAccelerator(choice: AcceleratorChoice, subject: ProofSubject): Promise<Accelerator> {
  if (choice === 'tcg') return 'tcg';
  const found = await findOut(subject);
  if ('works' in found && found.works) return 'kvm';
  const what = 'works' in found ? 'KVM does not work here' : 'KVM could not be tried';
  if (choice === 'auto') {
    if (!('works' in found)) {
      const text = `${what}, so it is TCG this time: ${inShort(found.trouble)} (--accel kvm tells it all)`;
      subject.emit({ type: 'notice', text });
    }
    return 'tcg';
  }
  throw new RigError('infrastructure', `${what}: ${'works' in found ? found.reason : found.trouble}`, {
    remedy: 'Leave out --accel, or use --accel tcg.',
  });
}

/** What QEMU said last, which is mostly the reason; otherwise the first line of all there is to say. */
function inShort(trouble: string): string {
  const said = /^It said: ([^]*?)\n(?=The console|Logs:)/m.exec(trouble)?.[1] ?? trouble;
  const lines = said.trim().split('\n');
  return (said === trouble ? lines[0] : lines.at(-1)) ?? trouble;
}

/** The answer holds for one boot of the host, one QEMU, one kernel and one kind of CPU. */
async function findOut(subject: ProofSubject): Promise<Finding> {
  const { software, profile, signal, isUsable = mayUseKvm } = subject;
  if (!(await isUsable())) return { works: false, reason: 'there is no /dev/kvm that this user may open.' };
  const bootId = await readFile('/proc/sys/kernel/random/boot_id', 'utf8');
  const premises = [bootId, software.qemu.binary, software.kernel.image, profile.cpu].join('\n');
  const key = createHash('sha256').update(premises).digest('hex').slice(0, 32);
  const folder = path.join(cacheDirectory(), 'kvm-proofs');
  const file = path.join(folder, `${key}.json`);
  // The folder of the boot is the same for all rigs.
  return withBuildLock({ name: `kvm-proof-${key}`, signal, onWait: () => undefined }, async () => {
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
  const { software, profile, emit, signal, proofMs = PROOF_MS } = subject;
  const start = performance.now();
  const step = { id: 'kvm-proof' };
  emit({ type: 'step-start', ...step, title: 'Does KVM boot this kernel?' });
  const late = AbortSignal.timeout(proofMs * slowdownOf(software.kernel.flavour));
  const end = (outcome: Finding): Finding => {
    const detail = 'works' in outcome && outcome.works ? 'yes' : 'no: TCG it is';
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
    if (late.aborted) return end({ works: false, reason: 'the kernel did not come up in seconds.' });
    const reason = error instanceof Error ? error.message : String(error);
    return end(isVerdict(error) ? { works: false, reason } : { trouble: reason });
  }
}

/** A guest that crashed or hung says something about KVM. A QEMU that ended, or could not start, says something about the host. */
function isVerdict(error: unknown): boolean {
  return error instanceof RigError && (error.failureClass === 'kernel' || error.failureClass === 'timeout');
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
