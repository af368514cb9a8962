/** Runs one command of a build in a process group of its own: logged, watched line by line, ended as a whole. */

import { createWriteStream } from 'node:fs';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { finished } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { execa } from 'execa';
import type { Result } from 'execa';

import { repositoryPath } from '../../config/paths.ts';
import { onAbort } from '../../util/on-abort.ts';
import { RigError, type FailureClass } from '../../util/rig-error.ts';
import { signalProcess } from '../../util/signal-process.ts';
import { buildEnvironment } from './build-environment.ts';
import { heldLock } from '../../cache/build-lock.ts';

interface BuildCommand {
  /** What the command is for, as the sentence "… failed" names it. */
  readonly what: string;
  readonly argv: readonly [string, ...string[]];
  readonly cwd: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Output goes to the end of this file. */
  readonly log: string;
  readonly signal: AbortSignal;
  readonly onLine?: (line: string) => void;
  /**
   * A file that exists for as long as the command runs, and stays when the command could not end in its own way (it had
   * to be killed, or the rig itself was): make and ninja remove half-written targets, but only when they are allowed
   * to.
   */
  readonly dirtyMarker?: string;
  /**
   * The file that a person edits, by the name under which it is compiled: an error in it is theirs to correct.
   * Undefined for any other file.
   */
  readonly editedFile?: (name: string) => string | undefined;
  /** Between SIGTERM and SIGKILL, and from there to giving up. */
  readonly graceMs?: number;
}

/** Time for make to delete what it was writing. */
const GRACE_MS = 5000;

export async function runBuildCommand(command: BuildCommand): Promise<void> {
  command.signal.throwIfAborted();
  await mkdir(path.dirname(command.log), { recursive: true });
  const log = createWriteStream(command.log, { flags: 'a' });
  // A full disk must not end the rig by an unhandled 'error' event; the command will notice it, too.
  log.on('error', () => undefined);
  log.write(`$ cd ${command.cwd} && ${command.argv.join(' ')}\n`);
  if (command.dirtyMarker !== undefined) await writeFile(command.dirtyMarker, command.argv.join(' '));
  const { exitCode, killed, reason } = await superviseProcess(command, (line) => {
    log.write(`${line}\n`);
    command.onLine?.(line);
  });
  log.end();
  await finished(log).catch(() => undefined);
  if (command.dirtyMarker !== undefined && !killed) await rm(command.dirtyMarker, { force: true });
  command.signal.throwIfAborted();
  if (exitCode !== 0) throw await commandError(command, reason);
}

interface Ending {
  readonly exitCode: number | undefined;
  readonly killed: boolean;
  readonly reason: string;
}

async function superviseProcess(command: BuildCommand, onLine: (line: string) => void): Promise<Ending> {
  // The parent-death signal ends the command even when the rig dies by SIGKILL. A group of its own (detached) keeps the
  // terminal's Ctrl-C from it, and lets us end make together with its compilers.
  const lock = heldLock();
  const child = execa('setpriv', ['--pdeathsig', 'TERM', '--', ...command.argv], {
    cwd: command.cwd,
    env: buildEnvironment(command.env),
    extendEnv: false,
    detached: true,
    // Nobody else is to touch the tree before the last compiler of a rig that was killed has let go of it.
    stdio: ['ignore', 'pipe', 'pipe', ...(lock === undefined ? [] : [lock])],
    all: true,
    buffer: false,
    reject: false,
  });
  const { graceMs = GRACE_MS } = command;
  const timers: NodeJS.Timeout[] = [];
  const ending = { killed: false };
  let giveUp: () => void = () => undefined;
  const givenUp = new Promise<undefined>((resolve) => (giveUp = (): void => resolve(undefined)));
  const terminate = (): void => {
    signalGroup(child.pid, 'SIGTERM');
    const kill = (): void => {
      ending.killed = true;
      signalGroup(child.pid, 'SIGKILL');
    };
    // What is stuck in the host's kernel survives that, and keeps the output open: it is not waited for.
    const leave = (): void => {
      giveUp();
      child.all.destroy();
    };
    timers.push(setTimeout(kill, graceMs), setTimeout(leave, 2 * graceMs));
  };
  const stopListening = onAbort(command.signal, terminate);
  try {
    const followed = async (): Promise<Awaited<typeof child>> => {
      for await (const line of child.iterable({ from: 'all' })) onLine(line);
      return child;
    };
    const result = await Promise.race([followed(), givenUp]);
    if (command.signal.aborted && child.pid !== undefined && (await outliveSession(child.pid, graceMs / 5))) {
      ending.killed = true;
    }
    return {
      exitCode: result?.exitCode,
      killed: ending.killed || result?.signal === 'SIGKILL',
      reason: result ? endingOf(result) : 'it does not end',
    };
  } finally {
    timers.forEach(clearTimeout);
    stopListening();
  }
}

function endingOf(result: Pick<Result, 'exitCode' | 'signal' | 'code'>): string {
  if (result.exitCode !== undefined) return `exit code ${result.exitCode}`;
  return result.signal ?? result.code ?? 'could not be started';
}

function signalGroup(pid: number | undefined, signal: NodeJS.Signals): void {
  if (pid !== undefined) signalProcess(-pid, signal);
}

/**
 * ninja gives each compiler a group of its own; what they all share is the session. They have had their signal when
 * ninja ends, but on a busy machine it may take them a moment to die of it. True when some had to be killed.
 */
async function outliveSession(session: number, graceMs: number): Promise<boolean> {
  let killed = false;
  for (let waited = 0; ; waited += SESSION_POLL_MS) {
    const members = await sessionMembers(session);
    if (members.length === 0) return killed;
    killed = waited >= graceMs;
    // One that is stuck in the host's kernel is not waited for.
    if (waited >= 10 * graceMs) return true;
    if (killed) for (const pid of members) signalProcess(pid, 'SIGKILL');
    await sleep(SESSION_POLL_MS);
  }
}

const SESSION_POLL_MS = 20;

async function sessionMembers(session: number): Promise<number[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const stats = await Promise.all(pids.map(async (pid) => readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')));
  return stats.flatMap((stat, index) => {
    // proc(5): the name may hold anything, so the fields are counted from its closing bracket: state, parent, group,
    // session.
    const [state, , , owner] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return Number(owner) === session && state !== 'Z' ? [Number(pids[index])] : [];
  });
}

const TAIL_LINES = 12;

/** What a compiler says of an error: ninja prints the whole command before it. */
const COMPILER_ERROR = /^[^\s:]+(?::\d+)+: (?:fatal )?error:/i;

/** The first line that names an error says more than the last, which is mostly make's own farewell. */
const ERROR_LINE = /(?:\berror:|\*\*\*|^E: |FAILED:|No space left)/i;

/** What make says once a command has failed. */
const MAKE_LINE = /^make(?:\[\d+\])?: /;

/** What a compiler says of a place in a file. */
const PLACE = /^([^\s:]+)(?=:\d+:)/;

/** A command of a build that failed: by what it was given, or by a disk that is full. */
export class BuildFailure extends RigError {
  readonly fullDisk: boolean;

  constructor(
    failureClass: FailureClass,
    message: string,
    fullDisk: boolean,
    options: ConstructorParameters<typeof RigError>[2],
  ) {
    super(failureClass, message, options);
    this.fullDisk = fullDisk;
  }
}

async function commandError(
  { what, log, editedFile = () => undefined }: BuildCommand,
  reason: string,
): Promise<RigError> {
  const lines = (await readFile(log, 'utf8').catch(() => '')).trimEnd().split('\n');
  const start = lines.findLastIndex((line) => line.startsWith('$ '));
  const own = lines.slice(start + 1);
  const compilerError = own.findIndex((line) => COMPILER_ERROR.test(line));
  const firstError = compilerError >= 0 ? compilerError : own.findIndex((line) => ERROR_LINE.test(line));
  const error = own[firstError] ?? '';
  const rest = MAKE_LINE.test(error) ? own : own.filter((line, index) => index < firstError || !MAKE_LINE.test(line));
  const excerpt = firstError >= 0 ? rest.slice(firstError, firstError + TAIL_LINES) : own.slice(-TAIL_LINES);
  const shown = excerpt.map((line) => `  ${line.replace(PLACE, (file) => shownName(editedFile(file)) ?? file)}`);
  const full = own.some((line) => line.includes('No space left on device'));
  const mistaken = editedFile(PLACE.exec(error)?.[0] ?? '') !== undefined;
  const message = `${what} failed (${reason}):\n${shown.join('\n')}`;
  return new BuildFailure(mistaken ? 'usage' : 'infrastructure', message, full, {
    remedy: full ? 'Free some disk space, or point DGPU_RIG_CACHE at a larger disk.' : `The whole output is in ${log}`,
  });
}

/** As an editor finds it. */
function shownName(file: string | undefined): string | undefined {
  if (file === undefined) return undefined;
  const name = path.relative(repositoryPath(), file);
  return name.startsWith('..') ? file : name;
}
