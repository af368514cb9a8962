// SPDX-License-Identifier: GPL-2.0
/*
 * VRAM: its manager, and the part of it that the CPU sees.
 *
 * A resource is a list of stretches of VRAM, as they come from the buddy
 * allocator: no object is refused because of fragmentation. Only the start of
 * VRAM is behind the aperture.
 */

#include <linux/cgroup_dmem.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/slab.h>

#include <drm/drm_buddy.h>
#include <drm/drm_drv.h>
#include <drm/drm_managed.h>
#include <drm/drm_print.h>
#include <drm/ttm/ttm_bo.h>
#include <drm/ttm/ttm_device.h>
#include <drm/ttm/ttm_placement.h>

#include "edgpu_drm.h"
#include "edgpu_drv.h"
#include "edgpu_entry.h"
#include "edgpu_vram.h"

static bool edgpu_dmem = true;
module_param_named(dmem, edgpu_dmem, bool, 0444);
MODULE_PARM_DESC(dmem, "For tests of tests: charge VRAM to cgroups, which limit it (default: yes)");

/* struct edgpu_extent - a stretch of VRAM and what of a resource is in it. */
struct edgpu_extent {
	u64 vram;	/* where it starts in VRAM */
	u64 end;	/* where it ends in the resource */
};

/* struct edgpu_vram_resource - the VRAM of one object. */
struct edgpu_vram_resource {
	struct ttm_resource base;
	struct list_head blocks;
	struct edgpu_extent *extents;
	unsigned int num_extents;
	u64 visible;		/* bytes of it behind the aperture */
	u32 generation;		/* of VRAM when the content was put there */
};

static struct edgpu_vram *to_edgpu_vram(struct ttm_resource_manager *man)
{
	return container_of(man, struct edgpu_vram, base);
}

static struct edgpu_device *vram_to_edgpu(struct edgpu_vram *vram)
{
	return container_of(vram, struct edgpu_device, vram);
}

static struct edgpu_vram_resource *to_edgpu_vram_resource(struct ttm_resource *res)
{
	return container_of(res, struct edgpu_vram_resource, base);
}

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
 * @res: in VRAM
 *
 * Return: true if so.
 */
bool edgpu_vram_visible(struct ttm_resource *res)
{
	return to_edgpu_vram_resource(res)->visible == res->size;
}

/**
 * edgpu_vram_run() - where in VRAM a part of a resource is
 * @res: in VRAM
 * @offset: in @res, in bytes
 * @vram: out: in VRAM, in bytes
 *
 * Return: bytes from there on that are at consecutive addresses.
 */
u64 edgpu_vram_run(struct ttm_resource *res, u64 offset, u64 *vram)
{
	struct edgpu_vram_resource *vres = to_edgpu_vram_resource(res);
	unsigned int low = 0, high = vres->num_extents - 1;
	u64 start;

	/* The first extent that ends behind @offset. */
	while (low < high) {
		unsigned int middle = low + (high - low) / 2;

		if (vres->extents[middle].end > offset)
			high = middle;
		else
			low = middle + 1;
	}
	start = low ? vres->extents[low - 1].end : 0;
	*vram = vres->extents[low].vram + (offset - start);
	return vres->extents[low].end - offset;
}

/**
 * edgpu_vram_lost() - whether a resource has lost its content in a reset
 * @edgpu: the device
 * @res: in VRAM, of an object that is locked
 *
 * Return: true the first time it is asked after the loss.
 */
bool edgpu_vram_lost(struct edgpu_device *edgpu, struct ttm_resource *res)
{
	struct edgpu_vram_resource *vres = to_edgpu_vram_resource(res);
	u32 generation = READ_ONCE(edgpu->vram_generation);
	bool lost = vres->generation != generation;

	vres->generation = generation;
	return lost;
}

/* Turn the blocks into extents, joining those that follow each other in VRAM. */
static int edgpu_vram_set_extents(struct edgpu_vram *vram, struct edgpu_vram_resource *vres)
{
	u64 aperture = vram_to_edgpu(vram)->aperture_size;
	unsigned int count = list_count_nodes(&vres->blocks);
	struct edgpu_extent *extent = NULL;
	struct gpu_buddy_block *block;
	u64 start, size, next = 0, end = 0;

	vres->extents = kvmalloc_array(count, sizeof(*extent), GFP_KERNEL);
	if (!vres->extents)
		return -ENOMEM;

	list_for_each_entry(block, &vres->blocks, link) {
		start = gpu_buddy_block_offset(block);
		size = gpu_buddy_block_size(&vram->mm, block);
		if (start < aperture)
			vres->visible += min(start + size, aperture) - start;
		if (!extent || start != next) {
			extent = &vres->extents[vres->num_extents++];
			extent->vram = start;
		}
		next = start + size;
		end += size;
		extent->end = end;
	}
	return 0;
}

static u64 edgpu_vram_last(struct edgpu_vram *vram, const struct ttm_place *place)
{
	return place->lpfn ? (u64)place->lpfn << PAGE_SHIFT : vram->mm.size;
}

/* One block, if it has to be in one piece: the size is a power of two then. */
static u64 edgpu_vram_min_block(const struct edgpu_vram_resource *vres,
				const struct ttm_place *place)
{
	return place->flags & TTM_PL_FLAG_CONTIGUOUS ? vres->base.size : PAGE_SIZE;
}

static int edgpu_vram_alloc_blocks(struct edgpu_vram *vram, struct edgpu_vram_resource *vres,
				   const struct ttm_place *place)
{
	u64 last = edgpu_vram_last(vram, place);
	unsigned long flags = 0;
	int ret;

	/* Leave the aperture to those that need it, if it is scarce. */
	if (place->fpfn || last < vram->mm.size)
		flags |= GPU_BUDDY_RANGE_ALLOCATION;
	else if (vram_to_edgpu(vram)->aperture_size < vram->mm.size)
		flags |= GPU_BUDDY_TOPDOWN_ALLOCATION;

	mutex_lock(&vram->lock);
	ret = gpu_buddy_alloc_blocks(&vram->mm, (u64)place->fpfn << PAGE_SHIFT, last,
				     vres->base.size, edgpu_vram_min_block(vres, place),
				     &vres->blocks, flags);
	mutex_unlock(&vram->lock);
	return ret;
}

static void edgpu_vram_free_blocks(struct edgpu_vram *vram, struct edgpu_vram_resource *vres)
{
	mutex_lock(&vram->lock);
	gpu_buddy_free_list(&vram->mm, &vres->blocks, 0);
	mutex_unlock(&vram->lock);
}

static int edgpu_vram_alloc(struct ttm_resource_manager *man,
			    struct ttm_buffer_object *bo,
			    const struct ttm_place *place, struct ttm_resource **res)
{
	struct edgpu_vram *vram = to_edgpu_vram(man);
	struct edgpu_vram_resource *vres;
	int ret;

	/* Nothing that could be evicted would help. */
	if (bo->base.size > edgpu_vram_last(vram, place) - ((u64)place->fpfn << PAGE_SHIFT))
		return -E2BIG;

	vres = kzalloc_obj(*vres);
	if (!vres)
		return -ENOMEM;

	INIT_LIST_HEAD(&vres->blocks);
	vres->generation = READ_ONCE(vram_to_edgpu(vram)->vram_generation);
	ttm_resource_init(bo, place, &vres->base);
	ret = edgpu_vram_alloc_blocks(vram, vres, place);
	if (ret)
		goto err_fini;
	ret = edgpu_vram_set_extents(vram, vres);
	if (ret)
		goto err_free;

	*res = &vres->base;
	return 0;

err_free:
	edgpu_vram_free_blocks(vram, vres);
err_fini:
	ttm_resource_fini(man, &vres->base);
	kfree(vres);
	return ret;
}

static void edgpu_vram_free(struct ttm_resource_manager *man, struct ttm_resource *res)
{
	struct edgpu_vram_resource *vres = to_edgpu_vram_resource(res);

	edgpu_vram_free_blocks(to_edgpu_vram(man), vres);
	ttm_resource_fini(man, res);
	kvfree(vres->extents);
	kfree(vres);
}

/* Bytes of a resource that are in a place. */
static u64 edgpu_vram_overlap(struct edgpu_vram *vram, struct edgpu_vram_resource *vres,
			      const struct ttm_place *place)
{
	u64 first = (u64)place->fpfn << PAGE_SHIFT, last = edgpu_vram_last(vram, place);
	u64 start, end, bytes = 0;
	unsigned int i;

	for (i = 0; i < vres->num_extents; i++) {
		const struct edgpu_extent *extent = &vres->extents[i];

		start = extent->vram;
		end = start + extent->end - (i ? extent[-1].end : 0);
		start = max(start, first);
		end = min(end, last);
		if (start < end)
			bytes += end - start;
	}
	return bytes;
}

static bool edgpu_vram_intersects(struct ttm_resource_manager *man,
				  struct ttm_resource *res,
				  const struct ttm_place *place, size_t size)
{
	return edgpu_vram_overlap(to_edgpu_vram(man), to_edgpu_vram_resource(res), place);
}

static bool edgpu_vram_compatible(struct ttm_resource_manager *man,
				  struct ttm_resource *res,
				  const struct ttm_place *place, size_t size)
{
	struct edgpu_vram_resource *vres = to_edgpu_vram_resource(res);

	return edgpu_vram_overlap(to_edgpu_vram(man), vres, place) == res->size;
}

static void edgpu_vram_debug(struct ttm_resource_manager *man, struct drm_printer *p)
{
	struct edgpu_vram *vram = to_edgpu_vram(man);

	mutex_lock(&vram->lock);
	drm_buddy_print(&vram->mm, p);
	mutex_unlock(&vram->lock);
}

static const struct ttm_resource_manager_func edgpu_vram_funcs = {
	.alloc = edgpu_vram_alloc,
	.free = edgpu_vram_free,
	.intersects = edgpu_vram_intersects,
	.compatible = edgpu_vram_compatible,
	.debug = edgpu_vram_debug,
};

/* &dmem_cgroup_ops.reclaim: somebody has written less than there is to dmem.max. */
static int edgpu_vram_reclaim(struct dmem_cgroup_pool_state *pool, u64 bytes, void *priv)
{
	struct ttm_resource_manager *man = priv;
	struct edgpu_device *edgpu = vram_to_edgpu(to_edgpu_vram(man));
	struct edgpu_entry entry;
	int ret;

	ret = edgpu_enter(edgpu, &entry);
	if (ret)
		return ret;
	ret = ttm_resource_manager_dmem_reclaim(pool, bytes, man);
	edgpu_exit(edgpu, &entry);
	return ret;
}

static const struct dmem_cgroup_ops edgpu_vram_dmem_ops = {
	.reclaim = edgpu_vram_reclaim,
};

/* Let cgroups have limits on VRAM. */
static int edgpu_vram_init_dmem(struct edgpu_device *edgpu)
{
	struct ttm_resource_manager *man = &edgpu->vram.base;
	const struct dmem_cgroup_init init = {
		.size = edgpu->vram_size,
		.ops = &edgpu_vram_dmem_ops,
		.reclaim_priv = man,
	};
	struct dmem_cgroup_region *region;

	if (!edgpu_dmem)
		return 0;

	region = drmm_cgroup_register_region(&edgpu->drm, "vram", &init);
	if (IS_ERR(region))
		return PTR_ERR(region);
	ttm_resource_manager_set_dmem_region(man, region);
	return 0;
}

static void edgpu_vram_fini(struct drm_device *drm, void *arg)
{
	struct edgpu_vram *vram = arg;
	struct ttm_device *ttm = &vram_to_edgpu(vram)->ttm;
	int ret;

	ttm_resource_manager_set_used(&vram->base, false);
	ret = ttm_resource_manager_evict_all(ttm, &vram->base);
	if (ret)
		drm_err(drm, "VRAM is still in use: %d\n", ret);
	ttm_resource_manager_cleanup(&vram->base);
	ttm_set_driver_manager(ttm, TTM_PL_VRAM, NULL);
	gpu_buddy_fini(&vram->mm);
}

/**
 * edgpu_vram_init() - set up the manager of VRAM
 * @edgpu: the device, with &edgpu_device.ttm
 *
 * Return: 0 or a negative error code.
 */
int edgpu_vram_init(struct edgpu_device *edgpu)
{
	struct edgpu_vram *vram = &edgpu->vram;
	int ret;

	ret = drmm_mutex_init(&edgpu->drm, &vram->lock);
	if (ret)
		return ret;
	ret = gpu_buddy_init(&vram->mm, edgpu->vram_size, PAGE_SIZE);
	if (ret)
		return ret;

	vram->base.func = &edgpu_vram_funcs;
	ttm_resource_manager_init(&vram->base, &edgpu->ttm, edgpu->vram_size);
	ttm_set_driver_manager(&edgpu->ttm, TTM_PL_VRAM, &vram->base);
	ret = drmm_add_action_or_reset(&edgpu->drm, edgpu_vram_fini, vram);
	if (ret)
		return ret;

	/* Only then: the region goes first, and reclaim for it has ended then. */
	ret = edgpu_vram_init_dmem(edgpu);
	if (ret)
		return ret;
	ttm_resource_manager_set_used(&vram->base, true);
	return 0;
}
