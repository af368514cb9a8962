import { homedir } from 'node:os';
import { expect, test } from 'vitest';

import { cacheDirectory } from '../../../src/config/paths.ts';

test.each([
  [{ DGPU_RIG_CACHE: '/own', XDG_CACHE_HOME: '/xdg' }, '/own'],
  [{ DGPU_RIG_CACHE: 'here' }, `${process.cwd()}/here`],
  [{ DGPU_RIG_CACHE: '', XDG_CACHE_HOME: '/xdg' }, '/xdg/dgpu-rig'],
  [{ XDG_CACHE_HOME: 'relative' }, `${homedir()}/.cache/dgpu-rig`],
  [{}, `${homedir()}/.cache/dgpu-rig`],
])('cache for %j', (env, folder) => expect(cacheDirectory(env)).toBe(folder));
