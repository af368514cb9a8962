// SPDX-License-Identifier: GPL-2.0
/*
 * The TTM device: its life, and what TTM asks the driver.
 */

#include <linux/delay.h>
#include <linux/module.h>
#include <linux/workqueue.h>

#include <drm/drm_gem.h>
#include <drm/drm_managed.h>
#include <drm/drm_print.h>
#include <drm/ttm/ttm_allocation.h>
#include <drm/ttm/ttm_bo.h>
#include <drm/ttm/ttm_placement.h>

#include "edgpu_access.h"
#include "edgpu_bo.h"
#include "edgpu_carveout.h"
#include "edgpu_drm.h"
#include "edgpu_drv.h"
#include "edgpu_move.h"
#include "edgpu_purge.h"
#include "edgpu_shrinker.h"
#include "edgpu_tt.h"
#include "edgpu_ttm.h"
#include "edgpu_vram.h"

/* Half a second in all; who locks an object does not wait with it. */
#define EDGPU_DISCONNECT_TRIES		50
#define EDGPU_DISCONNECT_PAUSE_MS	10

static bool edgpu_huge;
module_param_named(huge, edgpu_huge, bool, 0444);
MODULE_PARM_DESC(huge, "Large folios for objects, backend=shmem only (default: no)");

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
	if (res->mem_type != TTM_PL_VRAM)
		return 0;
	if (!edgpu_vram_visible(res))
		return -EINVAL;

	res->bus.is_iomem = true;
	res->bus.caching = ttm_write_combined;
	return 0;
}

static unsigned long edgpu_ttm_io_mem_pfn(struct ttm_buffer_object *bo,
					  unsigned long page)
{
	u64 vram;

	edgpu_vram_run(bo->resource, (u64)page << PAGE_SHIFT, &vram);
	return PHYS_PFN(ttm_to_edgpu(bo->bdev)->aperture_base + vram);
}

static const struct ttm_device_funcs edgpu_ttm_funcs = {
	.ttm_tt_create = edgpu_tt_create,
	.ttm_tt_populate = edgpu_tt_populate,
	.ttm_tt_unpopulate = edgpu_tt_unpopulate,
	.ttm_tt_destroy = edgpu_tt_destroy,
	.eviction_valuable = ttm_bo_eviction_valuable,
	.evict_flags = edgpu_ttm_evict_flags,
	.move = edgpu_bo_move,
	EDGPU_TTM_FUNCS_OF_SERIES
	.io_mem_reserve = edgpu_ttm_io_mem_reserve,
	.io_mem_pfn = edgpu_ttm_io_mem_pfn,
	.access_memory = edgpu_bo_access_memory,
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

	if (edgpu_huge && edgpu->backend == EDGPU_BACKEND_SHMEM) {
		ret = drm_gem_huge_mnt_create(drm, "within_size");
		if (ret)
			return ret;
	}

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

/**
 * edgpu_ttm_disconnect() - end all DMA mappings of objects
 * @edgpu: the device, unplugged and with its engines stopped
 *
 * Nobody can populate objects any more. Those that are locked for a moment are
 * waited for. Pages that other devices use can't be let go of.
 */
void edgpu_ttm_disconnect(struct edgpu_device *edgpu)
{
	unsigned int tries;

	drain_workqueue(edgpu->ttm.wq);
	for (tries = 0; tries < EDGPU_DISCONNECT_TRIES && edgpu_tt_pages(edgpu); tries++) {
		edgpu_evict_system(edgpu);
		msleep(EDGPU_DISCONNECT_PAUSE_MS);
	}

	/* There was no memory to keep the content in; nobody will see it again. */
	if (edgpu_tt_pages(edgpu) && !atomic_read(&edgpu->pins))
		ttm_device_clear_dma_mappings(&edgpu->ttm);
}
