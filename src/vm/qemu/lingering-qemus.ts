/** Waits for the last QEMUs of a run: killed with the process that owned them, they take a moment to be gone. */
import { readdir, readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { RigError } from '../../util/rig-error.ts';
import { ENDING_LIMITS_MS } from '../time-limits.ts';

const POLL_MS = 20;

/** `folder` holds the folders of the run's VMs, and so is in every QEMU's command line. */
export async function untilQemusAreGone(folder: string): Promise<void> {
  const deadline = performance.now() + ENDING_LIMITS_MS.kill;
  let lingering = await qemusOf(folder);
  while (lingering.length > 0) {
    if (performance.now() > deadline) {
      throw new RigError('infrastructure', `QEMU is still running: process ${lingering.join(', ')}.`, {
        remedy: 'The host kernel may hold it; look at its state in ps, and kill it by hand.',
      });
    }
    await sleep(POLL_MS);
    lingering = await qemusOf(folder);
  }
}

async function qemusOf(folder: string): Promise<string[]> {
  const processes = (await readdir('/proc')).filter((entry) => /^\d+$/.test(entry));
  const matches = await Promise.all(
    processes.map(async (id) => {
      // One that ended since has no file any more, and one that is a zombie an empty one.
      const command = await readFile(`/proc/${id}/cmdline`, 'utf8').catch(() => '');
      return command.includes('qemu-system') && command.includes(`${folder}/`);
    }),
  );
  return processes.filter((_, index) => matches[index]);
}
