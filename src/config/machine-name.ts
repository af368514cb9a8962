/** What a person calls a machine: one of the rig's by its name, one of their own by its file. */
import path from 'node:path';

const EXTENSION = '.yaml';

export function isMachineFile(machine: string): boolean {
  return machine.endsWith(EXTENSION) || machine.includes('/');
}

/** As reports and messages have it. */
export function machineName(machine: string): string {
  return isMachineFile(machine) ? path.basename(machine, EXTENSION) : machine;
}
