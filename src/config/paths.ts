/** Where things are: the repository that this code belongs to, and the cache that holds everything built from it. */

import path from 'node:path';

import { cacheDirectory, REPOSITORY_ROOT } from './places.js';

export { cacheDirectory, REPOSITORY_ROOT } from './places.js';

/** A path inside the repository, from its segments. */
export function repositoryPath(...segments: readonly string[]): string {
  return path.join(REPOSITORY_ROOT, ...segments);
}

/** Where runs are recorded; `DGPU_RIG_HISTORY` names another folder, for a CI that keeps it elsewhere. */
export function historyFolder(env: NodeJS.ProcessEnv = process.env): string {
  return env['DGPU_RIG_HISTORY'] ?? path.join(cacheDirectory(), 'history');
}

/** What runs leave, a folder each. */
export function artifactsFolder(): string {
  return repositoryPath('artifacts');
}

/** Of the kernel as a repository: beside ours and not in it, where every tool would walk through it. */
export const EDITABLE_FOLDER = path.resolve(REPOSITORY_ROOT, '../dgpu-rig-linux');
