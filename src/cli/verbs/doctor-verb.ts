/** `dgpu-rig doctor`: what this machine lacks, and the one command that gets it. */
import { access, constants } from 'node:fs/promises';
import { installCommand, missingHostPackages } from '../../builds/debian/host-packages.ts';
import { EXIT_CODES } from '../../util/rig-error.ts';
import type { Session } from '../session.ts';

interface Finding {
  readonly good: boolean;
  readonly text: string;
}

export async function doctorVerb({ progress }: Session): Promise<number> {
  const missing = await missingHostPackages();
  const findings: Finding[] = [
    { good: true, text: `Node.js ${process.versions.node}` },
    missing.length === 0
      ? { good: true, text: 'host packages: all installed' }
      : { good: false, text: `host packages: ${missing.join(' ')} are missing; run: ${installCommand(missing)}` },
    await kvmFinding(),
  ];
  for (const { good, text } of findings) progress.print(`${good ? '✔' : '✘'} ${text}`);
  return findings.every(({ good }) => good) ? 0 : EXIT_CODES.infrastructure;
}

/** Never a fault: TCG does everything, only slower. */
async function kvmFinding(): Promise<Finding> {
  const opens = await access('/dev/kvm', constants.R_OK | constants.W_OK).then(
    () => true,
    () => false,
  );
  const text = opens ? '/dev/kvm opens; the first run proves whether it works' : 'no /dev/kvm: guests run under TCG';
  return { good: true, text };
}
