/** Refuses early what would fail half-way: a cache that may not be written, a disk that is too small. */

import { access, constants, mkdir, statfs } from 'node:fs/promises';

import { cacheDirectory } from '../config/paths.ts';
import { RigError } from '../util/rig-error.ts';

const GIB = 2 ** 30;

/** Makes the cache's folder; the system's error, when that can't be, says more here than at the first file. */
export async function requireCache(): Promise<void> {
  await mkdir(cacheDirectory(), { recursive: true });
  await access(cacheDirectory(), constants.W_OK);
}

export async function requireSpace(neededGiB: number, what: string): Promise<void> {
  const folder = cacheDirectory();
  const { bavail, bsize } = await statfs(folder);
  const free = (bavail * bsize) / GIB;
  if (free >= neededGiB) return;
  throw new RigError(
    'infrastructure',
    `${what} needs ${neededGiB} GiB in ${folder}, which has ${free.toFixed(1)} GiB free.`,
    {
      remedy: 'Free some space, or point DGPU_RIG_CACHE at a larger disk.',
    },
  );
}
