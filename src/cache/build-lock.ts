/**
 * One rig at a time works on a part of the cache; the others wait, and say for what. The lock is the kernel's (flock),
 * so it ends with whoever holds it, however that dies: the rig, and the commands of its build, which inherit it.
 */

import { AsyncLocalStorage } from 'node:async_hooks';
import { mkdir, open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import path from 'node:path';
import { execa } from 'execa';

import { cacheDirectory } from '../config/paths.ts';
import { RigError } from '../util/rig-error.ts';

interface LockOptions {
  readonly name: string;
  readonly signal: AbortSignal;
  /** Called once, when another rig holds the lock. */
  readonly onWait: () => void;
}

const held = new AsyncLocalStorage<FileHandle>();

/** For the commands of a build: the open file whose lock they are to share, if they run under one. */
export function heldLock(): Descriptor | undefined {
  return held.getStore()?.fd as Descriptor | undefined;
}

/** Any number does: execa's types know only the first few. */
type Descriptor = 3;

export async function withBuildLock<T>(
  { name, signal, onWait }: LockOptions,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const target = lockFile(name);
  await mkdir(path.dirname(target), { recursive: true });
  // Closed on exec, as all that Node opens: only those it is given to have it, too.
  const file = await open(target, 'a');
  try {
    if (!(await lock(file, ['--nonblock'], signal))) {
      onWait();
      await lock(file, [], signal);
    }
    return await held.run(file, work, signal);
  } finally {
    await file.close();
  }
}

function lockFile(name: string): string {
  return path.join(cacheDirectory(), 'locks', name);
}

/** What flock(1) answers when it must not wait and would have to. */
const WOULD_WAIT = 75;

/** The lock belongs to the open file, not to the process that asked for it. */
async function lock(file: FileHandle, options: readonly string[], signal: AbortSignal): Promise<boolean> {
  signal.throwIfAborted();
  // Node has no flock(2); its child has, and shares the open file as number 3.
  const argv = ['--pdeathsig', 'KILL', '--', 'flock', '--conflict-exit-code', String(WOULD_WAIT), ...options, '3'];
  const result = await execa('setpriv', argv, {
    stdio: ['ignore', 'ignore', 'pipe', file.fd as Descriptor],
    reject: false,
    cancelSignal: signal,
  });
  signal.throwIfAborted();
  if (result.exitCode === 0) return true;
  if (result.exitCode === WOULD_WAIT) return false;
  throw new RigError('infrastructure', `The cache can't be locked: ${result.stderr || result.shortMessage}`, {
    remedy: 'Point DGPU_RIG_CACHE at a disk whose file system knows file locks.',
  });
}
