// SPDX-License-Identifier: GPL-2.0
/*
 * Taking system memory from objects, under memory pressure or on request: by
 * TTM's shrinker. This file says what is different with backend=backup, and for
 * measurements, lets the user say how the shrinker works.
 */

#include <linux/module.h>
#include <linux/numa.h>
#include <linux/seq_file.h>
#include <linux/string.h>

#include <drm/drm_print.h>
#include <drm/ttm/ttm_bo.h>
#include <drm/ttm/ttm_device.h>

#include "edgpu_drv.h"
#include "edgpu_shrinker.h"

#ifdef EDGPU_HAS_TTM_SHRINKER

static char *edgpu_walk = "macro";
module_param_named(walk, edgpu_walk, charp, 0444);
MODULE_PARM_DESC(walk, "How the shrinker comes by objects: macro (default), callback or next");

static char *edgpu_policy = "pages";
module_param_named(policy, edgpu_policy, charp, 0444);
MODULE_PARM_DESC(policy, "What the shrinker does in a call: the pages asked for (pages, default) or one object (bo)");

static const char * const walk_names[TTM_SHRINKER_WALKS] = {
	[TTM_SHRINKER_WALK_MACRO] = "macro",
	[TTM_SHRINKER_WALK_CALLBACK] = "callback",
	[TTM_SHRINKER_WALK_NEXT] = "next",
};

static const char * const policy_names[TTM_SHRINKER_POLICIES] = {
	[TTM_SHRINKER_POLICY_PAGES] = "pages",
	[TTM_SHRINKER_POLICY_BO] = "bo",
};

/* TTM leaves swapping out to us then. */
static const struct ttm_shrinker_ops backup_ops = {
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
	struct device *dev = edgpu->drm.dev;
	int walk = match_string(walk_names, TTM_SHRINKER_WALKS, edgpu_walk);
	int policy = match_string(policy_names, TTM_SHRINKER_POLICIES, edgpu_policy);

	if (walk < 0)
		return dev_err_probe(dev, -EINVAL, "walk=%s is none of macro, callback, next\n",
				     edgpu_walk);
	if (policy < 0)
		return dev_err_probe(dev, -EINVAL, "policy=%s is neither pages nor bo\n",
				     edgpu_policy);

	return ttm_shrinker_init(&edgpu->shrinker, &edgpu->ttm, backup ? &backup_ops : NULL,
				 walk, policy, dev_name(dev));
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
 * edgpu_shrinker_reclaimed() - what memory pressure took from objects
 * @edgpu: the device
 *
 * Return: pages.
 */
unsigned long edgpu_shrinker_reclaimed(struct edgpu_device *edgpu)
{
	return atomic_long_read(&edgpu->shrinker.stats.freed);
}

/**
 * edgpu_shrinker_show() - what the shrinker did, for debugfs
 * @m: where to
 * @edgpu: the device
 */
void edgpu_shrinker_show(struct seq_file *m, struct edgpu_device *edgpu)
{
	struct ttm_shrinker_stats *stats = &edgpu->shrinker.stats;

	seq_printf(m, "shrink_walk: %s\n", walk_names[edgpu->shrinker.walk]);
	seq_printf(m, "shrink_policy: %s\n", policy_names[edgpu->shrinker.policy]);
	seq_printf(m, "shrink_calls: %ld\n", atomic_long_read(&stats->calls));
	seq_printf(m, "shrink_asked: %ld\n", atomic_long_read(&stats->asked));
	seq_printf(m, "shrink_visited: %ld\n", atomic_long_read(&stats->visited));
	seq_printf(m, "shrink_refused: %ld\n", atomic_long_read(&stats->refused));
	seq_printf(m, "shrink_scanned: %ld\n", atomic_long_read(&stats->scanned));
	seq_printf(m, "shrink_purged: %ld\n", atomic_long_read(&stats->purged));
	seq_printf(m, "shrinkable_pages: %lu\n",
		   ttm_device_shrinkable_pages(&edgpu->ttm, NUMA_NO_NODE));
	seq_printf(m, "lru_lock: %p\n", &edgpu->ttm.lru_lock);
}

#endif
