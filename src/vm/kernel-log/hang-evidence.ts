/** What a guest leaves whose command does not end: stacks of blocked tasks on the console, and its kernel's log in a file. */
import { setTimeout as pause } from 'node:timers/promises';

export interface HangingGuest {
  /** A break and this key on the serial port: the kernel's "magic system request". */
  readonly sysrq: (key: string) => Promise<void>;
  /** Resolves with what the command prints, if it ends in reasonable time. */
  readonly run: (command: string) => Promise<string>;
  readonly saveText: (name: string, text: string) => Promise<void>;
}

/** How long the answer to each request takes to be printed. */
const ANSWER_MS = 750;

/** Never fails: a guest that does not answer here either is what the failure is about. */
export async function saveHangEvidence(guest: HangingGuest, answerMs = ANSWER_MS): Promise<void> {
  try {
    // Blocked tasks, then what the CPUs are doing.
    for (const key of ['w', 'l']) {
      await guest.sysrq(key);
      await pause(answerMs);
    }
    // Debug messages, too, which the console does not show.
    await guest.saveText('dmesg.txt', await guest.run('dmesg'));
  } catch {
    // What it did say is on the console.
  }
}
