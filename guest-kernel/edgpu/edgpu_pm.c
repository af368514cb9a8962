// SPDX-License-Identifier: GPL-2.0
/*
 * Sleep of the system. For that of the device alone see edgpu_runtime.c.
 *
 * All that takes memory or time, or can fail, happens in the PM notifiers: VRAM
 * is saved before anything is frozen, and brought back when everything runs
 * again. In between ioctls wait, and TTM serves CPU faults from what was saved.
 * What is left for the callbacks of the device is to stop and start the engines.
 */

#include <linux/device.h>
#include <linux/suspend.h>

#include <drm/drm_print.h>
#include <drm/ttm/ttm_bo.h>
#include <drm/ttm/ttm_resource.h>

#include "edgpu_drm.h"
#include "edgpu_drv.h"
#include "edgpu_engine.h"
#include "edgpu_entry.h"
#include "edgpu_knobs.h"
#include "edgpu_pm.h"
#include "edgpu_runtime.h"
#include "edgpu_save.h"
#include "edgpu_shrinker.h"
#include "edgpu_vram.h"

/* Let in those who wait. */
static void edgpu_pm_wake_up(struct edgpu_device *edgpu)
{
	WRITE_ONCE(edgpu->asleep, false);
	wake_up_all(&edgpu->awake);
	edgpu_power_put(edgpu, true);
}

/* Content that nobody needs is not worth the room that it takes. */
static void edgpu_pm_purge(struct edgpu_device *edgpu)
{
	struct ttm_operation_ctx ctx = { };
	struct ttm_lru_walk_arg arg = { .ctx = &ctx, .sleeping_lock = true };
	struct edgpu_placement placement;
	struct ttm_bo_lru_cursor cursor;
	struct ttm_buffer_object *bo;

	edgpu_placement_init(&placement, EDGPU_PLACEMENT_SYSTEM, false);
	ttm_bo_lru_for_each_reserved_guarded(&cursor, &edgpu->vram.base, &arg, bo) {
		/* One that stays is saved. */
		if (edgpu_is_purgeable(bo))
			ttm_bo_validate(bo, &placement.base, &ctx);
	}
}

static int edgpu_pm_fall_asleep(struct edgpu_device *edgpu, bool hibernation)
{
	int ret;

	/* One sleep after the other. */
	ret = edgpu_power_get(edgpu);
	if (ret)
		return ret;

	/* Those who have entered finish, and nobody else enters. */
	WRITE_ONCE(edgpu->asleep, true);
	down_write(&edgpu->reset_sem);
	edgpu_engines_wait_idle(edgpu);
	up_write(&edgpu->reset_sem);

	/* What is in a VRAM that does not answer any more is lost already. */
	if (!READ_ONCE(edgpu->wedged) && !edgpu_knobs_evict_in_suspend()) {
		/* Those of processes can't be saved in their place. */
		ret = edgpu_pagemap_evict_all(edgpu);
		if (!ret) {
			edgpu_pm_purge(edgpu);
			ret = edgpu_save(edgpu);
		}
	}
	/* So that it can be swapped out, and need not be part of the image. */
	if (!ret && hibernation)
		edgpu_evict_system(edgpu);
	if (!ret)
		return 0;

	edgpu->pm.refused++;
	drm_warn(&edgpu->drm, "no sleep: what is in VRAM can't be saved: %d\n", ret);
	edgpu_pm_wake_up(edgpu);
	return ret;
}

static void edgpu_pm_come_back(struct edgpu_device *edgpu)
{
	int ret;

	if (!edgpu_is_asleep(edgpu))
		return;
	ret = edgpu_restore(edgpu);
	if (ret)
		drm_err(&edgpu->drm, "objects in VRAM have lost their content: %d\n", ret);
	edgpu_pm_wake_up(edgpu);
}

static int edgpu_pm_notify(struct notifier_block *nb, unsigned long event, void *data)
{
	struct edgpu_device *edgpu = container_of(nb, struct edgpu_device, pm.notifier);

	switch (event) {
	case PM_SUSPEND_PREPARE:
	case PM_RESTORE_PREPARE:
		return notifier_from_errno(edgpu_pm_fall_asleep(edgpu, false));
	case PM_HIBERNATION_PREPARE:
		return notifier_from_errno(edgpu_pm_fall_asleep(edgpu, true));
	case PM_POST_SUSPEND:
	case PM_POST_HIBERNATION:
	case PM_POST_RESTORE:
		edgpu_pm_come_back(edgpu);
		return NOTIFY_OK;
	default:
		return NOTIFY_DONE;
	}
}

static int edgpu_pm_suspend(struct device *dev)
{
	struct edgpu_device *edgpu = dev_get_drvdata(dev);
	int ret = 0;

	edgpu_engines_wait_idle(edgpu);
	if (edgpu_knobs_evict_in_suspend())
		ret = edgpu_knobs_evict(edgpu);
	if (!ret)
		edgpu_engines_stop(edgpu);
	return ret;
}

/* A device that does not come back is wedged then; the system comes back anyway. */
static int edgpu_pm_resume(struct device *dev)
{
	edgpu_engines_start(dev_get_drvdata(dev));
	return 0;
}

const struct dev_pm_ops edgpu_pm_ops = {
	SYSTEM_SLEEP_PM_OPS(edgpu_pm_suspend, edgpu_pm_resume)
	RUNTIME_PM_OPS(edgpu_runtime_suspend, edgpu_runtime_resume, NULL)
};

/**
 * edgpu_pm_init() - have VRAM survive a sleep
 * @edgpu: the device, with its engines running
 *
 * Return: 0 or a negative error code.
 */
int edgpu_pm_init(struct edgpu_device *edgpu)
{
	int ret = edgpu_save_init(edgpu);

	if (ret)
		return ret;
	edgpu->pm.notifier.notifier_call = edgpu_pm_notify;
	return register_pm_notifier(&edgpu->pm.notifier);
}

/**
 * edgpu_pm_fini() - the reverse
 * @edgpu: the device, unplugged
 */
void edgpu_pm_fini(struct edgpu_device *edgpu)
{
	unregister_pm_notifier(&edgpu->pm.notifier);
	/* It goes while the system falls asleep: nobody is to wait for that. */
	edgpu_pm_come_back(edgpu);
}
