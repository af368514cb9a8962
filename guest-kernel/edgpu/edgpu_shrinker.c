// SPDX-License-Identifier: GPL-2.0
/*
 * The shrinker: unpins shmem pages, so that reclaim can write them to swap.
 *
 * The engines are never needed for it, and never waited for: objects that are
 * busy or locked are skipped.
 */

#include <linux/shrinker.h>

#include <drm/ttm/ttm_bo.h>
#include <drm/ttm/ttm_device.h>

#include "edgpu_drv.h"
#include "edgpu_ttm.h"

static unsigned long edgpu_shrinker_count(struct shrinker *shrinker,
					  struct shrink_control *sc)
{
	return edgpu_ttm_shmem_pages(shrinker->private_data) ?: SHRINK_EMPTY;
}

static unsigned long edgpu_shrinker_scan(struct shrinker *shrinker,
					 struct shrink_control *sc)
{
	struct edgpu_device *edgpu = shrinker->private_data;
	struct ttm_operation_ctx ctx = { .no_wait_gpu = true };
	unsigned long freed = 0;
	int ret;

	while (freed < sc->nr_to_scan) {
		ret = ttm_device_swapout(&edgpu->ttm, &ctx, sc->gfp_mask);
		if (ret <= 0)
			break;
		freed += ret;
	}
	sc->nr_scanned = freed;
	return freed ?: SHRINK_STOP;
}

/**
 * edgpu_shrinker_init() - let memory pressure reach the objects
 * @edgpu: the device
 *
 * Only with the shmem backend: the others need memory to give memory back.
 *
 * Return: 0 or a negative error code.
 */
int edgpu_shrinker_init(struct edgpu_device *edgpu)
{
	if (edgpu->backend != EDGPU_BACKEND_SHMEM)
		return 0;

	edgpu->shrinker = shrinker_alloc(0, "drm-edgpu:%s", dev_name(edgpu->drm.dev));
	if (!edgpu->shrinker)
		return -ENOMEM;

	edgpu->shrinker->count_objects = edgpu_shrinker_count;
	edgpu->shrinker->scan_objects = edgpu_shrinker_scan;
	edgpu->shrinker->private_data = edgpu;
	shrinker_register(edgpu->shrinker);
	return 0;
}

/**
 * edgpu_shrinker_fini() - the reverse, waiting for shrinkers that run
 * @edgpu: the device
 */
void edgpu_shrinker_fini(struct edgpu_device *edgpu)
{
	shrinker_free(edgpu->shrinker);
	edgpu->shrinker = NULL;
}
