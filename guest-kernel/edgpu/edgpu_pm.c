// SPDX-License-Identifier: GPL-2.0
/*
 * Sleep, which costs VRAM its content: how it is saved and brought back, and what
 * a system sleep has to do with it. For that of the device alone see
 * edgpu_runtime.c.
 *
 * All that takes memory or time, or can fail, happens in the PM notifiers: VRAM
 * is saved before anything is frozen, and brought back when everything runs
 * again. In between ioctls wait, and TTM serves CPU faults from what was saved.
 * What is left for the callbacks of the device is to stop and start the engines.
 */

#include <linux/device.h>
#include <linux/dma-mapping.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/highmem.h>
#include <linux/module.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/suspend.h>

#include <drm/drm_managed.h>
#include <drm/drm_print.h>
#include <drm/ttm/ttm_bo.h>
#include <drm/ttm/ttm_placement.h>
#include <drm/ttm/ttm_resource.h>
#if __has_include("drm/ttm/ttm_sleep.h")
#include <drm/ttm/ttm_sleep.h>
#define EDGPU_PM_SAVES
#endif

#include "edgpu_access.h"
#include "edgpu_drm.h"
#include "edgpu_drv.h"
#include "edgpu_entry.h"
#include "edgpu_engine.h"
#include "edgpu_gem.h"
#include "edgpu_job.h"
#include "edgpu_move.h"
#include "edgpu_pm.h"
#include "edgpu_purge.h"
#include "edgpu_runtime.h"
#include "edgpu_shrinker.h"

/* More than TTM copies at once. */
#define EDGPU_PM_MAX_PAGES	(SZ_4M / PAGE_SIZE)
/* An engine that fails is reset, and may be better after. */
#define EDGPU_PM_TRIES		3

static bool edgpu_skip_vram_save;
module_param_named(skip_vram_save, edgpu_skip_vram_save, bool, 0644);
MODULE_PARM_DESC(skip_vram_save, "For tests of tests: lose what is in VRAM when the system sleeps (default: no)");

#ifdef EDGPU_PM_SAVES

static bool edgpu_suspend_budget = true;
module_param_named(suspend_budget, edgpu_suspend_budget, bool, 0444);
MODULE_PARM_DESC(suspend_budget, "Hand out no more VRAM than could be saved (default: yes)");

/*
 * suspend_file: the path of a file or partition that VRAM is saved to when there
 * is no memory or swap for it; nothing but a newline: none.
 */
static ssize_t suspend_file_store(struct device *dev, struct device_attribute *attr,
				  const char *buf, size_t count)
{
	struct edgpu_device *edgpu = dev_get_drvdata(dev);
	struct edgpu_entry entry;
	struct file *file = NULL;
	char *path;
	int ret;

	path = kstrndup(buf, count, GFP_KERNEL);
	if (!path)
		return -ENOMEM;

	if (*strim(path))
		file = filp_open(strim(path), O_RDWR | O_LARGEFILE, 0);
	kfree(path);
	if (IS_ERR(file))
		return PTR_ERR(file);

	/* Not while it falls asleep, nor with something in the old file. */
	ret = edgpu_enter(edgpu, &entry);
	if (!ret) {
		ret = ttm_device_set_sleep_file(&edgpu->ttm, file);
		edgpu_exit(edgpu, &entry);
	}
	if (file)
		fput(file);
	return ret ?: count;
}
static DEVICE_ATTR_WO(suspend_file);

static struct attribute *edgpu_pm_attrs[] = {
	&dev_attr_suspend_file.attr,
	NULL
};

static const struct attribute_group edgpu_pm_group = { .attrs = edgpu_pm_attrs };

static int pm_map_pages(struct edgpu_device *edgpu, struct page **pages, unsigned int count)
{
	struct device *dev = &edgpu->pdev->dev;
	dma_addr_t *addrs = edgpu->pm.addrs;
	unsigned int i;

	for (i = 0; i < count; i++) {
		addrs[i] = dma_map_page_attrs(dev, pages[i], 0, PAGE_SIZE, DMA_BIDIRECTIONAL,
					      DMA_ATTR_REQUIRE_COHERENT);
		if (dma_mapping_error(dev, addrs[i]))
			break;
	}
	return i;
}

static void pm_unmap_pages(struct edgpu_device *edgpu, unsigned int count)
{
	struct device *dev = &edgpu->pdev->dev;

	while (count--)
		dma_unmap_page_attrs(dev, edgpu->pm.addrs[count], PAGE_SIZE, DMA_BIDIRECTIONAL,
				     DMA_ATTR_REQUIRE_COHERENT);
}

static int pm_copy_by_engine(struct edgpu_device *edgpu, struct ttm_buffer_object *bo,
			     u64 offset, u64 size, bool restore)
{
	struct edgpu_span vram = edgpu_span(bo->resource, NULL, offset);
	struct edgpu_span pages = { .pages = edgpu->pm.addrs };
	unsigned int tries;
	int ret = -EIO;

	for (tries = 0; ret == -EIO && tries < EDGPU_PM_TRIES; tries++) {
		if (READ_ONCE(edgpu->wedged))
			break;
		ret = restore ? edgpu_move_copy(edgpu, &pages, &vram, size) :
				edgpu_move_copy(edgpu, &vram, &pages, size);
	}
	return ret;
}

/* Without the engines, where the CPU sees it: slow, but they may be broken. */
static int pm_copy_by_cpu(struct edgpu_device *edgpu, struct ttm_buffer_object *bo,
			  u64 offset, struct page **pages, unsigned int count, bool restore)
{
	unsigned int i;
	int len;

	for (i = 0; i < count; i++) {
		void *page = kmap_local_page(pages[i]);

		len = edgpu_bo_access_memory(bo, offset + ((u64)i << PAGE_SHIFT), page,
					     PAGE_SIZE, restore);
		kunmap_local(page);
		if (len < 0)
			return len;
		cond_resched();
	}
	/* Whatever was read from a device that has gone away means nothing. */
	return edgpu_is_alive(edgpu) ? 0 : -EIO;
}

static int pm_copy(struct ttm_buffer_object *bo, u64 offset, struct page **pages,
		   unsigned int count, bool restore)
{
	struct edgpu_device *edgpu = ttm_to_edgpu(bo->bdev);
	u64 size = (u64)count << PAGE_SHIFT;
	struct edgpu_entry entry;
	unsigned int mapped;
	int ret;

	if (WARN_ON_ONCE(count > EDGPU_PM_MAX_PAGES))
		return -EINVAL;
	ret = edgpu_try_enter(edgpu, &entry);
	if (ret)
		return ret;

	ret = -ENOMEM;
	mapped = pm_map_pages(edgpu, pages, count);
	if (mapped == count)
		ret = pm_copy_by_engine(edgpu, bo, offset, size, restore);
	pm_unmap_pages(edgpu, mapped);
	if (ret && !READ_ONCE(edgpu->wedged))
		ret = pm_copy_by_cpu(edgpu, bo, offset, pages, count, restore);
	edgpu_exit(edgpu, &entry);

	if (!ret && restore)
		edgpu->pm.restored += size;
	else if (!ret)
		edgpu->pm.saved += size;
	return ret;
}

static bool pm_wanted(struct ttm_buffer_object *bo)
{
	return !edgpu_skip_vram_save;
}

static void pm_restored(struct ttm_buffer_object *bo, int error)
{
	struct edgpu_device *edgpu = ttm_to_edgpu(bo->bdev);

	/* The content is of this VRAM now, whatever was lost on the way. */
	edgpu_vram_lost(edgpu, bo->resource);
	if (!error)
		return;

	edgpu->pm.lost++;
	if (edgpu_bo_is_ours(bo))
		to_edgpu_bo(bo)->error = -EIO;
}

/* While the system sleeps, or is about to, the device is in D0, and this does nothing. */
static void pm_wake(struct ttm_device *ttm)
{
	edgpu_runtime_wake(ttm_to_edgpu(ttm));
}

static const struct ttm_sleep_funcs edgpu_sleep_funcs = {
	.copy = pm_copy,
	.wanted = pm_wanted,
	.restored = pm_restored,
	.wake = pm_wake,
};

/**
 * edgpu_pm_forget() - an object that is saved may have lost its last user
 * @edgpu: the device
 */
void edgpu_pm_forget(struct edgpu_device *edgpu)
{
	/* It comes back without it, and goes to sleep again. */
	if (ttm_sleep_is_asleep(&edgpu->ttm.sleep))
		edgpu_runtime_wake(edgpu);
}

/**
 * edgpu_pm_save() - save what is in VRAM
 * @edgpu: the device, in D0, with its engines idle and nobody to give them work
 *
 * Return: 0, or a negative error code; then everything is as before.
 */
int edgpu_pm_save(struct edgpu_device *edgpu)
{
	return ttm_device_save(&edgpu->ttm, ttm_manager_type(&edgpu->ttm, TTM_PL_VRAM),
			       &edgpu_sleep_funcs);
}

/**
 * edgpu_pm_restore() - bring it back
 * @edgpu: the device, in D0, with its engines started
 *
 * Return: 0, or a negative error code if something was lost.
 */
int edgpu_pm_restore(struct edgpu_device *edgpu)
{
	return ttm_device_restore(&edgpu->ttm);
}

/**
 * edgpu_pm_has_saved() - whether an object is in a VRAM that sleeps
 * @bo: the object, locked
 *
 * If not, and it is in VRAM, then the device is awake at least until it is unlocked.
 *
 * Return: true if so.
 */
bool edgpu_pm_has_saved(struct ttm_buffer_object *bo)
{
	return bo->saved;
}

static int pm_set_up(struct edgpu_device *edgpu)
{
	int ret;

	ret = ttm_device_reserve_sleep(&edgpu->ttm);
	if (ret)
		return ret;
	ttm_manager_type(&edgpu->ttm, TTM_PL_VRAM)->saved = edgpu_suspend_budget;
	return devm_device_add_group(edgpu->drm.dev, &edgpu_pm_group);
}

#else /* a kernel without it, for comparison: objects move out, and don't come back */

void edgpu_pm_forget(struct edgpu_device *edgpu)
{
}

int edgpu_pm_save(struct edgpu_device *edgpu)
{
	if (edgpu_skip_vram_save)
		return 0;
	return ttm_resource_manager_evict_all(&edgpu->ttm,
					      ttm_manager_type(&edgpu->ttm, TTM_PL_VRAM));
}

int edgpu_pm_restore(struct edgpu_device *edgpu)
{
	return 0;
}

bool edgpu_pm_has_saved(struct ttm_buffer_object *bo)
{
	return false;
}

static int pm_set_up(struct edgpu_device *edgpu)
{
	return 0;
}

#endif

/* Let in those who wait. */
static void pm_wake_up(struct edgpu_device *edgpu)
{
	WRITE_ONCE(edgpu->pm.asleep, false);
	wake_up_all(&edgpu->pm.awake);
	edgpu_runtime_put(edgpu, true);
}

/* Content that nobody needs is not worth the room that it takes. */
static void pm_purge(struct edgpu_device *edgpu)
{
	struct ttm_operation_ctx ctx = { };
	struct ttm_lru_walk_arg arg = { .ctx = &ctx, .sleeping_lock = true };
	struct edgpu_placement placement;
	struct ttm_bo_lru_cursor cursor;
	struct ttm_buffer_object *bo;

	edgpu_placement_init(&placement, EDGPU_PLACEMENT_SYSTEM, false);
	ttm_bo_lru_for_each_reserved_guarded(&cursor, &edgpu->vram.base, &arg, bo) {
		/* One that stays is saved. */
		if (edgpu_purge_is_purgeable(bo))
			ttm_bo_validate(bo, &placement.base, &ctx);
	}
}

static int pm_fall_asleep(struct edgpu_device *edgpu, bool hibernation)
{
	int ret;

	/* One sleep after the other. */
	ret = edgpu_runtime_get(edgpu);
	if (ret)
		return ret;

	/* Those who have entered finish, and nobody else enters. */
	WRITE_ONCE(edgpu->pm.asleep, true);
	down_write(&edgpu->reset_sem);
	edgpu_engines_wait_idle(edgpu);
	up_write(&edgpu->reset_sem);

	/* What is in a VRAM that does not answer any more is lost already. */
	if (!READ_ONCE(edgpu->wedged)) {
		pm_purge(edgpu);
		ret = edgpu_pm_save(edgpu);
	}
	/* So that it can be swapped out, and need not be part of the image. */
	if (!ret && hibernation)
		edgpu_evict_system(edgpu);
	if (!ret)
		return 0;

	edgpu->pm.refused++;
	drm_warn(&edgpu->drm, "no sleep: what is in VRAM can't be saved: %d\n", ret);
	pm_wake_up(edgpu);
	return ret;
}

static void pm_come_back(struct edgpu_device *edgpu)
{
	int ret;

	if (!edgpu_pm_is_asleep(&edgpu->pm))
		return;
	ret = edgpu_pm_restore(edgpu);
	if (ret)
		drm_err(&edgpu->drm, "objects in VRAM have lost their content: %d\n", ret);
	pm_wake_up(edgpu);
}

static int edgpu_pm_notify(struct notifier_block *nb, unsigned long event, void *data)
{
	struct edgpu_device *edgpu = container_of(nb, struct edgpu_device, pm.notifier);

	switch (event) {
	case PM_SUSPEND_PREPARE:
	case PM_RESTORE_PREPARE:
		return notifier_from_errno(pm_fall_asleep(edgpu, false));
	case PM_HIBERNATION_PREPARE:
		return notifier_from_errno(pm_fall_asleep(edgpu, true));
	case PM_POST_SUSPEND:
	case PM_POST_HIBERNATION:
	case PM_POST_RESTORE:
		pm_come_back(edgpu);
		return NOTIFY_OK;
	default:
		return NOTIFY_DONE;
	}
}

static int edgpu_pm_suspend(struct device *dev)
{
	struct edgpu_device *edgpu = dev_get_drvdata(dev);

	edgpu_engines_wait_idle(edgpu);
	edgpu_engines_stop(edgpu);
	return 0;
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
	struct edgpu_pm *pm = &edgpu->pm;
	int ret;

	pm->addrs = drmm_kcalloc(&edgpu->drm, EDGPU_PM_MAX_PAGES, sizeof(*pm->addrs), GFP_KERNEL);
	if (!pm->addrs)
		return -ENOMEM;

	ret = pm_set_up(edgpu);
	if (ret)
		return ret;

	pm->notifier.notifier_call = edgpu_pm_notify;
	return register_pm_notifier(&pm->notifier);
}

/**
 * edgpu_pm_fini() - the reverse
 * @edgpu: the device, unplugged
 */
void edgpu_pm_fini(struct edgpu_device *edgpu)
{
	unregister_pm_notifier(&edgpu->pm.notifier);
	/* It goes while the system falls asleep: nobody is to wait for that. */
	pm_come_back(edgpu);
}
