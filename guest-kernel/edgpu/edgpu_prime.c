// SPDX-License-Identifier: GPL-2.0
/*
 * Sharing of objects with other drivers, as dma-bufs.
 *
 * What is exported is pinned in system memory while another device is attached
 * or the kernel has it mapped: most importers can't cope with moves. Nobody can
 * reclaim it then, so there is a limit to that. An import
 * stays where its exporter has it, and is used only if the engines reach all of
 * it without a bounce buffer: nobody would keep that in sync.
 */

#include <linux/dma-buf.h>
#include <linux/dma-mapping.h>
#include <linux/dma-resv.h>
#include <linux/minmax.h>
#include <linux/mmzone.h>
#include <linux/module.h>
#include <linux/nodemask.h>
#include <linux/pfn.h>
#include <linux/sizes.h>

#include <drm/drm_gem_ttm_helper.h>
#include <drm/drm_prime.h>
#include <drm/ttm/ttm_tt.h>

#include "edgpu_bo.h"
#include "edgpu_compat.h"
#include "edgpu_drm.h"
#include "edgpu_drv.h"
#include "edgpu_entry.h"
#include "edgpu_prime.h"
#include "edgpu_vram.h"

static uint edgpu_pin_limit;
module_param_named(pin_limit, edgpu_pin_limit, uint, 0444);
MODULE_PARM_DESC(pin_limit, "How many MiB of objects importers of dma-bufs may pin; 0 (default): half of the memory within reach");

static unsigned long edgpu_reach_pages(struct edgpu_device *edgpu)
{
	u64 limit = edgpu_dma_limit(&edgpu->ttm, edgpu->drm.dev);
	unsigned long pages = 0;
	int nid;

	for_each_online_node(nid) {
		u64 start = PFN_PHYS(node_start_pfn(nid)), end = PFN_PHYS(node_end_pfn(nid));

		if (start < end && start <= limit)
			pages += min(PFN_DOWN(min(end - 1, limit) - start) + 1,
				     node_present_pages(nid));
	}
	return pages;
}

/**
 * edgpu_prime_init() - decide how much others may pin
 * @edgpu: the device, with its memory manager
 */
void edgpu_prime_init(struct edgpu_device *edgpu)
{
	edgpu->pin_limit = edgpu_pin_limit ? (unsigned long)edgpu_pin_limit * (SZ_1M / PAGE_SIZE) :
					     edgpu_reach_pages(edgpu) / 2;
}

static void edgpu_prime_uncharge(struct edgpu_device *edgpu, struct edgpu_bo *bo)
{
	atomic_long_sub(PFN_DOWN(bo->base.base.size), &edgpu->prime_pages);
}

/* An error here is for the one who asks; memory that is used up is a kill for somebody else. */
static int edgpu_prime_charge(struct edgpu_device *edgpu, struct edgpu_bo *bo)
{
	long pages = PFN_DOWN(bo->base.base.size);

	if (atomic_long_add_return(pages, &edgpu->prime_pages) <= edgpu->pin_limit)
		return 0;
	edgpu_prime_uncharge(edgpu, bo);
	return -ENOMEM;
}

static int edgpu_prime_make_resident(struct edgpu_bo *bo)
{
	struct ttm_operation_ctx ctx = { .gfp_retry_mayfail = true };
	struct edgpu_placement placement;
	int ret;

	edgpu_bo_note_errors(bo);
	edgpu_placement_init(&placement, EDGPU_PLACEMENT_SYSTEM, false);
	ret = ttm_bo_validate(&bo->base, &placement.base, &ctx);
	if (ret)
		return ret;
	return ttm_bo_populate(&bo->base, &ctx);
}

/* Its first pin: the others come for nothing. */
static int edgpu_prime_pin_first(struct edgpu_device *edgpu, struct edgpu_bo *bo)
{
	int ret = edgpu_prime_charge(edgpu, bo);

	if (ret)
		return ret;
	ret = edgpu_prime_make_resident(bo);
	if (ret)
		edgpu_prime_uncharge(edgpu, bo);
	return ret;
}

/**
 * edgpu_gem_pin() - &drm_gem_object_funcs.pin
 * @gem: the object, locked
 *
 * Return: 0, -EINVAL if it may not be in system memory, -EBUSY if it is in a VRAM
 * that sleeps, -ENOMEM if there is none or too much is pinned, or another error.
 */
int edgpu_gem_pin(struct drm_gem_object *gem)
{
	struct edgpu_device *edgpu = to_edgpu(gem->dev);
	struct edgpu_bo *bo = gem_to_edgpu_bo(gem);
	struct edgpu_entry entry;
	int ret;

	if (!(bo->placement & EDGPU_PLACEMENT_SYSTEM))
		return -EINVAL;
	/* Locked as it is, nobody can wait until it is back in VRAM. */
	if (edgpu_is_saved(&bo->base))
		return -EBUSY;
	ret = edgpu_try_enter(edgpu, &entry);
	if (ret)
		return ret;

	if (!bo->base.pin_count)
		ret = edgpu_prime_pin_first(edgpu, bo);
	if (!ret) {
		ttm_bo_pin(&bo->base);
		atomic_inc(&edgpu->pins);
	}
	edgpu_exit(edgpu, &entry);
	return ret;
}

/**
 * edgpu_gem_unpin() - &drm_gem_object_funcs.unpin
 * @gem: the object, locked and pinned
 */
void edgpu_gem_unpin(struct drm_gem_object *gem)
{
	struct edgpu_device *edgpu = to_edgpu(gem->dev);
	struct edgpu_bo *bo = gem_to_edgpu_bo(gem);

	ttm_bo_unpin(&bo->base);
	if (!bo->base.pin_count)
		edgpu_prime_uncharge(edgpu, bo);
	atomic_dec(&edgpu->pins);
}

/**
 * edgpu_gem_get_sg_table() - &drm_gem_object_funcs.get_sg_table
 * @gem: the object, pinned
 *
 * Return: its pages, or an error pointer.
 */
struct sg_table *edgpu_gem_get_sg_table(struct drm_gem_object *gem)
{
	struct ttm_tt *tt = gem_to_edgpu_bo(gem)->base.ttm;

	/* It may have been let go of when the device went. */
	if (!ttm_tt_is_populated(tt))
		return ERR_PTR(-ENODEV);
	return drm_prime_pages_to_sg(gem->dev, tt->pages, tt->num_pages);
}

/**
 * edgpu_gem_vmap() - &drm_gem_object_funcs.vmap
 * @gem: the object, locked
 * @map: out
 *
 * Return: 0 or a negative error code.
 */
int edgpu_gem_vmap(struct drm_gem_object *gem, struct iosys_map *map)
{
	int ret;

	ret = edgpu_gem_pin(gem);
	if (ret)
		return ret;
	ret = drm_gem_ttm_vmap(gem, map);
	if (ret)
		edgpu_gem_unpin(gem);
	return ret;
}

/**
 * edgpu_gem_vunmap() - &drm_gem_object_funcs.vunmap
 * @gem: the object, locked
 * @map: from edgpu_gem_vmap()
 */
void edgpu_gem_vunmap(struct drm_gem_object *gem, struct iosys_map *map)
{
	drm_gem_ttm_vunmap(gem, map);
	edgpu_gem_unpin(gem);
}

/* Like the pin in it, but with nothing locked: the object may be in a VRAM that sleeps. */
static int edgpu_prime_attach(struct dma_buf *dma_buf, struct dma_buf_attachment *attach)
{
	struct drm_gem_object *gem = dma_buf->priv;
	struct edgpu_device *edgpu = to_edgpu(gem->dev);
	struct edgpu_entry entry;
	int ret;

	ret = edgpu_enter(edgpu, &entry);
	/* From a device that is wedged what is in system memory is to be had. */
	if (ret == -EIO)
		return drm_gem_map_attach(dma_buf, attach);
	if (ret)
		return ret;

	ret = drm_gem_map_attach(dma_buf, attach);
	edgpu_exit(edgpu, &entry);
	return ret;
}

static const struct dma_buf_ops edgpu_dma_buf_ops = {
	.attach = edgpu_prime_attach,
	.detach = drm_gem_map_detach,
	.map_dma_buf = drm_gem_map_dma_buf,
	.unmap_dma_buf = drm_gem_unmap_dma_buf,
	.release = drm_gem_dmabuf_release,
	.mmap = drm_gem_dmabuf_mmap,
	.vmap = drm_gem_dmabuf_vmap,
	.vunmap = drm_gem_dmabuf_vunmap,
};

/**
 * edgpu_gem_export() - &drm_gem_object_funcs.export
 * @gem: the object
 * @flags: of the file
 *
 * Return: a dma-buf, or an error pointer, -EPERM if it is private.
 */
struct dma_buf *edgpu_gem_export(struct drm_gem_object *gem, int flags)
{
	struct dma_buf *dma_buf;

	if (gem_to_edgpu_bo(gem)->owner)
		return ERR_PTR(-EPERM);
	dma_buf = drm_gem_prime_export(gem, flags);
	if (!IS_ERR(dma_buf))
		dma_buf->ops = &edgpu_dma_buf_ops;
	return dma_buf;
}

/**
 * edgpu_gem_import() - &drm_driver.gem_prime_import
 * @drm: the device
 * @dma_buf: what to import, which may be one of ours
 *
 * Return: an object, or an error pointer.
 */
struct drm_gem_object *edgpu_gem_import(struct drm_device *drm, struct dma_buf *dma_buf)
{
	struct drm_gem_object *gem = dma_buf->priv;

	if (dma_buf->ops != &edgpu_dma_buf_ops || gem->dev != drm)
		return drm_gem_prime_import(drm, dma_buf);
	drm_gem_object_get(gem);
	return gem;
}

/**
 * edgpu_prime_in_reach() - whether the engines can use the memory of another driver
 * @edgpu: the device
 * @sg: where it is for the device
 *
 * Return: true if all of it is within the limit, and needs no bounce buffer.
 */
bool edgpu_prime_in_reach(struct edgpu_device *edgpu, struct sg_table *sg)
{
	u64 last = DMA_BIT_MASK(edgpu->dma_bits);
	struct device *dev = &edgpu->pdev->dev;
	struct scatterlist *segment;
	unsigned int i;

	for_each_sgtable_dma_sg(sg, segment, i) {
		dma_addr_t addr = sg_dma_address(segment);

		if (addr + sg_dma_len(segment) - 1 > last || dma_need_sync(dev, addr))
			return false;
	}
	return true;
}

/**
 * edgpu_gem_mmap_import() - map an import, as its exporter does
 * @gem: the object
 * @vma: where to
 *
 * Return: 0 or a negative error code.
 */
int edgpu_gem_mmap_import(struct drm_gem_object *gem, struct vm_area_struct *vma)
{
	int ret;

	/* Nothing of ours may stay if the exporter sets none of its own. */
	vma->vm_private_data = NULL;
	vma->vm_ops = NULL;
	ret = dma_buf_mmap(gem->dma_buf, vma, 0);
	if (!ret)
		drm_gem_object_put(gem);
	return ret;
}
