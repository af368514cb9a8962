// SPDX-License-Identifier: GPL-2.0
/*
 * Taking system memory from objects, under memory pressure or on request: by
 * TTM's shrinker. This file says what is different with backend=backup.
 */

#include <linux/numa.h>
#include <linux/seq_file.h>

#include <drm/drm_print.h>
#include <drm/ttm/ttm_bo.h>
#include <drm/ttm/ttm_device.h>

#include "edgpu_drv.h"
#include "edgpu_knobs.h"
#include "edgpu_shrinker.h"
#include "edgpu_tt.h"

/* TTM leaves swapping out to us then. */
static const struct ttm_shrinker_ops edgpu_backup_ops = {
	.shrink = edgpu_tt_backup,
};

/**
 * edgpu_shrinker_init() - let memory pressure reach the objects
 * @edgpu: the device
 *
 * Return: 0 or a negative error code.
 */
int edgpu_shrinker_init(struct edgpu_device *edgpu)
{
	bool backup = edgpu->backend == EDGPU_BACKEND_BACKUP;
	int walk = edgpu_knobs_walk(edgpu), policy = edgpu_knobs_policy(edgpu);

	if (walk < 0 || policy < 0)
		return -EINVAL;
	return ttm_shrinker_init(&edgpu->shrinker, &edgpu->ttm, backup ? &edgpu_backup_ops : NULL,
				 walk, policy, dev_name(edgpu->drm.dev));
}

/**
 * edgpu_shrinker_fini() - the reverse, waiting for shrinkers that run
 * @edgpu: the device
 */
void edgpu_shrinker_fini(struct edgpu_device *edgpu)
{
	ttm_shrinker_fini(&edgpu->shrinker);
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
	struct ttm_operation_ctx ctx = { };
	long ret;

	ret = ttm_shrinker_evict(&edgpu->shrinker, &ctx, edgpu_tt_pages(edgpu));
	if (ret < 0)
		drm_warn(&edgpu->drm, "objects stay in system memory: %ld\n", ret);
	else
		atomic_long_add(ret, &edgpu->counters.evicted_pages);
}

/**
 * edgpu_shrinker_show() - what the shrinker did, for debugfs
 * @m: where to
 * @edgpu: the device
 */
void edgpu_shrinker_show(struct seq_file *m, struct edgpu_device *edgpu)
{
	struct ttm_shrinker_stats *stats = &edgpu->shrinker.stats;

	seq_printf(m, "shrink_calls: %ld\n", atomic_long_read(&stats->calls));
	seq_printf(m, "shrink_asked: %ld\n", atomic_long_read(&stats->asked));
	seq_printf(m, "shrink_visited: %ld\n", atomic_long_read(&stats->visited));
	seq_printf(m, "shrink_refused: %ld\n", atomic_long_read(&stats->refused));
	seq_printf(m, "shrink_scanned: %ld\n", atomic_long_read(&stats->scanned));
	seq_printf(m, "shrink_purged: %ld\n", atomic_long_read(&stats->purged));
	seq_printf(m, "shrinkable_pages: %lu\n",
		   ttm_device_shrinkable_pages(&edgpu->ttm, NUMA_NO_NODE));
}
