// SPDX-License-Identifier: GPL-2.0
/*
 * The TTM device: its life, and what TTM asks the driver.
 */

#include <drm/drm_managed.h>
#include <drm/drm_print.h>
#include <drm/ttm/ttm_bo.h>
#include <drm/ttm/ttm_placement.h>

#include "edgpu_drm.h"
#include "edgpu_drv.h"
#include "edgpu_gem.h"
#include "edgpu_move.h"
#include "edgpu_shrinker.h"
#include "edgpu_tt.h"
#include "edgpu_ttm.h"
#include "edgpu_vram.h"

static void edgpu_ttm_evict_flags(struct ttm_buffer_object *bo,
				  struct ttm_placement *placement)
{
	static const struct ttm_place system = { .mem_type = TTM_PL_SYSTEM };

	if (edgpu_bo_is_ours(bo))
		edgpu_bo_note_errors(to_edgpu_bo(bo));
	placement->placement = &system;
	placement->num_placement = 1;
}

static int edgpu_ttm_io_mem_reserve(struct ttm_device *ttm, struct ttm_resource *res)
{
	struct edgpu_device *edgpu = ttm_to_edgpu(ttm);

	if (res->mem_type != TTM_PL_VRAM)
		return 0;
	if (!edgpu_vram_visible(edgpu, res))
		return -EINVAL;

	res->bus.offset = edgpu->aperture_base + ((u64)res->start << PAGE_SHIFT);
	res->bus.is_iomem = true;
	res->bus.caching = ttm_write_combined;
	return 0;
}

static const struct ttm_device_funcs edgpu_ttm_funcs = {
	.ttm_tt_create = edgpu_tt_create,
	.ttm_tt_populate = edgpu_tt_populate,
	.ttm_tt_unpopulate = edgpu_tt_unpopulate,
	.ttm_tt_destroy = edgpu_tt_destroy,
	.eviction_valuable = ttm_bo_eviction_valuable,
	.evict_flags = edgpu_ttm_evict_flags,
	.move = edgpu_bo_move,
	.io_mem_reserve = edgpu_ttm_io_mem_reserve,
};

static void edgpu_ttm_fini(struct drm_device *drm, void *arg)
{
	ttm_device_fini(arg);
}

/**
 * edgpu_ttm_init() - set up memory management
 * @edgpu: the device, with its DMA masks set
 *
 * Return: 0 or a negative error code.
 */
int edgpu_ttm_init(struct edgpu_device *edgpu)
{
	struct drm_device *drm = &edgpu->drm;
	int ret;

	ret = ttm_device_init(&edgpu->ttm, &edgpu_ttm_funcs, &edgpu->pdev->dev,
			      drm->anon_inode->i_mapping, drm->vma_offset_manager,
			      edgpu_tt_alloc_flags(edgpu));
	if (ret)
		return ret;

	ret = drmm_add_action_or_reset(drm, edgpu_ttm_fini, &edgpu->ttm);
	if (ret)
		return ret;

	return edgpu_vram_init(edgpu);
}
