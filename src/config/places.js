/**
 * Where the repository and the cache are. JavaScript, since the first checks of a machine need them before there is
 * anything to run TypeScript with.
 */

import { homedir } from 'node:os';
import path from 'node:path';

export const REPOSITORY_ROOT = path.resolve(import.meta.dirname, '../..');

/**
 * Read anew on every call, so that a test (or CI) can point the whole rig at a cache of its own.
 * @param {Readonly<Record<string, string | undefined>>} env
 */
export function cacheDirectory(env = process.env) {
  const own = env['DGPU_RIG_CACHE'];
  if (own) return path.resolve(own);
  const xdg = env['XDG_CACHE_HOME'];
  // The XDG specification: a relative path is invalid and must be ignored.
  const base = xdg && path.isAbsolute(xdg) ? xdg : path.join(homedir(), '.cache');
  return path.join(base, 'dgpu-rig');
}
