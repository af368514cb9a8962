/**
 * `dgpu-rig shell`: a shell or one command in a fresh VM, which ends with it, or in a running one; files go in before
 * and come out after.
 */
import { access } from 'node:fs/promises';
import path from 'node:path';
import type { Readable } from 'node:stream';
import { checkPlaceInUserland } from '../../plan/programs.ts';
import { prepareRun } from '../../plan/prepare-run.ts';
import { orAbort } from '../../util/on-abort.ts';
import { EXIT_CODES, RigError } from '../../util/rig-error.ts';
import { sshAddressOf, type RunningVm } from '../../vm/link/door.ts';
import { getFiles, putFiles } from '../../vm/link/file-transfer.ts';
import { prepareUserland, USERLAND_SHELL, userlandSession } from '../../vm/link/userland.ts';
import { SshSession } from '../../vm/link/ssh-session.ts';
import { timeLimits } from '../../vm/time-limits.ts';
import { askedVm, withDeskVm } from './desk-vm.ts';
import type { Options, SHELL_OPTIONS } from '../options/option-table.ts';
import { deskRequest } from '../options/run-request.ts';
import type { Session } from '../session.ts';
import { joinTerminal } from './terminal.ts';

export interface ShellOptions extends Options<(typeof SHELL_OPTIONS)[number]> {
  /** A running VM; `true` is the only one there is. */
  readonly vm?: string | true;
}

/** The exit code is that of the command; of a new VM whose kernel reported a bug, it is that of a kernel bug. */
export async function shellVerb(command: readonly string[], options: ShellOptions, session: Session): Promise<number> {
  const { put = [], get = [] } = options;
  const running = await askedVm(options);
  if (command.length === 0 && !process.stdin.isTTY && put.length + get.length === 0) {
    throw new RigError('usage', '"shell" needs a terminal, or a command to run.', {
      remedy: "For example: ./dgpu-rig shell -- 'modprobe edgpu && edgpu-stress info'",
    });
  }
  await checkTransfers(options);
  if (running) return inRunningVm(running, command, options, session);
  const { progress } = session;
  const rig = await prepareRun(await deskRequest(options, session));
  return withDeskVm(rig, { name: 'shell', keep: options.keep }, session, async (fresh) => {
    if (command.length === 0) progress.print('"modprobe edgpu" loads the driver; leaving the shell ends the VM.');
    progress.stop();
    try {
      if (rig.userland !== undefined) await prepareUserland(fresh);
      const request = { command, put, get, inUserland: rig.userland !== undefined };
      const exitCode = await work(fresh.session(), request, fresh.signal);
      // The console may be behind the command; a person may have switched the guest off.
      await fresh.hearKernelOut().catch((error: unknown) => {
        if (command.length > 0) throw error;
      });
      return fresh.kernelReports.some(({ severity }) => severity === 'bug') ? EXIT_CODES.kernel : exitCode;
    } catch (error) {
      throw error instanceof RigError && error.failureClass === 'usage' ? error : fresh.explain(error);
    }
  });
}

/** Refuses missing files, and places that are read-only, before a VM is booted. */
async function checkTransfers({ put = [], rootfs, install }: ShellOptions): Promise<void> {
  for (const { from, to } of put) {
    await access(from).catch((cause: unknown) => {
      throw new RigError('usage', `${from} can't be put into the guest: there is no such file.`, { cause });
    });
    if (rootfs !== undefined || install !== undefined) checkPlaceInUserland({ from, to });
  }
}

async function inRunningVm(
  vm: RunningVm,
  command: readonly string[],
  { put = [], get = [] }: ShellOptions,
  { progress, signal }: Session,
): Promise<number> {
  const address = await sshAddressOf(vm);
  if (!address) {
    throw new RigError('usage', `The VM ${path.basename(vm.folder)} has no SSH server yet: it is booting.`, {
      remedy: `Try again in a moment; ./dgpu-rig console --vm ${String(vm.pid)} shows what it does.`,
    });
  }
  const ssh = await SshSession.connect(address, { signal, deadlineMs: timeLimits('tcg', 'plain').sshConnect });
  progress.stop();
  try {
    return await work(ssh, { command, put, get, inUserland: false }, signal);
  } finally {
    ssh.close();
  }
}

interface Work extends Required<Pick<ShellOptions, 'put' | 'get'>> {
  /** None: a person at a terminal. */
  readonly command: readonly string[];
  readonly inUserland: boolean;
}

async function work(ssh: SshSession, { command, put, get, inUserland }: Work, signal: AbortSignal): Promise<number> {
  const session = inUserland ? userlandSession(ssh) : ssh;
  for (const { from, to } of put) await putFiles(session, from, to, signal);
  let exitCode = 0;
  if (command.length > 0) exitCode = await runCommand(session, command.join(' '), signal);
  else if (process.stdin.isTTY) exitCode = await interact(ssh, inUserland ? USERLAND_SHELL : undefined, signal);
  for (const { from, to } of get) await getFiles(session, from, to, signal);
  return exitCode;
}

/** Ends when the shell is left, with its exit code. */
async function interact(ssh: SshSession, command: string | undefined, signal: AbortSignal): Promise<number> {
  const { rows, columns } = process.stdout;
  const window = { rows, cols: columns, term: process.env['TERM'] ?? 'vt100' };
  const { channel, ended } = await ssh.shell(window, command);
  const onResize = (height: number, width: number): void => channel.setWindow(height, width, 0, 0);
  await joinTerminal(channel, { onResize, signal });
  return (await ended) ?? KILLED;
}

/** Runs a command as ssh does it, with the caller's streams. */
export async function runCommand(ssh: Pick<SshSession, 'open'>, command: string, signal: AbortSignal): Promise<number> {
  const { channel, ended } = await ssh.open(command);
  const stderr: Readable = channel.stderr;
  channel.pipe(process.stdout, { end: false });
  stderr.pipe(process.stderr, { end: false });
  if (process.stdin.isTTY) channel.end();
  else process.stdin.pipe(channel);
  try {
    // A guest that is dead does not answer when the channel is closed.
    return (await orAbort(ended, signal)) ?? KILLED;
  } finally {
    channel.destroy();
  }
}

/** The exit code for a command that a signal ended, which has none. */
const KILLED = 128;
