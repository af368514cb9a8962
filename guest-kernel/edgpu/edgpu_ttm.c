// SPDX-License-Identifier: GPL-2.0
/*
 * The TTM device: system memory backends, and what TTM asks the driver.
 */

#include <linux/dma-mapping.h>
#include <linux/slab.h>

#include <drm/drm_managed.h>
#include <drm/drm_print.h>
#include <drm/ttm/ttm_allocation.h>
#include <drm/ttm/ttm_bo.h>
#include <drm/ttm/ttm_placement.h>
#include <drm/ttm/ttm_tt.h>

#include "edgpu_drm.h"
#include "edgpu_drv.h"
#include "edgpu_gem.h"
#include "edgpu_move.h"
#include "edgpu_ttm.h"
#include "edgpu_vram.h"

#ifdef TTM_ALLOCATION_SHMEM

bool edgpu_ttm_has_shmem(void)
{
	return true;
}

unsigned long edgpu_ttm_shmem_pages(struct edgpu_device *edgpu)
{
	if (edgpu->backend != EDGPU_BACKEND_SHMEM)
		return 0;
	return ttm_device_shmem_pages(&edgpu->ttm);
}

#else /* a kernel without the shmem backend: for comparison */

#define TTM_ALLOCATION_SHMEM	0

static int ttm_tt_init_shmem(struct ttm_tt *tt, struct ttm_buffer_object *bo,
			     u32 page_flags, enum ttm_caching caching)
{
	return -EOPNOTSUPP;
}

bool edgpu_ttm_has_shmem(void)
{
	return false;
}

unsigned long edgpu_ttm_shmem_pages(struct edgpu_device *edgpu)
{
	return 0;
}

#endif

static struct ttm_tt *edgpu_ttm_tt_create(struct ttm_buffer_object *bo, u32 page_flags)
{
	struct edgpu_device *edgpu = ttm_to_edgpu(bo->bdev);
	enum ttm_caching caching = to_edgpu_bo(bo)->caching;
	struct ttm_tt *tt;
	int ret;

	tt = kzalloc_obj(*tt);
	if (!tt)
		return NULL;

	if (edgpu->backend == EDGPU_BACKEND_SHMEM)
		ret = ttm_tt_init_shmem(tt, bo, page_flags, caching);
	else
		ret = ttm_sg_tt_init(tt, bo, page_flags, caching);
	if (ret) {
		kfree(tt);
		return NULL;
	}
	return tt;
}

static void edgpu_ttm_tt_destroy(struct ttm_device *ttm, struct ttm_tt *tt)
{
	ttm_tt_fini(tt);
	kfree(tt);
}

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
	.ttm_tt_create = edgpu_ttm_tt_create,
	.ttm_tt_destroy = edgpu_ttm_tt_destroy,
	.eviction_valuable = ttm_bo_eviction_valuable,
	.evict_flags = edgpu_ttm_evict_flags,
	.move = edgpu_bo_move,
	.io_mem_reserve = edgpu_ttm_io_mem_reserve,
};

/*
 * The pool knows no limit but 4 GiB; that is what drivers upstream ask for when
 * the device can't reach all memory.
 */
static unsigned int edgpu_ttm_alloc_flags(struct edgpu_device *edgpu)
{
	if (edgpu->backend == EDGPU_BACKEND_SHMEM)
		return TTM_ALLOCATION_SHMEM;
	return dma_addressing_limited(&edgpu->pdev->dev) ?
	       TTM_ALLOCATION_POOL_USE_DMA32 : 0;
}

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
			      edgpu_ttm_alloc_flags(edgpu));
	if (ret)
		return ret;

	ret = drmm_add_action_or_reset(drm, edgpu_ttm_fini, &edgpu->ttm);
	if (ret)
		return ret;

	return edgpu_vram_init(edgpu);
}

/**
 * edgpu_ttm_evict_system() - give all idle system memory of objects back
 * @edgpu: the device
 *
 * Unpins, or copies out, whatever is not in use; afterwards none of it is
 * mapped for DMA.
 */
void edgpu_ttm_evict_system(struct edgpu_device *edgpu)
{
	struct ttm_operation_ctx ctx = { };
	int ret;

	do {
		ret = ttm_device_swapout(&edgpu->ttm, &ctx, GFP_KERNEL);
		cond_resched();
	} while (ret > 0);
	if (ret < 0)
		drm_warn(&edgpu->drm, "objects stay in system memory: %d\n", ret);
}
