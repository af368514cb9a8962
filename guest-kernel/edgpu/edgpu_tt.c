// SPDX-License-Identifier: GPL-2.0
/*
 * The backends: where the pages of objects in system memory come from.
 *
 * shmem is TTM's own, and all of it is there. legacy is TTM's own, too; this
 * file only counts its pages. backup does here what xe does: pages from the
 * pool that TTM neither counts nor swaps out, mapped for DMA by the driver, and
 * copied to a shmem file by its shrinker.
 */

#include <linux/dma-mapping.h>
#include <linux/slab.h>

#include <drm/drm_prime.h>
#include <drm/ttm/ttm_allocation.h>
#include <drm/ttm/ttm_bo.h>
#include <drm/ttm/ttm_pool.h>

#ifdef CONFIG_X86
#include <asm/set_memory.h>
#endif

#include "edgpu_bo.h"
#include "edgpu_carveout.h"
#include "edgpu_drv.h"
#include "edgpu_tt.h"

const char * const edgpu_backend_names[EDGPU_BACKENDS] = {
	[EDGPU_BACKEND_LEGACY] = "legacy",
	[EDGPU_BACKEND_SHMEM] = "shmem",
	[EDGPU_BACKEND_BACKUP] = "backup",
	[EDGPU_BACKEND_GEM] = "gem",
};

/**
 * edgpu_tt_has_carveout() - whether objects can live in memory set aside for devices
 * @edgpu: the device, with its backend
 *
 * Return: true if so.
 */
bool edgpu_tt_has_carveout(struct edgpu_device *edgpu)
{
	return edgpu->backend == EDGPU_BACKEND_SHMEM && edgpu_carveout_exists(edgpu);
}

/**
 * edgpu_tt_is_chunked() - whether an object is moved and evicted in chunks
 * @bo: the object, locked
 *
 * Return: true if its pages in system memory live in shmem, and are more than
 * a chunk.
 */
bool edgpu_tt_is_chunked(struct ttm_buffer_object *bo)
{
	return bo->ttm && ttm_tt_is_shmem(bo->ttm) &&
	       bo->ttm->num_pages > READ_ONCE(*edgpu_chunk_pages(bo->bdev));
}

/**
 * edgpu_tt_evict_chunk() - take some pages from an object
 * @bo: the object, locked
 * @ctx: how to wait
 * @nr: how many pages, 0 for a chunk
 *
 * Return: pages taken, 0 if it has none, or a negative error code.
 */
long edgpu_tt_evict_chunk(struct ttm_buffer_object *bo, struct ttm_operation_ctx *ctx,
			  pgoff_t nr)
{
	if (!bo->ttm || !ttm_tt_is_shmem(bo->ttm))
		return -EOPNOTSUPP;
	return ttm_bo_evict_chunk(bo, ctx, nr ?: READ_ONCE(*edgpu_chunk_pages(bo->bdev)));
}

/**
 * edgpu_tt_alloc_flags() - how TTM is to allocate for the backend
 * @edgpu: the device, with its DMA masks and backend
 *
 * The pool knows no limit but 4 GiB; that is what drivers upstream ask for when
 * the device can't reach all memory. It also knows dma_alloc_attrs(), but can't
 * back up what comes from there.
 *
 * Return: TTM_ALLOCATION_*.
 */
unsigned int edgpu_tt_alloc_flags(struct edgpu_device *edgpu)
{
	if (edgpu->backend == EDGPU_BACKEND_SHMEM)
		return TTM_ALLOCATION_SHMEM | TTM_ALLOCATION_SHMEM_CHUNKED;
	return dma_addressing_limited(&edgpu->pdev->dev) ?
	       TTM_ALLOCATION_POOL_USE_DMA32 : 0;
}

/**
 * edgpu_tt_pages() - how much memory the objects hold
 * @edgpu: the device
 *
 * Return: pages of populated objects: not swapped out, backed up or unpinned.
 */
unsigned long edgpu_tt_pages(struct edgpu_device *edgpu)
{
	if (edgpu->backend == EDGPU_BACKEND_SHMEM)
		return ttm_device_shmem_pages(&edgpu->ttm);
	return atomic_long_read(&edgpu->pool_pages);
}

static int edgpu_tt_init_backup(struct edgpu_tt *tt, struct ttm_buffer_object *bo,
				u32 page_flags, enum ttm_caching caching)
{
	int ret;

	/* External means: TTM leaves swapping out to us. */
	page_flags |= TTM_TT_FLAG_EXTERNAL | TTM_TT_FLAG_EXTERNAL_MAPPABLE;
	ret = ttm_tt_init(&tt->base, bo, page_flags, caching, 0);
	if (ret)
		return ret;

	ret = ttm_tt_setup_backup(&tt->base);
	if (ret)
		goto err_fini;

	ret = -ENOMEM;
	tt->dma_address = kvzalloc_objs(*tt->dma_address, tt->base.num_pages);
	if (!tt->dma_address)
		goto err_fini;
	return 0;

err_fini:
	ttm_tt_fini(&tt->base);
	return ret;
}

static int edgpu_tt_init(struct edgpu_tt *tt, struct ttm_buffer_object *bo, u32 page_flags)
{
	enum ttm_caching caching = to_edgpu_bo(bo)->caching;
	enum edgpu_backend backend = ttm_to_edgpu(bo->bdev)->backend;
	bool import = bo->type == ttm_bo_type_sg;
	int ret;

	if (backend == EDGPU_BACKEND_BACKUP && !import)
		return edgpu_tt_init_backup(tt, bo, page_flags, caching);

	if (to_edgpu_bo(bo)->carveout)
		ret = ttm_tt_init_borrowed(&tt->base, bo, page_flags, caching);
	else if (backend == EDGPU_BACKEND_SHMEM && !import)
		ret = ttm_tt_init_shmem(&tt->base, bo, page_flags, caching);
	else
		ret = ttm_sg_tt_init(&tt->base, bo, page_flags, caching);
	tt->dma_address = tt->base.dma_address;
	return ret;
}

/**
 * edgpu_tt_create() - &ttm_device_funcs.ttm_tt_create
 * @bo: the object
 * @page_flags: TTM_TT_FLAG_*
 *
 * Return: the pages to be, or NULL.
 */
struct ttm_tt *edgpu_tt_create(struct ttm_buffer_object *bo, u32 page_flags)
{
	struct edgpu_tt *tt;

	tt = kzalloc_obj(*tt);
	if (!tt)
		return NULL;

	if (edgpu_tt_init(tt, bo, page_flags)) {
		kfree(tt);
		return NULL;
	}
	return &tt->base;
}

/**
 * edgpu_tt_destroy() - &ttm_device_funcs.ttm_tt_destroy
 * @ttm: not used
 * @tt: not populated
 */
void edgpu_tt_destroy(struct ttm_device *ttm, struct ttm_tt *tt)
{
	struct edgpu_tt *dtt = to_edgpu_tt(tt);

	if (tt->backup)
		kvfree(dtt->dma_address);
	ttm_tt_fini(tt);
	kfree(dtt);
}

static bool edgpu_tt_is_import(const struct ttm_tt *tt)
{
	return (tt->page_flags & (TTM_TT_FLAG_EXTERNAL | TTM_TT_FLAG_EXTERNAL_MAPPABLE)) ==
	       TTM_TT_FLAG_EXTERNAL;
}

/**
 * edgpu_tt_populate() - &ttm_device_funcs.ttm_tt_populate, if the pages are not shmem's
 * @ttm: the TTM device
 * @tt: not populated
 * @ctx: how to wait
 *
 * Return: 0 or a negative error code.
 */
int edgpu_tt_populate(struct ttm_device *ttm, struct ttm_tt *tt,
		      struct ttm_operation_ctx *ctx)
{
	int ret;

	if (edgpu_tt_is_import(tt))
		return drm_prime_sg_to_dma_addr_array(tt->sg, tt->dma_address,
						      tt->num_pages) ? -EIO : 0;

	if (ttm_tt_is_backed_up(tt))
		ret = ttm_tt_restore(ttm, tt, ctx);
	else
		ret = ttm_pool_alloc(&ttm->pool, tt, ctx);
	if (!ret)
		atomic_long_add(tt->num_pages, &ttm_to_edgpu(ttm)->pool_pages);
	return ret;
}

/**
 * edgpu_tt_unpopulate() - &ttm_device_funcs.ttm_tt_unpopulate, if they are not shmem's
 * @ttm: the TTM device
 * @tt: populated
 */
void edgpu_tt_unpopulate(struct ttm_device *ttm, struct ttm_tt *tt)
{
	struct edgpu_device *edgpu = ttm_to_edgpu(ttm);

	if (edgpu_tt_is_import(tt))
		return;

	edgpu_tt_unmap_dma(edgpu, tt);
	ttm_pool_free(&ttm->pool, tt);
	atomic_long_sub(tt->num_pages, &edgpu->pool_pages);
}

static int edgpu_tt_map_dma(struct edgpu_device *edgpu, struct edgpu_tt *tt)
{
	u64 size = (u64)tt->base.num_pages << PAGE_SHIFT;
	struct device *dev = &edgpu->pdev->dev;
	struct sg_dma_page_iter iter;
	unsigned int i = 0;
	int ret;

	ret = sg_alloc_table_from_pages_segment(&tt->sg, tt->base.pages,
						tt->base.num_pages, 0, size,
						dma_get_max_seg_size(dev), GFP_KERNEL);
	if (ret)
		return ret;

	ret = dma_map_sgtable(dev, &tt->sg, DMA_BIDIRECTIONAL, 0);
	if (ret) {
		sg_free_table(&tt->sg);
		return ret;
	}
	for_each_sgtable_dma_page(&tt->sg, &iter, 0)
		tt->dma_address[i++] = sg_page_iter_dma_address(&iter);
	return 0;
}

/**
 * edgpu_tt_unmap_dma() - take the pages away from the engines
 * @edgpu: the device
 * @tt: the pages, not in use
 *
 * Only where the driver has mapped them. May be called in reclaim.
 */
void edgpu_tt_unmap_dma(struct edgpu_device *edgpu, struct ttm_tt *tt)
{
	struct edgpu_tt *dtt = to_edgpu_tt(tt);

	if (!dtt->sg.sgl)
		return;
	dma_unmap_sgtable(&edgpu->pdev->dev, &dtt->sg, DMA_BIDIRECTIONAL, 0);
	sg_free_table(&dtt->sg);
}

/**
 * edgpu_tt_make_resident() - have the pages of an object where the engines find them
 * @bo: the object, locked
 * @ctx: how to wait
 *
 * Return: 0 or a negative error code.
 */
int edgpu_tt_make_resident(struct ttm_buffer_object *bo, struct ttm_operation_ctx *ctx)
{
	struct edgpu_device *edgpu = ttm_to_edgpu(bo->bdev);
	int ret;

	ret = ttm_bo_populate(bo, ctx);
	if (ret || !bo->ttm->backup || to_edgpu_tt(bo->ttm)->sg.sgl)
		return ret;
	return edgpu_tt_map_dma(edgpu, to_edgpu_tt(bo->ttm));
}

/*
 * TTM made them write-back before it found that it can't back up any of them,
 * or, with no swap space left, gave up before that and does not say so: write-
 * back first, for the attribute that a page has can't be set again. Their
 * linear mapping was split the first time, so this needs no memory.
 */
static void edgpu_tt_reapply_caching(struct ttm_tt *tt)
{
#ifdef CONFIG_X86
	int ret;

	if (tt->caching == ttm_cached)
		return;
	ret = set_pages_array_wb(tt->pages, tt->num_pages);
	if (WARN_ON_ONCE(ret))
		return;
	if (tt->caching == ttm_write_combined)
		ret = set_pages_array_wc(tt->pages, tt->num_pages);
	else
		ret = set_pages_array_uc(tt->pages, tt->num_pages);
	WARN_ON_ONCE(ret);
#endif
}

/**
 * edgpu_tt_backup() - copy the pages of an object to shmem, and free them
 * @bo: the object, locked, and suitable by ttm_bo_shrink_suitable()
 * @ctx: how to wait
 * @writeback: whether to write them to swap as well
 *
 * What can't be copied stays; the object is then both. An object that is about
 * to be destroyed is only freed.
 *
 * Return: pages freed, or a negative error code.
 */
long edgpu_tt_backup(struct ttm_buffer_object *bo, struct ttm_operation_ctx *ctx,
		     bool writeback)
{
	struct edgpu_device *edgpu = ttm_to_edgpu(bo->bdev);
	struct ttm_tt *tt = bo->ttm;
	long ret;

	/* Before the mapping goes, or a job would still use it. */
	ret = ttm_bo_wait_ctx(bo, ctx);
	if (ret)
		return ret;

	edgpu_tt_unmap_dma(edgpu, tt);
	ret = ttm_bo_shrink(ctx, bo, (struct ttm_bo_shrink_flags) {
		.purge = bo->deleted,
		.writeback = writeback,
	});
	if (ttm_tt_is_populated(tt))
		edgpu_tt_reapply_caching(tt);
	else
		atomic_long_sub(tt->num_pages, &edgpu->pool_pages);
	return ret;
}
