/**
 * What clones of a template must not share, and the proof that one is well: random numbers, time and name of its own,
 * all its CPUs, and a console and an SSH session that belong to the same machine, though all clones have the same host
 * key.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import type { MachineProfile } from '../../config/machine-profile.ts';
import { RigError } from '../../util/rig-error.ts';
import type { WaitBounds } from '../../util/bounded-wait.ts';
import type { SerialConsole } from '../link/serial-console.ts';
import type { CommandResult } from '../link/ssh-session.ts';

interface NewClone {
  readonly console: SerialConsole;
  readonly exec: (command: string, options: { deadlineMs: number; stdin: Buffer }) => Promise<CommandResult>;
}

const SEED_BYTES = 64;

export async function takeIdentity(clone: NewClone, { cpuNodes }: MachineProfile, bounds: WaitBounds): Promise<void> {
  const name = `rig-${randomUUID().slice(0, 8)}`;
  const command = [
    'edgpu-stress reseed',
    `date -u -s @${String(Math.round(Date.now() / 1000))} > /dev/null`,
    `echo ${name} > /proc/sys/kernel/hostname`,
    `echo "<1>RIG-CLONE ${name}" > /dev/kmsg`,
    'grep -c ^processor /proc/cpuinfo',
  ].join(' && ');
  const heard = clone.console.waitFor(new RegExp(`RIG-CLONE ${name}$`), bounds);
  heard.catch(() => undefined);
  const stdin = randomBytes(SEED_BYTES);
  const { exitCode, stdout, stderr } = await clone.exec(command, { deadlineMs: bounds.deadlineMs, stdin });
  if (exitCode !== 0 || Number(stdout) !== cpuNodes.length) {
    const said = `${stdout}${stderr}`.trim();
    throw new RigError('infrastructure', `The clone is not well (exit code ${String(exitCode)}): ${said}`);
  }
  await heard;
}
