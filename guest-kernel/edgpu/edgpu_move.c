// SPDX-License-Identifier: GPL-2.0
/*
 * Moves of objects between VRAM and system memory, by the copy engine.
 *
 * Every move is waited for before TTM lets go of the old place: an engine that
 * faults half-way then costs nothing but the move. Nothing here runs in
 * reclaim: system pages are unpinned without the engines.
 */

#include <linux/dma-fence.h>
#include <linux/slab.h>

#include <drm/ttm/ttm_allocation.h>
#include <drm/ttm/ttm_bo.h>
#include <drm/ttm/ttm_placement.h>
#include <drm/ttm/ttm_tt.h>

#include "edgpu_drv.h"
#include "edgpu_entry.h"
#include "edgpu_fence.h"
#include "edgpu_job.h"
#include "edgpu_move.h"
#include "edgpu_purge.h"
#include "edgpu_tt.h"

/* The engine that moves objects. */
#define EDGPU_MOVE_ENGINE	0

#ifndef TTM_ALLOCATION_SHMEM_CHUNKED /* a kernel without the series: for comparison */
static int ttm_bo_move_in_chunks(struct ttm_buffer_object *bo, struct ttm_operation_ctx *ctx,
				 struct ttm_resource *new_mem,
				 int (*copy)(struct ttm_buffer_object *bo,
					     struct ttm_resource *new_mem,
					     pgoff_t first, pgoff_t nr))
{
	return -EOPNOTSUPP;
}
#endif

static int move_begin(struct edgpu_ring *ring, struct edgpu_fence **fence)
{
	int ret;

	*fence = edgpu_fence_alloc();
	if (!*fence)
		return -ENOMEM;

	ret = edgpu_ring_begin(ring);
	if (ret)
		kfree(*fence);
	return ret;
}

/* Runs the job and waits for it, unless making it has failed with @ret. */
static int move_end(struct edgpu_ring *ring, struct edgpu_fence *fence, int ret)
{
	if (ret)
		edgpu_ring_cancel(ring);
	else
		ret = edgpu_ring_commit(ring, fence);
	if (ret) {
		kfree(fence);
		return ret;
	}

	/* Not interruptible: the engine is at work on these pages. */
	dma_fence_wait(&fence->base, false);
	ret = min(dma_fence_get_status(&fence->base), 0);
	dma_fence_put(&fence->base);
	return ret;
}

/* Moves at the same time may overwrite each other's: whoever reads it makes one. */
static void move_note_peak(struct edgpu_device *edgpu)
{
	unsigned long *peak = &edgpu->counters.move_peak_pages;

	WRITE_ONCE(*peak, max(READ_ONCE(*peak), edgpu_tt_pages(edgpu)));
}

/* One copy from @src, or a fill with zeroes without one, and wait for it. */
static int move_run(struct edgpu_ring *ring, const struct edgpu_span *src,
		    const struct edgpu_span *dst, u64 size)
{
	struct edgpu_fence *fence;
	int ret;

	move_note_peak(ring->edgpu);
	ret = move_begin(ring, &fence);
	if (ret)
		return ret;

	if (src)
		ret = edgpu_job_copy(ring, *src, *dst, size);
	else
		ret = edgpu_job_fill(ring, *dst, size, 0);
	return move_end(ring, fence, ret);
}

static int fill_runs(struct edgpu_ring *ring, struct ttm_buffer_object *bo, pgoff_t first,
		     pgoff_t nr, const unsigned long *bitmap, u64 value)
{
	unsigned long begin, end;

	for_each_set_bitrange_from(begin, end, bitmap, first + nr) {
		struct edgpu_span dst;
		int ret;

		dst = edgpu_span(bo->resource, bo->ttm, (u64)begin << PAGE_SHIFT);
		ret = edgpu_job_fill(ring, dst, (u64)(end - begin) << PAGE_SHIFT, value);
		if (ret)
			return ret;
	}
	return 0;
}

/**
 * edgpu_move_fill_pages() - fill some pages of an object in system memory, by one job
 * @bo: the object, locked, with its pages; the device is awake
 * @first: the first page that may be meant
 * @nr: how many pages to look at
 * @bitmap: those to fill
 * @value: with what
 *
 * Return: 0, with the pages filled, or a negative error code.
 */
int edgpu_move_fill_pages(struct ttm_buffer_object *bo, pgoff_t first, pgoff_t nr,
			  const unsigned long *bitmap, u64 value)
{
	struct edgpu_ring *ring = &ttm_to_edgpu(bo->bdev)->rings[EDGPU_MOVE_ENGINE];
	struct edgpu_fence *fence;
	int ret;

	ret = move_begin(ring, &fence);
	if (ret)
		return ret;
	return move_end(ring, fence, fill_runs(ring, bo, first, nr, bitmap, value));
}

/**
 * edgpu_move_copy() - copy by the engine that moves objects, and wait for it
 * @edgpu: the device, entered
 * @src: from
 * @dst: to
 * @size: bytes
 *
 * Return: 0 or a negative error code.
 */
int edgpu_move_copy(struct edgpu_device *edgpu, const struct edgpu_span *src,
		    const struct edgpu_span *dst, u64 size)
{
	return move_run(&edgpu->rings[EDGPU_MOVE_ENGINE], src, dst, size);
}

/* System memory that was never written to needs no copy. */
static bool move_has_content(struct ttm_buffer_object *bo)
{
	if (!bo->resource)
		return false;
	if (bo->resource->mem_type != TTM_PL_SYSTEM)
		return true;
	if (edgpu_purge_has_lost(bo))
		return true;
	return bo->ttm && (ttm_tt_is_populated(bo->ttm) || ttm_tt_is_swapped(bo->ttm) ||
			   edgpu_tt_is_partial(bo->ttm));
}

static struct edgpu_ring *move_ring(struct ttm_buffer_object *bo)
{
	return &ttm_to_edgpu(bo->bdev)->rings[EDGPU_MOVE_ENGINE];
}

static int move_copy_chunk(struct ttm_buffer_object *bo, struct ttm_resource *new_mem,
			   pgoff_t first, pgoff_t nr)
{
	u64 offset = (u64)first << PAGE_SHIFT;
	struct edgpu_span src = edgpu_span(bo->resource, bo->ttm, offset);
	struct edgpu_span dst = edgpu_span(new_mem, bo->ttm, offset);

	return move_run(move_ring(bo), &src, &dst, (u64)nr << PAGE_SHIFT);
}

/*
 * What is larger than a chunk and has no pages now doesn't get all of them only
 * to be copied, from or to.
 */
static bool move_in_chunks(struct ttm_buffer_object *bo, struct ttm_resource *new_mem)
{
	return edgpu_tt_is_chunked(bo) && !ttm_tt_is_populated(bo->ttm) &&
	       !edgpu_purge_has_lost(bo) &&
	       move_has_content(bo) &&
	       (bo->resource->mem_type == TTM_PL_SYSTEM) != (new_mem->mem_type == TTM_PL_SYSTEM);
}

static int move_data(struct ttm_buffer_object *bo, struct ttm_operation_ctx *ctx,
		     struct ttm_resource *new_mem)
{
	struct edgpu_ring *ring = move_ring(bo);
	bool content = move_has_content(bo);
	struct edgpu_span src, dst;
	int ret;

	/* Also the pages of the new place: TTM leaves those to the driver. */
	if (new_mem->mem_type == TTM_PL_SYSTEM ||
	    (content && bo->resource->mem_type == TTM_PL_SYSTEM)) {
		ret = edgpu_tt_make_resident(bo, ctx);
		if (ret)
			return ret;
	}

	dst = edgpu_span(new_mem, bo->ttm, 0);
	if (!content)
		return move_run(ring, NULL, &dst, bo->base.size);

	src = edgpu_span(bo->resource, bo->ttm, 0);
	return move_run(ring, &src, &dst, bo->base.size);
}

/**
 * edgpu_bo_move() - &ttm_device_funcs.move
 * @bo: the object, locked
 * @evict: whether it has to make room
 * @ctx: how to wait
 * @new_mem: where to
 * @hop: not used: every move is direct
 *
 * Return: 0, or a negative error code, with @bo unchanged.
 */
int edgpu_bo_move(struct ttm_buffer_object *bo, bool evict,
		  struct ttm_operation_ctx *ctx, struct ttm_resource *new_mem,
		  struct ttm_place *hop)
{
	struct edgpu_device *edgpu = ttm_to_edgpu(bo->bdev);
	struct edgpu_counters *counters = &edgpu->counters;
	bool was_system = !bo->resource || bo->resource->mem_type == TTM_PL_SYSTEM;
	struct edgpu_entry entry;
	bool purge, chunks;
	int ret;

	if (was_system && new_mem->mem_type == TTM_PL_SYSTEM) {
		ttm_bo_move_null(bo, new_mem);
		return 0;
	}

	ret = ttm_bo_wait_ctx(bo, ctx);
	if (ret)
		return ret;

	ret = edgpu_try_enter(edgpu, &entry);
	if (ret)
		return ret;
	purge = bo->resource && !was_system && new_mem->mem_type == TTM_PL_SYSTEM &&
		edgpu_purge_instead_of_copy(bo);
	chunks = !purge && move_in_chunks(bo, new_mem);
	if (purge)
		ret = 0;
	else if (chunks)
		ret = ttm_bo_move_in_chunks(bo, ctx, new_mem, move_copy_chunk);
	else
		ret = move_data(bo, ctx, new_mem);
	edgpu_exit(edgpu, &entry);
	if (ret)
		return ret;

	if (new_mem->mem_type == TTM_PL_VRAM)
		atomic64_add(bo->base.size, &counters->to_vram);
	if (!was_system)
		atomic64_add(bo->base.size, &counters->from_vram);

	if (chunks)
		return 0;
	if (bo->resource)
		ttm_bo_move_sync_cleanup(bo, new_mem);
	else
		ttm_bo_assign_mem(bo, new_mem);
	return 0;
}
