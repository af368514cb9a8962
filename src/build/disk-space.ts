/** Refuses early what would fill the disk half-way. */

import { mkdir, statfs } from 'node:fs/promises';

import { cacheDirectory } from '../config/paths.ts';
import { RigError } from '../util/rig-error.ts';

const GIB = 2 ** 30;

export async function requireSpace(neededGiB: number, what: string): Promise<void> {
  const folder = cacheDirectory();
  await mkdir(folder, { recursive: true });
  const { bavail, bsize } = await statfs(folder);
  const free = (bavail * bsize) / GIB;
  if (free >= neededGiB) return;
  throw new RigError(
    'infrastructure',
    `${what} needs ${neededGiB} GiB in ${folder}, which has ${free.toFixed(1)} GiB free`,
    {
      remedy: 'free some space, or point DGPU_RIG_CACHE at a larger disk',
    },
  );
}
