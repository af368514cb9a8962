// SPDX-License-Identifier: GPL-2.0
/*
 * Buffer objects: what all who use them have to know. How they come to be, and are
 * mapped: edgpu_gem.c.
 */

#include <linux/dma-resv.h>
#include <linux/slab.h>

#include <drm/drm_gem.h>
#include <drm/drm_prime.h>
#include <drm/ttm/ttm_placement.h>
#include <drm/ttm/ttm_tt.h>

#include "edgpu_bo.h"
#include "edgpu_drv.h"
#include "edgpu_file.h"
#include "edgpu_vram.h"

/**
 * edgpu_bo_destroy() - free an object, with the last reference gone
 * @tbo: the object, of edgpu_gem.c
 */
void edgpu_bo_destroy(struct ttm_buffer_object *tbo)
{
	if (drm_gem_is_imported(&tbo->base))
		drm_prime_gem_destroy(&tbo->base, tbo->sg);
	drm_gem_object_release(&tbo->base);
	edgpu_file_put(to_edgpu_bo(tbo)->owner);
	kfree(to_edgpu_bo(tbo)->devmem);
	kfree(to_edgpu_bo(tbo));
}

/**
 * edgpu_bo_is_ours() - tell an object of ours from a ghost of TTM's
 * @bo: the object
 *
 * Return: true if it is within a struct edgpu_bo.
 */
bool edgpu_bo_is_ours(struct ttm_buffer_object *bo)
{
	return bo->destroy == edgpu_bo_destroy;
}

/**
 * edgpu_bo_note_errors() - keep the errors of jobs that are done
 * @bo: the object, locked
 *
 * And note whether a reset has cost it its content in VRAM.
 *
 * The reservation object drops fences that have signalled whenever it needs
 * their place, and their errors with them. So this is called before that.
 */
void edgpu_bo_note_errors(struct edgpu_bo *bo)
{
	struct ttm_resource *res = bo->base.resource;
	struct dma_resv_iter cursor;
	struct dma_fence *fence;

	if (res && res->mem_type == TTM_PL_VRAM &&
	    edgpu_vram_lost(ttm_to_edgpu(bo->base.bdev), res))
		bo->error = -EIO;

	dma_resv_for_each_fence(&cursor, bo->base.base.resv,
				DMA_RESV_USAGE_BOOKKEEP, fence) {
		int status = dma_fence_get_status(fence);

		if (status < 0)
			bo->error = status;
	}
}

/**
 * edgpu_bo_is_populated() - whether an object is in memory
 * @bo: the object, locked
 *
 * Return: true if it is in VRAM, or has pages in system memory.
 */
bool edgpu_bo_is_populated(struct ttm_buffer_object *bo)
{
	if (bo->resource && bo->resource->mem_type == TTM_PL_VRAM)
		return true;
	return bo->ttm && ttm_tt_is_populated(bo->ttm);
}

/**
 * edgpu_bo_make_visible() - have an object where the CPU can see it
 * @bo: the object, locked
 *
 * Return: 0 or a negative error code.
 */
int edgpu_bo_make_visible(struct ttm_buffer_object *bo)
{
	struct edgpu_device *edgpu = ttm_to_edgpu(bo->bdev);
	struct ttm_operation_ctx ctx = {
		.interruptible = true,
		.gfp_retry_mayfail = true,
	};
	struct edgpu_placement placement;

	if (bo->resource->mem_type != TTM_PL_VRAM)
		return 0;
	if (READ_ONCE(edgpu->wedged))
		return -EIO;
	if (edgpu_vram_visible(bo->resource))
		return 0;

	edgpu_bo_note_errors(to_edgpu_bo(bo));
	edgpu_placement_visible(edgpu, &placement);
	return ttm_bo_validate(bo, &placement.base, &ctx);
}
