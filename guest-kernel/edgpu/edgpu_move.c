// SPDX-License-Identifier: GPL-2.0
/*
 * Moves of objects between VRAM and system memory, by the copy engine.
 *
 * Every move is waited for before TTM lets go of the old place: an engine that
 * faults half-way then costs nothing but the move. Nothing here runs in
 * reclaim: system pages are unpinned without the engines.
 */

#include <drm/ttm/ttm_bo.h>
#include <drm/ttm/ttm_placement.h>
#include <drm/ttm/ttm_tt.h>

#include "edgpu_bo.h"
#include "edgpu_drv.h"
#include "edgpu_entry.h"
#include "edgpu_job.h"
#include "edgpu_knobs.h"
#include "edgpu_move.h"
#include "edgpu_pagemap.h"
#include "edgpu_tt.h"

/* The engine that moves objects. */
#define EDGPU_MOVE_ENGINE	0

/* One copy from @src, or a fill with zeroes without one, and wait for it. */
static int edgpu_move_run(struct edgpu_ring *ring, const struct edgpu_span *src,
			  const struct edgpu_span *dst, u64 size)
{
	struct edgpu_fence *fence;
	int ret;

	ret = edgpu_job_begin(ring, &fence);
	if (ret)
		return ret;

	if (src)
		ret = edgpu_job_copy(ring, *src, *dst, size);
	else
		ret = edgpu_job_fill(ring, *dst, size, 0);
	ret = edgpu_job_end(ring, fence, ret);
	edgpu_knobs_note_peak(ring->edgpu);
	return ret;
}

static int edgpu_move_fill_runs(struct edgpu_ring *ring, struct ttm_buffer_object *bo,
				pgoff_t first, pgoff_t nr, const unsigned long *bitmap, u64 value)
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

	ret = edgpu_job_begin(ring, &fence);
	if (ret)
		return ret;
	ret = edgpu_move_fill_runs(ring, bo, first, nr, bitmap, value);
	return edgpu_job_end(ring, fence, ret);
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
	return edgpu_move_run(&edgpu->rings[EDGPU_MOVE_ENGINE], src, dst, size);
}

/* System memory that was never written to needs no copy. */
static bool edgpu_move_has_content(struct ttm_buffer_object *bo)
{
	if (!bo->resource)
		return false;
	if (bo->resource->mem_type != TTM_PL_SYSTEM)
		return true;
	if (ttm_bo_is_discarded(bo))
		return true;
	return bo->ttm && (ttm_tt_is_populated(bo->ttm) || ttm_tt_is_swapped(bo->ttm) ||
			   ttm_tt_is_partial(bo->ttm));
}

static struct edgpu_ring *edgpu_move_ring(struct ttm_buffer_object *bo)
{
	return &ttm_to_edgpu(bo->bdev)->rings[EDGPU_MOVE_ENGINE];
}

static int edgpu_move_copy_chunk(struct ttm_buffer_object *bo, struct ttm_resource *new_mem,
				 pgoff_t first, pgoff_t nr)
{
	u64 offset = (u64)first << PAGE_SHIFT;
	struct edgpu_span src = edgpu_span(bo->resource, bo->ttm, offset);
	struct edgpu_span dst = edgpu_span(new_mem, bo->ttm, offset);

	return edgpu_move_run(edgpu_move_ring(bo), &src, &dst, (u64)nr << PAGE_SHIFT);
}

/*
 * What is larger than a chunk and has no pages now doesn't get all of them only
 * to be copied, from or to.
 */
static bool edgpu_move_in_chunks(struct ttm_buffer_object *bo, struct ttm_resource *new_mem)
{
	return edgpu_tt_is_chunked(bo) && !ttm_tt_is_populated(bo->ttm) &&
	       !ttm_bo_is_discarded(bo) &&
	       edgpu_move_has_content(bo) &&
	       (bo->resource->mem_type == TTM_PL_SYSTEM) != (new_mem->mem_type == TTM_PL_SYSTEM);
}

static int edgpu_move_data(struct ttm_buffer_object *bo, struct ttm_operation_ctx *ctx,
			   struct ttm_resource *new_mem)
{
	struct edgpu_ring *ring = edgpu_move_ring(bo);
	bool content = edgpu_move_has_content(bo);
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
		return edgpu_move_run(ring, NULL, &dst, bo->base.size);

	src = edgpu_span(bo->resource, bo->ttm, 0);
	return edgpu_move_run(ring, &src, &dst, bo->base.size);
}

/* How an object gets from one place to another. */
enum edgpu_move_kind {
	EDGPU_MOVE_NULL,	/* both are system memory */
	EDGPU_MOVE_DEVMEM,	/* out of VRAM, page by page, to the processes that have them */
	EDGPU_MOVE_PURGE,	/* out of VRAM, and nobody needs its content */
	EDGPU_MOVE_CHUNKS,
	EDGPU_MOVE_WHOLE,
};

static enum edgpu_move_kind edgpu_move_kind(struct ttm_buffer_object *bo,
					    struct ttm_resource *new_mem)
{
	bool from_system = !bo->resource || bo->resource->mem_type == TTM_PL_SYSTEM;
	bool to_system = new_mem->mem_type == TTM_PL_SYSTEM;

	if (from_system && to_system)
		return EDGPU_MOVE_NULL;
	if (to_system && edgpu_bo_is_ours(bo) && to_edgpu_bo(bo)->devmem)
		return EDGPU_MOVE_DEVMEM;
	if (to_system && edgpu_is_purgeable(bo))
		return EDGPU_MOVE_PURGE;
	return edgpu_move_in_chunks(bo, new_mem) ? EDGPU_MOVE_CHUNKS : EDGPU_MOVE_WHOLE;
}

static int edgpu_move_content(struct ttm_buffer_object *bo, struct ttm_operation_ctx *ctx,
			      struct ttm_resource *new_mem, enum edgpu_move_kind kind)
{
	struct edgpu_device *edgpu = ttm_to_edgpu(bo->bdev);
	struct edgpu_entry entry;
	int ret;

	ret = ttm_bo_wait_ctx(bo, ctx);
	if (ret)
		return ret;
	ret = edgpu_try_enter(edgpu, &entry);
	if (ret)
		return ret;

	if (kind == EDGPU_MOVE_DEVMEM)
		ret = edgpu_devmem_evict(to_edgpu_bo(bo)->devmem);
	else if (kind == EDGPU_MOVE_PURGE)
		ttm_bo_mark_discarded(bo, 0, PFN_UP(bo->base.size));
	else if (kind == EDGPU_MOVE_CHUNKS)
		ret = ttm_bo_move_in_chunks(bo, ctx, new_mem, edgpu_move_copy_chunk);
	else
		ret = edgpu_move_data(bo, ctx, new_mem);
	edgpu_exit(edgpu, &entry);
	return ret;
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
	struct edgpu_counters *counters = &ttm_to_edgpu(bo->bdev)->counters;
	bool from_vram = bo->resource && bo->resource->mem_type != TTM_PL_SYSTEM;
	enum edgpu_move_kind kind = edgpu_move_kind(bo, new_mem);
	int ret;

	if (kind == EDGPU_MOVE_NULL) {
		ttm_bo_move_null(bo, new_mem);
		return 0;
	}

	ret = edgpu_move_content(bo, ctx, new_mem, kind);
	if (ret)
		return ret;

	if (new_mem->mem_type == TTM_PL_VRAM)
		atomic64_add(bo->base.size, &counters->to_vram);
	if (from_vram)
		atomic64_add(bo->base.size, &counters->from_vram);

	/* In chunks TTM has done that itself. */
	if (kind == EDGPU_MOVE_CHUNKS)
		return 0;
	if (bo->resource)
		ttm_bo_move_sync_cleanup(bo, new_mem);
	else
		ttm_bo_assign_mem(bo, new_mem);
	return 0;
}
