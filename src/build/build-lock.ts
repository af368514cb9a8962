/** One rig at a time works on a part of the cache; the others wait, and say for what. */

import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { lock } from 'proper-lockfile';

import { cacheDirectory } from '../config/paths.ts';
import { RigError } from '../util/rig-error.ts';

const POLL_MS = 250;

/** A rig that died without releasing its lock holds up the others for this long. */
const STALE_MS = 20_000;

export interface LockOptions {
  readonly name: string;
  readonly signal: AbortSignal;
  /** Called once, when another rig holds the lock. */
  readonly onWait: () => void;
}

/** Runs `work` under the lock; its signal also aborts when the lock is lost, since another rig may then be at work. */
export async function withBuildLock<T>(
  { name, signal, onWait }: LockOptions,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const file = path.join(cacheDirectory(), 'locks', name);
  await mkdir(path.dirname(file), { recursive: true });
  const lost = new AbortController();
  const onLost = (): void => lost.abort(lostError(name));
  const release = await acquire(file, { signal, onWait, onLost });
  try {
    return await work(AbortSignal.any([signal, lost.signal]));
  } finally {
    // Whoever took it over after a loss will release it.
    await release().catch(() => undefined);
  }
}

interface Acquisition {
  readonly signal: AbortSignal;
  readonly onWait: () => void;
  readonly onLost: () => void;
}

async function acquire(file: string, { signal, onWait, onLost }: Acquisition): Promise<() => Promise<void>> {
  await writeFile(file, '', { flag: 'a' });
  for (let waited = false; ;) {
    signal.throwIfAborted();
    try {
      return await lock(file, { stale: STALE_MS, realpath: false, onCompromised: onLost });
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'ELOCKED')) throw error;
      if (!waited) onWait();
      waited = true;
    }
    // An abort ends the sleep, and is thrown above.
    await sleep(POLL_MS, undefined, { signal }).catch(() => undefined);
  }
}

function lostError(name: string): RigError {
  return new RigError(
    'infrastructure',
    `Another rig took over the lock on ${name}, as this one did not answer for a while.`,
    {
      remedy: 'Run it again.',
    },
  );
}
