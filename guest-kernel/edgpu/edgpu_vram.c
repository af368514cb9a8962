// SPDX-License-Identifier: GPL-2.0
/*
 * VRAM: its manager, and the part of it that the CPU sees.
 *
 * Every resource is one contiguous range: no scatter lists over VRAM, and
 * eviction makes room where fragmentation left none.
 */

#include <linux/mm.h>

#include <drm/drm_managed.h>
#include <drm/drm_print.h>
#include <drm/ttm/ttm_range_manager.h>

#include "edgpu_drm.h"
#include "edgpu_drv.h"
#include "edgpu_vram.h"

/**
 * edgpu_placement_init() - the TTM form of a mask of placements
 * @placement: out
 * @mask: of EDGPU_PLACEMENT_*, not empty
 * @prefer_system: whether system memory comes first if both are in @mask
 */
void edgpu_placement_init(struct edgpu_placement *placement, u32 mask,
			  bool prefer_system)
{
	struct ttm_place *places = placement->places;
	unsigned int n = 0;

	memset(placement, 0, sizeof(*placement));
	if (mask & EDGPU_PLACEMENT_VRAM)
		places[n++].mem_type = TTM_PL_VRAM;
	if (mask & EDGPU_PLACEMENT_SYSTEM)
		places[n++].mem_type = TTM_PL_SYSTEM;
	if (n == 2 && prefer_system)
		swap(places[0], places[1]);
	placement->base.placement = places;
	placement->base.num_placement = n;
}

/**
 * edgpu_placement_visible() - where the CPU can see an object
 * @edgpu: the device
 * @placement: out: behind the aperture, or else in system memory
 */
void edgpu_placement_visible(struct edgpu_device *edgpu,
			     struct edgpu_placement *placement)
{
	edgpu_placement_init(placement,
			     EDGPU_PLACEMENT_VRAM | EDGPU_PLACEMENT_SYSTEM, false);
	placement->places[0].lpfn = edgpu->aperture_size >> PAGE_SHIFT;
}

/**
 * edgpu_vram_visible() - whether the CPU can see all of a resource
 * @edgpu: the device
 * @res: in VRAM
 *
 * Return: true if so.
 */
bool edgpu_vram_visible(struct edgpu_device *edgpu,
			const struct ttm_resource *res)
{
	return ((u64)res->start << PAGE_SHIFT) + res->size <= edgpu->aperture_size;
}

static void edgpu_vram_fini(struct drm_device *drm, void *arg)
{
	int ret = ttm_range_man_fini(arg, TTM_PL_VRAM);

	if (ret)
		drm_err(drm, "VRAM is still in use: %d\n", ret);
}

/**
 * edgpu_vram_init() - set up the manager of VRAM
 * @edgpu: the device, with &edgpu_device.ttm
 *
 * Return: 0 or a negative error code.
 */
int edgpu_vram_init(struct edgpu_device *edgpu)
{
	int ret;

	ret = ttm_range_man_init(&edgpu->ttm, TTM_PL_VRAM, false,
				 edgpu->vram_size >> PAGE_SHIFT);
	if (ret)
		return ret;

	return drmm_add_action_or_reset(&edgpu->drm, edgpu_vram_fini, &edgpu->ttm);
}
