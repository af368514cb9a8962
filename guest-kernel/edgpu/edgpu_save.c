// SPDX-License-Identifier: GPL-2.0
/*
 * Keeping what is in VRAM while the device sleeps, which costs VRAM its content.
 *
 * TTM does it. This file is how the device copies, and where to when there is neither
 * memory nor swap. Who sleeps, and when: edgpu_runtime.c and edgpu_pm.c.
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

#include <drm/drm_managed.h>
#include <drm/ttm/ttm_bo.h>
#include <drm/ttm/ttm_placement.h>
#include <drm/ttm/ttm_resource.h>

#include "edgpu_access.h"
#include "edgpu_bo.h"
#include "edgpu_drv.h"
#include "edgpu_entry.h"
#include "edgpu_job.h"
#include "edgpu_knobs.h"
#include "edgpu_move.h"
#include "edgpu_save.h"

/* More than TTM copies at once. */
#define EDGPU_SAVE_MAX_PAGES	(SZ_4M / PAGE_SIZE)
/* An engine that fails is reset, and may be better after. */
#define EDGPU_SAVE_TRIES	3

static bool edgpu_suspend_budget = true;
module_param_named(suspend_budget, edgpu_suspend_budget, bool, 0444);
MODULE_PARM_DESC(suspend_budget, "Hand out no more VRAM than could be saved (default: yes)");

/*
 * suspend_file: the path of a file or partition that VRAM is saved to when there
 * is no memory or swap for it; nothing but a newline: none.
 */
static ssize_t edgpu_suspend_file_store(struct device *dev, struct device_attribute *attr,
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

static struct device_attribute edgpu_suspend_file =
	__ATTR(suspend_file, 0200, NULL, edgpu_suspend_file_store);

static struct attribute *edgpu_save_attrs[] = {
	&edgpu_suspend_file.attr,
	NULL
};

static const struct attribute_group edgpu_save_group = { .attrs = edgpu_save_attrs };

static int edgpu_save_map_pages(struct edgpu_device *edgpu, struct page **pages, unsigned int count)
{
	struct device *dev = &edgpu->pdev->dev;
	dma_addr_t *addrs = edgpu->save.addrs;
	unsigned int i;

	for (i = 0; i < count; i++) {
		addrs[i] = dma_map_page_attrs(dev, pages[i], 0, PAGE_SIZE, DMA_BIDIRECTIONAL,
					      DMA_ATTR_REQUIRE_COHERENT);
		if (dma_mapping_error(dev, addrs[i]))
			break;
	}
	return i;
}

static void edgpu_save_unmap_pages(struct edgpu_device *edgpu, unsigned int count)
{
	struct device *dev = &edgpu->pdev->dev;

	while (count--)
		dma_unmap_page_attrs(dev, edgpu->save.addrs[count], PAGE_SIZE, DMA_BIDIRECTIONAL,
				     DMA_ATTR_REQUIRE_COHERENT);
}

static int edgpu_save_copy_by_engine(struct edgpu_device *edgpu, struct ttm_buffer_object *bo,
				     u64 offset, u64 size, bool restore)
{
	struct edgpu_span vram = edgpu_span(bo->resource, NULL, offset);
	struct edgpu_span pages = { .pages = edgpu->save.addrs };
	unsigned int tries;
	int ret = -EIO;

	for (tries = 0; ret == -EIO && tries < EDGPU_SAVE_TRIES; tries++) {
		if (READ_ONCE(edgpu->wedged))
			break;
		ret = restore ? edgpu_move_copy(edgpu, &pages, &vram, size) :
				edgpu_move_copy(edgpu, &vram, &pages, size);
	}
	return ret;
}

/* Without the engines, where the CPU sees it: slow, but they may be broken. */
static int edgpu_save_copy_by_cpu(struct edgpu_device *edgpu, struct ttm_buffer_object *bo,
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

static int edgpu_save_copy(struct ttm_buffer_object *bo, u64 offset, struct page **pages,
			   unsigned int count, bool restore)
{
	struct edgpu_device *edgpu = ttm_to_edgpu(bo->bdev);
	u64 size = (u64)count << PAGE_SHIFT;
	struct edgpu_entry entry;
	unsigned int mapped;
	int ret;

	if (WARN_ON_ONCE(count > EDGPU_SAVE_MAX_PAGES))
		return -EINVAL;
	ret = edgpu_try_enter(edgpu, &entry);
	if (ret)
		return ret;

	ret = -ENOMEM;
	mapped = edgpu_save_map_pages(edgpu, pages, count);
	if (mapped == count)
		ret = edgpu_save_copy_by_engine(edgpu, bo, offset, size, restore);
	edgpu_save_unmap_pages(edgpu, mapped);
	if (ret && !READ_ONCE(edgpu->wedged))
		ret = edgpu_save_copy_by_cpu(edgpu, bo, offset, pages, count, restore);
	edgpu_exit(edgpu, &entry);

	if (!ret && restore)
		edgpu->save.restored += size;
	else if (!ret)
		edgpu->save.saved += size;
	return ret;
}

static void edgpu_save_restored(struct ttm_buffer_object *bo, int error)
{
	struct edgpu_device *edgpu = ttm_to_edgpu(bo->bdev);

	/* The content is of this VRAM now, whatever was lost on the way. */
	edgpu_vram_lost(edgpu, bo->resource);
	if (!error)
		return;

	edgpu->save.lost++;
	if (edgpu_bo_is_ours(bo))
		to_edgpu_bo(bo)->error = -EIO;
}

/* While the system sleeps, or is about to, the device is in D0, and this does nothing. */
static void edgpu_save_wake(struct ttm_device *ttm)
{
	edgpu_power_wake(ttm_to_edgpu(ttm));
}

static const struct ttm_sleep_funcs edgpu_sleep_funcs = {
	.copy = edgpu_save_copy,
	.wanted = edgpu_knobs_save_wanted,
	.restored = edgpu_save_restored,
	.wake = edgpu_save_wake,
};

/**
 * edgpu_save_forget() - an object that is saved may have lost its last user
 * @edgpu: the device
 */
void edgpu_save_forget(struct edgpu_device *edgpu)
{
	/* It comes back without it, and goes to sleep again. */
	if (edgpu_has_saved(&edgpu->ttm))
		edgpu_power_wake(edgpu);
}

/**
 * edgpu_save() - save what is in VRAM
 * @edgpu: the device, in D0, with its engines idle and nobody to give them work
 *
 * Return: 0, or a negative error code; then everything is as before.
 */
int edgpu_save(struct edgpu_device *edgpu)
{
	int ret;

	ret = ttm_device_save(&edgpu->ttm, ttm_manager_type(&edgpu->ttm, TTM_PL_VRAM),
			      &edgpu_sleep_funcs);
	if (!ret)
		edgpu->save.swapped = edgpu_saved_swapped(&edgpu->ttm);
	return ret;
}

/**
 * edgpu_restore() - bring it back
 * @edgpu: the device, in D0, with its engines started
 *
 * Return: 0, or a negative error code if something was lost.
 */
int edgpu_restore(struct edgpu_device *edgpu)
{
	return ttm_device_restore(&edgpu->ttm);
}

/**
 * edgpu_save_init() - have what it takes to save VRAM
 * @edgpu: the device, with &edgpu_device.ttm
 *
 * Return: 0 or a negative error code.
 */
int edgpu_save_init(struct edgpu_device *edgpu)
{
	struct edgpu_save *save = &edgpu->save;
	int ret;

	save->addrs = drmm_kcalloc(&edgpu->drm, EDGPU_SAVE_MAX_PAGES, sizeof(*save->addrs),
				   GFP_KERNEL);
	if (!save->addrs)
		return -ENOMEM;

	ret = ttm_device_reserve_sleep(&edgpu->ttm);
	if (ret)
		return ret;
	edgpu_set_budget(ttm_manager_type(&edgpu->ttm, TTM_PL_VRAM), edgpu_suspend_budget);
	return devm_device_add_group(edgpu->drm.dev, &edgpu_save_group);
}
