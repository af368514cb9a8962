/** Where things are: the repository that this code belongs to, and the cache that holds everything built from it. */

import { homedir } from 'node:os';
import path from 'node:path';

export const REPOSITORY_ROOT = path.resolve(import.meta.dirname, '../..');

/** A path inside the repository, from its segments. */
export function repositoryPath(...segments: readonly string[]): string {
  return path.join(REPOSITORY_ROOT, ...segments);
}

/** Read anew on every call, so that a test (or CI) can point the whole rig at a cache of its own. */
export function cacheDirectory(env: NodeJS.ProcessEnv = process.env): string {
  const own = env['DGPU_RIG_CACHE'];
  if (own) return path.resolve(own);
  const xdg = env['XDG_CACHE_HOME'];
  // The XDG specification: a relative path is invalid and must be ignored.
  const base = xdg && path.isAbsolute(xdg) ? xdg : path.join(homedir(), '.cache');
  return path.join(base, 'dgpu-rig');
}
