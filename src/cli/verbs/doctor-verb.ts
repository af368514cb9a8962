/**
 * `dgpu-rig doctor`: what this machine lacks, and the one command that gets it; with --kvm, which machines KVM runs.
 */
import { buildRig } from '../../builds/build-rig.ts';
import { machineFindings, type Finding } from '../../builds/debian/host.ts';
import { listMachineProfiles, loadMachineProfile } from '../../config/machine-profile.ts';
import { accelerationText } from '../../report/text/accelerators.ts';
import { EXIT_CODES } from '../../util/rig-error.ts';
import { chooseAccelerator } from '../../vm/kvm-proof.ts';
import type { Session } from '../session.ts';

const SIGNS: Readonly<Record<Finding['verdict'], string>> = { good: '✔', note: '•', fault: '✘' };

export interface DoctorOptions {
  readonly kvm?: boolean;
}

export async function doctorVerb({ kvm = false }: DoctorOptions, session: Session): Promise<number> {
  const { progress } = session;
  const findings = await machineFindings();
  // The launcher has checked that this is new enough.
  progress.print(`${SIGNS.good} Node.js is ${process.versions.node}.`);
  for (const finding of findings) progress.print(findingText(finding));
  if (findings.some(({ verdict }) => verdict === 'fault')) return EXIT_CODES.infrastructure;
  if (kvm) await proveKvm(session);
  return 0;
}

function findingText({ verdict, text, remedy }: Finding): string {
  return `${SIGNS[verdict]} ${text}${remedy === undefined ? '' : `\n  ${remedy}`}`;
}

/** Boots a VM for each kind of processor that the machines have, whatever is remembered; a remedy is told once. */
async function proveKvm({ progress, signal }: Session): Promise<void> {
  const { emit, print } = progress;
  const software = await buildRig({ flavour: 'plain', emit, signal });
  const [proven, told] = [new Set<string>(), new Set<string>()];
  for (const name of await listMachineProfiles()) {
    const profile = await loadMachineProfile(name);
    const again = !proven.has(profile.cpu);
    const { remedy, ...acceleration } = await chooseAccelerator('auto', { software, profile, emit, signal, again });
    proven.add(profile.cpu);
    const verdict = acceleration.accelerator === 'kvm' ? 'good' : 'note';
    const text = `${name}: ${accelerationText(acceleration)}`;
    const news = remedy !== undefined && !told.has(remedy);
    print(findingText({ verdict, text, ...(news ? { remedy } : {}) }));
    if (remedy !== undefined) told.add(remedy);
  }
}
