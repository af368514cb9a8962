/** Whatever becomes of the rig's own processes, no QEMU stays behind. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, onTestFinished, test } from 'vitest';
import { repositoryPath } from '../../src/config/paths.ts';

const LONGEST_BOOT_MS = 60_000;
const GONE_WITHIN_MS = 5000;

/** QEMUs of the run that this main process started: its id is in the name of their artifacts' folder. */
function qemusOf(main: ChildProcess): string[] {
  const mark = `-${String(main.pid)}/`;
  return readdirSync('/proc').filter((entry) => {
    if (!/^\d+$/.test(entry)) return false;
    try {
      const command = readFileSync(`/proc/${entry}/cmdline`, 'utf8');
      return command.includes('qemu-system') && command.includes(mark);
    } catch {
      return false; // It has just ended.
    }
  });
}

async function until(condition: () => boolean, milliseconds: number): Promise<boolean> {
  const end = performance.now() + milliseconds;
  while (!condition()) {
    if (performance.now() > end) return false;
    await sleep(50);
  }
  return true;
}

async function runWithVm(): Promise<ChildProcess> {
  const args = ['run', 'smoke', '--filter', 'dma-bits 32 keeps', '--dma-bits', '32'];
  const main = spawn(repositoryPath('dgpu-rig'), args, { stdio: 'ignore' });
  onTestFinished(() => {
    main.kill('SIGKILL');
  });
  expect(await until(() => qemusOf(main).length > 0, LONGEST_BOOT_MS), 'a VM is started').toBe(true);
  return main;
}

describe('no QEMU stays behind', () => {
  test.for([0, 700, 3000])('when the rig is killed %i ms after starting one', async (delay) => {
    const main = await runWithVm();
    await sleep(delay);
    main.kill('SIGKILL');
    await once(main, 'exit');
    expect(await until(() => qemusOf(main).length === 0, GONE_WITHIN_MS)).toBe(true);
  });

  test.for([0, 1000, 4000])('when the rig is interrupted %i ms after starting one, and says so', async (delay) => {
    const main = await runWithVm();
    await sleep(delay);
    const exited = once(main, 'exit');
    main.kill('SIGINT');
    expect(await exited).toEqual([130, null]);
    expect(qemusOf(main)).toEqual([]);
  });
});
