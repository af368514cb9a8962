/** Which sources of a kernel's drivers a change of TTM, or of GEM's helpers, can break. */

import path from 'node:path';
import { execa } from 'execa';

import { DRIVER_GRAFT } from '../builds/kernel/kernel-build.ts';

/** What is TTM's, a helper's on top of it, or what the series adds to GEM. */
const NAMES = String.raw`\b(ttm_|TTM_|drm_gem_vram_|drm_gem_ttm_|drm_gem_object_limit_dma)`;

/** Those of tests are often included in others; TTM itself and our driver are built anyway. */
const EXCLUDED = ['tests', 'selftests', 'ttm', path.basename(DRIVER_GRAFT.to)];

/** By the paths that make knows them by: what amdgpu has in other folders, from there. */
export async function ttmUsers(tree: string): Promise<string[]> {
  const options = ['-rlE', '--include=*.c', ...EXCLUDED.map((name) => `--exclude-dir=${name}`)];
  const { stdout } = await execa('grep', [...options, NAMES, 'drivers/gpu/drm'], { cwd: tree });
  return stdout
    .split('\n')
    .map((file) => file.replace(/\/amd\/(?!amdgpu\/)/, '/amd/amdgpu/../'))
    .sort();
}
