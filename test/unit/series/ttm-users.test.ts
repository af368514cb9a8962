import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';

import { ttmUsers } from '../../../src/series/ttm-users.ts';

async function treeWith(files: Readonly<Record<string, string>>): Promise<string> {
  const tree = await mkdtemp(path.join(tmpdir(), 'dgpu-rig-test-'));
  onTestFinished(() => rm(tree, { recursive: true, force: true }));
  for (const [name, text] of Object.entries(files)) {
    const file = path.join(tree, 'drivers/gpu/drm', name);
    await mkdir(path.dirname(file), { recursive: true });
    await writeFile(file, text);
  }
  return tree;
}

test('files that use TTM are named as make knows them, and no others', async () => {
  const tree = await treeWith({
    'amd/amdgpu/amdgpu_vm.c': 'ret = ttm_bo_populate(bo, &ctx);\n',
    'amd/amdkfd/kfd_svm.c': '\t.mem_type = TTM_PL_TT,\n',
    'etnaviv/etnaviv_gem.c': '\tret = drm_gem_object_limit_dma(obj);\n',
    'vboxvideo/vbox_mode.c': '\tdrm_gem_vram_pin(gbo, 0);\n',
    'edgpu/edgpu_bo.c': 'ttm_bo_put(bo);\n',
    'lima/lima_gem.c': '\tmapping_set_gfp_mask(mapping, mask); /* no attm_ */\n',
    'qxl/qxl_object.h': 'ttm_bo_put(bo);\n',
    'ttm/ttm_bo.c': 'ttm_bo_put(bo);\n',
    'xe/tests/xe_bo.c': 'ttm_bo_put(bo);\n',
  });
  expect(await ttmUsers(tree)).toEqual([
    'drivers/gpu/drm/amd/amdgpu/../amdkfd/kfd_svm.c',
    'drivers/gpu/drm/amd/amdgpu/amdgpu_vm.c',
    'drivers/gpu/drm/etnaviv/etnaviv_gem.c',
    'drivers/gpu/drm/vboxvideo/vbox_mode.c',
  ]);
});
