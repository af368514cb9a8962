/** `dgpu-rig doctor`: what this machine lacks, and the one command that gets it. */
import { machineFindings, type Finding } from '../../builds/debian/host.ts';
import { EXIT_CODES } from '../../util/rig-error.ts';
import type { Session } from '../session.ts';

const SIGNS: Readonly<Record<Finding['verdict'], string>> = { good: '✔', note: '•', fault: '✘' };

export async function doctorVerb({ progress }: Session): Promise<number> {
  const findings = await machineFindings();
  // The launcher has seen to it that this is new enough.
  progress.print(`${SIGNS.good} Node.js is ${process.versions.node}.`);
  for (const { verdict, text, remedy } of findings) {
    progress.print(`${SIGNS[verdict]} ${text}${remedy === undefined ? '' : `\n  ${remedy}`}`);
  }
  return findings.every(({ verdict }) => verdict !== 'fault') ? 0 : EXIT_CODES.infrastructure;
}
