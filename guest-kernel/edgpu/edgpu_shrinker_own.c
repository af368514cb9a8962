// SPDX-License-Identifier: GPL-2.0
/*
 * The same without TTM's shrinker, for kernels that have none: what a driver
 * has to write itself there. Only for backends that these kernels have, for
 * comparison.
 */

#include <linux/sched.h>
#include <linux/shrinker.h>

#include <drm/drm_print.h>
#include <drm/ttm/ttm_backup.h>
#include <drm/ttm/ttm_bo.h>
#include <drm/ttm/ttm_device.h>
#include <drm/ttm/ttm_placement.h>
#include <drm/ttm/ttm_resource.h>

#include "edgpu_drv.h"
#include "edgpu_shrinker.h"

#ifndef EDGPU_HAS_TTM_SHRINKER

/* struct edgpu_shrink - how much to take, and how far it got, in pages. */
struct edgpu_shrink {
	unsigned long target;
	unsigned long scanned;
	unsigned long freed;
};

static bool shrink_done(const struct edgpu_shrink *shrink)
{
	return shrink->scanned >= shrink->target;
}

/* What TTM swaps out itself. */
static int shrink_swapout(struct edgpu_device *edgpu, struct ttm_operation_ctx *ctx,
			  gfp_t gfp, struct edgpu_shrink *shrink)
{
	int ret = 0;

	while (!shrink_done(shrink)) {
		ret = ttm_device_swapout(&edgpu->ttm, ctx, gfp);
		if (ret <= 0)
			break;
		shrink->scanned += ret;
		shrink->freed += ret;
		cond_resched();
	}
	return min(ret, 0);
}

static int shrink_backup_pass(struct edgpu_device *edgpu, struct ttm_operation_ctx *ctx,
			      bool writeback, struct edgpu_shrink *shrink)
{
	struct ttm_resource_manager *man = ttm_manager_type(&edgpu->ttm, TTM_PL_SYSTEM);
	struct ttm_lru_walk_arg arg = { .ctx = ctx, .trylock_only = true };
	struct ttm_bo_lru_cursor cursor;
	struct ttm_buffer_object *bo;
	long ret;

	ttm_bo_lru_for_each_reserved_guarded(&cursor, man, &arg, bo) {
		if (!ttm_bo_shrink_suitable(bo, ctx))
			continue;

		shrink->scanned += bo->ttm->num_pages;
		ret = edgpu_tt_backup(bo, ctx, writeback);
		if (ret < 0)
			return ret;

		shrink->freed += ret;
		if (shrink_done(shrink))
			break;
		cond_resched();
	}
	return 0;
}

/* As xe does: first what is idle, then what is busy, then with writeback. */
static int shrink_backup(struct edgpu_device *edgpu, struct ttm_operation_ctx *ctx,
			 gfp_t gfp, struct edgpu_shrink *shrink)
{
	struct ttm_operation_ctx idle = *ctx;
	int ret;

	idle.no_wait_gpu = true;
	ret = shrink_backup_pass(edgpu, &idle, false, shrink);
	if (ret || shrink_done(shrink) || ctx->no_wait_gpu)
		return ret;

	ret = shrink_backup_pass(edgpu, ctx, false, shrink);
	if (ret || shrink_done(shrink) || !(gfp & __GFP_IO))
		return ret;

	return shrink_backup_pass(edgpu, ctx, true, shrink);
}

static int shrink(struct edgpu_device *edgpu, struct ttm_operation_ctx *ctx,
		  gfp_t gfp, struct edgpu_shrink *shrink)
{
	if (edgpu->backend == EDGPU_BACKEND_BACKUP)
		return shrink_backup(edgpu, ctx, gfp, shrink);
	return shrink_swapout(edgpu, ctx, gfp, shrink);
}

/* Copies need shmem folios and their locks. */
static bool shrink_may_run(gfp_t gfp)
{
	return gfp & __GFP_FS;
}

/* TTM's own swapout stops at the first busy object that it may wait for. */
static bool shrink_avoids_wait(struct edgpu_device *edgpu)
{
	return edgpu->backend != EDGPU_BACKEND_BACKUP || ttm_bo_shrink_avoid_wait();
}

static unsigned long edgpu_shrinker_count(struct shrinker *shrinker,
					  struct shrink_control *sc)
{
	struct edgpu_device *edgpu = shrinker->private_data;
	u64 pages = edgpu_tt_pages(edgpu);

	if (!shrink_may_run(sc->gfp_mask))
		return SHRINK_EMPTY;
	pages = min(pages, ttm_backup_bytes_avail() >> PAGE_SHIFT);
	return pages ?: SHRINK_EMPTY;
}

static unsigned long edgpu_shrinker_scan(struct shrinker *shrinker,
					 struct shrink_control *sc)
{
	struct edgpu_device *edgpu = shrinker->private_data;
	struct ttm_operation_ctx ctx = { .no_wait_gpu = shrink_avoids_wait(edgpu) };
	struct edgpu_shrink progress = { .target = sc->nr_to_scan };

	if (!shrink_may_run(sc->gfp_mask))
		return SHRINK_STOP;

	shrink(edgpu, &ctx, sc->gfp_mask, &progress);
	atomic_long_add(progress.freed, &edgpu->counters.reclaimed_pages);
	sc->nr_scanned = progress.scanned;
	return progress.scanned ? progress.freed : SHRINK_STOP;
}

/**
 * edgpu_shrinker_init() - let memory pressure reach the objects
 * @edgpu: the device
 *
 * Return: 0 or a negative error code.
 */
int edgpu_shrinker_init(struct edgpu_device *edgpu)
{
	edgpu->own_shrinker = shrinker_alloc(0, "drm-edgpu:%s", dev_name(edgpu->drm.dev));
	if (!edgpu->own_shrinker)
		return -ENOMEM;

	edgpu->own_shrinker->count_objects = edgpu_shrinker_count;
	edgpu->own_shrinker->scan_objects = edgpu_shrinker_scan;
	edgpu->own_shrinker->private_data = edgpu;
	shrinker_register(edgpu->own_shrinker);
	return 0;
}

/**
 * edgpu_shrinker_fini() - the reverse, waiting for shrinkers that run
 * @edgpu: the device
 */
void edgpu_shrinker_fini(struct edgpu_device *edgpu)
{
	shrinker_free(edgpu->own_shrinker);
	edgpu->own_shrinker = NULL;
}

/**
 * edgpu_evict_system() - take all system memory from objects that are not locked
 * @edgpu: the device
 *
 * Their content goes where the backend puts it under memory pressure. What
 * comes back meanwhile is left alone.
 */
void edgpu_evict_system(struct edgpu_device *edgpu)
{
	struct edgpu_shrink progress = { .target = edgpu_tt_pages(edgpu) };
	struct ttm_operation_ctx ctx = { };
	int ret;

	ret = shrink(edgpu, &ctx, GFP_KERNEL, &progress);
	atomic_long_add(progress.freed, &edgpu->counters.evicted_pages);
	if (ret < 0)
		drm_warn(&edgpu->drm, "objects stay in system memory: %d\n", ret);
}

unsigned long edgpu_shrinker_reclaimed(struct edgpu_device *edgpu)
{
	return atomic_long_read(&edgpu->counters.reclaimed_pages);
}

void edgpu_shrinker_show(struct seq_file *m, struct edgpu_device *edgpu)
{
}

#endif
