/** `dgpu-rig console`: the serial port of a fresh VM, with a shell on it, or of a running one. */
import { setTimeout as sleep } from 'node:timers/promises';
import { prepareRun } from '../../plan/prepare-run.ts';
import { RigError } from '../../util/rig-error.ts';
import { consoleOf, runningVms, type RunningVm } from '../../vm/link/door.ts';
import { SHELL_ON_CONSOLE } from '../../vm/qemu/command-line.ts';
import { askedVm, withDeskVm } from './desk-vm.ts';
import type { DeskOptions } from '../options/option-table.ts';
import { deskRequest } from '../options/run-request.ts';
import type { Session } from '../session.ts';
import { joinTerminal, LEAVE_KEY } from './terminal.ts';

export interface ConsoleOptions extends DeskOptions {
  /** A running VM; `true` is the only one there is. */
  readonly vm?: string | true;
}

export async function consoleVerb(options: ConsoleOptions, session: Session): Promise<number> {
  const running = await askedVm(options);
  if (!process.stdin.isTTY) {
    throw new RigError('usage', '"console" needs a terminal.', {
      remedy: 'What a VM said is in serial.log in its folder, which --keep keeps.',
    });
  }
  if (running) {
    await attach(running, session.signal, session);
    return 0;
  }
  const rig = await prepareRun(await deskRequest(options, session));
  const { keep } = options;
  return withDeskVm(rig, { name: 'console', keep, kernelArgs: [SHELL_ON_CONSOLE] }, session, async (vm) => {
    await attach(await doorOf(vm.pid), vm.signal, session);
    return 0;
  });
}

async function attach(vm: RunningVm, signal: AbortSignal, { progress }: Session): Promise<void> {
  progress.print('Ctrl-] leaves the console.');
  progress.stop();
  const stream = await consoleOf(vm);
  await joinTerminal(stream, { leaveKey: LEAVE_KEY, signal });
  stream.destroy();
  process.stdout.write('\r\n');
}

/** The door of a VM that this process runs. */
async function doorOf(pid: number): Promise<RunningVm> {
  for (let tries = 0; tries < 20; tries++) {
    const own = (await runningVms()).find((vm) => vm.pid === pid);
    if (own) return own;
    await sleep(50);
  }
  throw new RigError('infrastructure', 'The VM has no socket that its console could be had by.', {
    remedy: 'Is the folder dgpu-rig-UID in /tmp yours alone?',
  });
}
