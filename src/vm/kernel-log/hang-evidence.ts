/**
 * What a guest that hangs leaves: its registers and its kernel's log in files, and the stacks of its tasks on the
 * console.
 */
import { setTimeout as pause } from 'node:timers/promises';

interface HangingGuest {
  /** Text of QEMU's human monitor. */
  readonly ask: (command: string) => Promise<string>;
  /** A break and this key on the serial port: the kernel's "magic system request". */
  readonly sysrq: (key: string) => Promise<void>;
  /** Resolves with what the command prints, if it ends in reasonable time; undefined where nobody can log in. */
  readonly run: ((command: string) => Promise<string>) | undefined;
  readonly saveText: (name: string, text: string) => Promise<void>;
}

/** Keys of the kernel's "magic system requests": tasks that are blocked, and what the CPUs are doing. */
export const OF_AWAKE_GUEST: readonly string[] = ['w', 'l'];

/** All tasks are printed, too, since those that are frozen are not blocked. */
export const OF_SLEEPING_GUEST: readonly string[] = [...OF_AWAKE_GUEST, 't'];

const REGISTERS = 'info registers -a';
const REGISTERS_FILE = 'hang-registers.txt';

/** Never fails: a guest, or a QEMU, that does not answer here either is what the failure is about. */
export async function takeHangEvidence(guest: HangingGuest, keys: readonly string[], answerMs: number): Promise<void> {
  try {
    const before = await guest.ask(REGISTERS);
    await guest.saveText(REGISTERS_FILE, before);
    for (const key of keys) {
      await guest.sysrq(key);
      await pause(answerMs);
    }
    // A program counter that has not moved since is that of a CPU that stands still.
    await guest.saveText(REGISTERS_FILE, `${before}\n\nA moment later:\n${await guest.ask(REGISTERS)}`);
    // Debug messages, too, which the console does not show.
    if (guest.run) await guest.saveText('dmesg.txt', await guest.run('dmesg'));
  } catch {
    // What it did say is in the files and on the console.
  }
}
