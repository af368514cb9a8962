// SPDX-License-Identifier: GPL-2.0
/*
 * Taking system memory from one object, on request: for tests.
 */

#include <linux/dma-resv.h>
#include <linux/mm.h>

#include <drm/drm_gem.h>

#include "edgpu_bo.h"
#include "edgpu_drm.h"
#include "edgpu_drv.h"
#include "edgpu_entry.h"
#include "edgpu_evict.h"
#include "edgpu_tt.h"

static long edgpu_evict_locked(struct edgpu_bo *bo, u64 size)
{
	struct ttm_operation_ctx ctx = { .interruptible = true };

	edgpu_bo_note_errors(bo);
	return edgpu_tt_evict_chunk(&bo->base, &ctx, PAGE_ALIGN(size) >> PAGE_SHIFT);
}

static int edgpu_evict_pages(struct edgpu_device *edgpu, struct edgpu_bo *bo,
			     struct drm_edgpu_gem_evict *args)
{
	long ret;

	ret = ttm_bo_reserve(&bo->base, true, false, NULL);
	if (ret)
		return ret;

	ret = edgpu_evict_locked(bo, args->size);
	if (ret >= 0) {
		args->size = (u64)ret << PAGE_SHIFT;
		args->evicted = (u64)edgpu_evicted(bo->base.ttm) << PAGE_SHIFT;
		atomic_long_add(ret, &edgpu->counters.evicted_pages);
	}
	ttm_bo_unreserve(&bo->base);
	return min(ret, 0L);
}

int edgpu_gem_evict_ioctl(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct edgpu_device *edgpu = to_edgpu(drm);
	struct drm_edgpu_gem_evict *args = data;
	struct drm_gem_object *gem;
	struct edgpu_entry entry;
	int ret = -EINVAL;

	gem = drm_gem_object_lookup(file, args->handle);
	if (!gem)
		return -ENOENT;
	if (args->pad || args->size > gem->size)
		goto out_put;

	ret = edgpu_enter(edgpu, &entry);
	if (ret)
		goto out_put;
	ret = edgpu_evict_pages(edgpu, gem_to_edgpu_bo(gem), args);
	edgpu_exit(edgpu, &entry);

out_put:
	drm_gem_object_put(gem);
	return ret;
}
