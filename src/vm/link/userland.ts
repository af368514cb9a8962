/** The Debian userland that a guest has on a disk (`--rootfs`), with the guest's script that leads into it. */
import { shellQuote } from '../../util/shell-quote.ts';
import { RigError } from '../../util/rig-error.ts';
import type { CommandResult, SshSession } from './ssh-session.ts';

const ENTER = '/usr/sbin/in-debian';

/** The command for a shell of the guest that has a shell of the userland run this one. */
export function inUserland(command: string): string {
  return `${ENTER} sh -c ${shellQuote(command)}`;
}

/** What a person at a terminal gets. */
export const USERLAND_SHELL = `${ENTER} bash -l`;

/** Sets it up, so that what fails later is a fault of what runs in it. */
export async function prepareUserland(vm: { exec: (command: string) => Promise<CommandResult> }): Promise<void> {
  const { exitCode, stderr } = await vm.exec(`${ENTER} true`);
  if (exitCode === 0) return;
  throw new RigError('infrastructure', `The guest can't use its Debian userland: ${stderr.trim()}`, {
    remedy: 'A kernel of your own needs EROFS_FS for it; the serial log may say more.',
  });
}

/** The same session, whose commands run in the userland. */
export function userlandSession(session: Pick<SshSession, 'open'>): Pick<SshSession, 'open'> {
  return { open: (command) => session.open(inUserland(command)) };
}
