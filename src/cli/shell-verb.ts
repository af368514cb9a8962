/** `dgpu-rig shell`: an interactive shell in a fresh VM, which ends with it. */
import path from 'node:path';
import { loadMachineProfile } from '../config/machine-profile.ts';
import { prepareRun } from '../suite/run-context.ts';
import { GPU_MEMORY } from '../suite/gpu.ts';
import { RigError } from '../util/rig-error.ts';
import { Vm } from '../vm/vm.ts';
import { runRequest, type MachineOptions } from './run-options.ts';
import type { Session } from './session.ts';

export async function shellVerb(options: MachineOptions, session: Session): Promise<number> {
  if (!process.stdin.isTTY) throw new RigError('usage', 'dgpu-rig shell needs a terminal.');
  const { progress, signal } = session;
  const rig = await prepareRun(runRequest(options, session));
  const { machine, dmaBits } = rig.selection;
  const vm = await Vm.boot({
    profile: await loadMachineProfile(machine),
    accelerator: rig.accelerator,
    software: rig.build,
    gpu: { dmaBits: dmaBits[0] ?? 32, ...GPU_MEMORY },
    folder: path.join(rig.artifacts, 'shell'),
    signal,
  });
  progress.print('In the guest. "modprobe edgpu" loads the driver; leaving the shell ends the VM.');
  progress.stop();
  try {
    await attachTerminal(vm);
  } finally {
    await vm.end({ keep: options.keep, verdict: { status: 'passed' } });
  }
  return 0;
}

async function attachTerminal(vm: Vm): Promise<void> {
  const { stdin, stdout } = process;
  const channel = await vm
    .session()
    .shell({ rows: stdout.rows, cols: stdout.columns, term: process.env['TERM'] ?? 'vt100' });
  const resize = (): void => channel.setWindow(stdout.rows, stdout.columns, 0, 0);
  stdout.on('resize', resize);
  stdin.setRawMode(true);
  stdin.pipe(channel);
  channel.pipe(stdout, { end: false });
  try {
    await new Promise<void>((resolve, reject) => {
      channel.once('close', () => resolve());
      vm.signal.addEventListener('abort', () => reject(vm.explain(vm.signal.reason)), { once: true });
    });
  } finally {
    stdin.setRawMode(false);
    stdin.unpipe(channel);
    stdin.pause();
    stdout.off('resize', resize);
  }
}
