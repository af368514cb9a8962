/**
 * `dgpu-rig gdb`: gdb on the kernel of a fresh VM, with its symbols, those of the driver, and the kernel's own commands
 * (lx-…).
 */
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { execa } from 'execa';
import { z } from 'zod';
import { installCommand } from '../../builds/debian/host-packages.ts';
import type { KernelBuild } from '../../builds/kernel/kernel-build.ts';
import { prepareRun } from '../../plan/prepare-run.ts';
import { RigError } from '../../util/rig-error.ts';
import { temporaryFolder } from '../../util/temporary-folder.ts';
import { withDeskVm } from './desk-vm.ts';
import type { DeskOptions } from '../options/option-table.ts';
import { deskRequest } from '../options/run-request.ts';
import type { Session } from '../session.ts';

export interface GdbOptions extends DeskOptions {
  readonly driver: boolean;
}

/** More arguments are gdb's own, and the exit code is that of gdb. */
export async function gdbVerb(more: readonly string[], given: GdbOptions, session: Session): Promise<number> {
  await checkGdb();
  const { progress } = session;
  // Without debug information gdb could show nothing.
  const options = { ...given, debugInfo: true };
  const rig = await prepareRun(await deskRequest(options, session));
  const loadsDriver = options.driver && !rig.build.kernel.unpatched;
  return withDeskVm(rig, { name: 'gdb', keep: options.keep }, session, async (vm) => {
    if (loadsDriver) await vm.exec('modprobe edgpu');
    const folder = await temporaryFolder('gdb');
    try {
      const socket = path.join(folder, 'stub');
      await vm.qmp('human-monitor-command', { 'command-line': stubCommand(socket) }, z.string());
      progress.print(
        'The guest stands still until gdb says "continue"; leaving gdb ends it. "./dgpu-rig shell --vm" gets into it.',
      );
      progress.stop();
      return await runDebugger('gdb', gdbArguments(rig.build.kernel, socket, more), session.signal);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
}

/** The command for QEMU's monitor that opens the socket for gdb. */
function stubCommand(socket: string): string {
  return `gdbserver unix:${socket},server=on,wait=off`;
}

export function gdbArguments(
  { folder, vmlinux, debugModules }: Pick<KernelBuild, 'folder' | 'vmlinux' | 'debugModules'>,
  socket: string,
  more: readonly string[],
): string[] {
  const quoted = (text: string): string => `"${text.replaceAll(/["\\]/g, '\\$&')}"`;
  return [
    '-q',
    // vmlinux-gdb.py lies beside vmlinux, and gdb runs only what it is told to trust.
    ...['-iex', `add-auto-load-safe-path ${folder}`, '-iex', 'set confirm off', '-iex', 'set pagination off'],
    ...['-ex', `file ${quoted(vmlinux)}`, '-ex', `target remote ${socket}`],
    // Symbols are loaded now, and whenever a module is loaded.
    ...(debugModules === undefined ? [] : ['-ex', `lx-symbols ${debugModules}`]),
    ...more,
  ];
}

/**
 * Ctrl-C is for the debugger: it stops what that does, not the rig. What else ends the rig ends the debugger, too, by
 * SIGHUP: upon a SIGTERM gdb prints a KeyboardInterrupt of its Python.
 */
export async function runDebugger(
  program: string,
  args: readonly string[],
  signal: AbortSignal,
  env: Readonly<Record<string, string>> = {},
): Promise<number> {
  const interrupts = process.listeners('SIGINT');
  const ignore = (): void => undefined;
  for (const listener of interrupts) process.off('SIGINT', listener);
  process.on('SIGINT', ignore);
  try {
    const { exitCode } = await execa(program, args, {
      ...{ stdio: 'inherit', reject: false, cancelSignal: signal, killSignal: 'SIGHUP', env },
    });
    signal.throwIfAborted();
    return exitCode ?? 1;
  } finally {
    process.off('SIGINT', ignore);
    for (const listener of interrupts) process.on('SIGINT', listener);
  }
}

async function checkGdb(): Promise<void> {
  const { failed, stdout } = await execa('gdb', ['-nx', '-batch', '-ex', 'python print("snake")'], { reject: false });
  if (!failed && stdout.includes('snake')) return;
  throw new RigError('infrastructure', 'There is no gdb with Python on this machine.', {
    remedy: installCommand(['gdb']),
  });
}
