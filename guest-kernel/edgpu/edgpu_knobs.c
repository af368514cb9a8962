// SPDX-License-Identifier: GPL-2.0
/*
 * Knobs for tests and measurements: what nobody needs who only uses the device.
 *
 * Some are parameters of the module, others files in debugfs:
 *
 * move_peak_pages	The most pages of system memory that objects held while
 *		one was moved; writing 0 starts anew.
 * chunk_pages	How many pages of a large object are moved or evicted at a time.
 * hold_lru_lock	Hold TTM's LRU lock for so many milliseconds.
 */

#include <linux/debugfs.h>
#include <linux/delay.h>
#include <linux/fcntl.h>
#include <linux/file.h>
#include <linux/gfp.h>
#include <linux/list.h>
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/sched/mm.h>
#include <linux/seq_file.h>
#include <linux/shmem_fs.h>
#include <linux/sizes.h>
#include <linux/string.h>

#include <drm/drm_gem.h>
#include <drm/drm_prime.h>
#include <drm/ttm/ttm_device.h>
#include <drm/ttm/ttm_resource.h>

#include "edgpu_drv.h"
#include "edgpu_knobs.h"
#include "edgpu_tt.h"

static char *edgpu_walk = "macro";
module_param_named(walk, edgpu_walk, charp, 0444);
MODULE_PARM_DESC(walk, "How the shrinker comes by objects: macro (default), callback or next");

static char *edgpu_policy = "pages";
module_param_named(policy, edgpu_policy, charp, 0444);
MODULE_PARM_DESC(policy, "What the shrinker does in a call: the pages asked for (pages, default) or one object (bo)");

static bool edgpu_skip_vram_save;
module_param_named(skip_vram_save, edgpu_skip_vram_save, bool, 0644);
MODULE_PARM_DESC(skip_vram_save, "For tests of tests: lose what is in VRAM when the system sleeps (default: no)");

static bool edgpu_evict_in_suspend;
module_param_named(evict_in_suspend, edgpu_evict_in_suspend, bool, 0644);
MODULE_PARM_DESC(evict_in_suspend, "For comparison: move objects out of VRAM in .suspend, when nothing can be swapped any more, and don't save it before (default: no)");

/* What .suspend leaves to others, for theirs and for .resume. */
#define EDGPU_KNOBS_SPARE	SZ_32M

static bool edgpu_gem_limit = true;
module_param_named(gem_limit, edgpu_gem_limit, bool, 0644);
MODULE_PARM_DESC(gem_limit, "For tests of tests: keep objects of backend=gem within the device's reach (default: yes)");

static bool edgpu_gem_export_file;
module_param_named(gem_export_file, edgpu_gem_export_file, bool, 0444);
MODULE_PARM_DESC(gem_export_file, "For tests: what is exported of an object of backend=gem is its shmem file, no dma-buf (default: no)");

static bool edgpu_scanout_unpinned;
module_param_named(scanout_unpinned, edgpu_scanout_unpinned, bool, 0444);
MODULE_PARM_DESC(scanout_unpinned, "For tests of tests: don't pin what the display reads (default: no)");

static bool edgpu_charge_root;
module_param_named(charge_root, edgpu_charge_root, bool, 0644);
MODULE_PARM_DESC(charge_root, "For tests of tests: charge objects to the root memory cgroup, not to that of whoever makes them (default: no)");

static bool edgpu_svm_skip_copy;
module_param_named(svm_skip_copy, edgpu_svm_skip_copy, bool, 0644);
MODULE_PARM_DESC(svm_skip_copy, "For tests of tests: don't copy pages of processes when they go to VRAM (default: no)");

static bool edgpu_svm_limit = true;
module_param_named(svm_limit, edgpu_svm_limit, bool, 0644);
MODULE_PARM_DESC(svm_limit, "For tests of tests: bring pages of processes back to where the device reaches (default: yes)");

static unsigned int edgpu_svm_no_memory;
module_param_named(svm_no_memory, edgpu_svm_no_memory, uint, 0644);
MODULE_PARM_DESC(svm_no_memory, "For tests: how often there is no memory to bring pages of processes back (default: 0)");

static const char * const edgpu_walk_names[TTM_SHRINKER_WALKS] = {
	[TTM_SHRINKER_WALK_MACRO] = "macro",
	[TTM_SHRINKER_WALK_CALLBACK] = "callback",
	[TTM_SHRINKER_WALK_NEXT] = "next",
};

static const char * const edgpu_policy_names[TTM_SHRINKER_POLICIES] = {
	[TTM_SHRINKER_POLICY_PAGES] = "pages",
	[TTM_SHRINKER_POLICY_BO] = "bo",
};

/**
 * edgpu_knobs_walk() - how the shrinker is to come by objects
 * @edgpu: the device
 *
 * Return: one of &enum ttm_shrinker_walk, or -EINVAL.
 */
int edgpu_knobs_walk(struct edgpu_device *edgpu)
{
	int walk = match_string(edgpu_walk_names, TTM_SHRINKER_WALKS, edgpu_walk);

	return walk >= 0 ? walk :
	       dev_err_probe(edgpu->drm.dev, -EINVAL,
			     "walk=%s is none of macro, callback, next\n", edgpu_walk);
}

/**
 * edgpu_knobs_policy() - when the shrinker is to have done enough
 * @edgpu: the device
 *
 * Return: one of &enum ttm_shrinker_policy, or -EINVAL.
 */
int edgpu_knobs_policy(struct edgpu_device *edgpu)
{
	int policy = match_string(edgpu_policy_names, TTM_SHRINKER_POLICIES, edgpu_policy);

	return policy >= 0 ? policy :
	       dev_err_probe(edgpu->drm.dev, -EINVAL,
			     "policy=%s is neither pages nor bo\n", edgpu_policy);
}

/**
 * edgpu_knobs_save_wanted() - &ttm_sleep_funcs.wanted
 * @bo: the object
 *
 * Return: false if a test wants to see its content lost.
 */
bool edgpu_knobs_save_wanted(struct ttm_buffer_object *bo)
{
	return !edgpu_skip_vram_save;
}

/**
 * edgpu_knobs_evict_in_suspend() - whether to do as drivers without the series do
 *
 * Return: true if VRAM is not to be saved in time, but emptied by .suspend.
 */
bool edgpu_knobs_evict_in_suspend(void)
{
	return READ_ONCE(edgpu_evict_in_suspend);
}

/**
 * edgpu_knobs_scanout_unpinned() - whether what the display reads may go away
 *
 * Return: true if a test wants to see that.
 */
bool edgpu_knobs_scanout_unpinned(void)
{
	return edgpu_scanout_unpinned;
}

/**
 * edgpu_knobs_set_maker() - say whom to charge for an object that is made next
 *
 * Return: what to hand to set_active_memcg() when it is made.
 */
struct mem_cgroup *edgpu_knobs_set_maker(void)
{
	struct mem_cgroup *before = set_active_memcg(root_mem_cgroup);

	if (!READ_ONCE(edgpu_charge_root))
		set_active_memcg(before);
	return before;
}

/**
 * edgpu_knobs_svm_skip_copy() - whether pages of processes are to lose their content
 *
 * Return: true if a test wants to see that.
 */
bool edgpu_knobs_svm_skip_copy(void)
{
	return READ_ONCE(edgpu_svm_skip_copy);
}

/**
 * edgpu_knobs_svm_no_memory() - whether to have no memory to bring pages of processes back
 *
 * Return: true as often as a test wants that.
 */
bool edgpu_knobs_svm_no_memory(void)
{
	unsigned int left = READ_ONCE(edgpu_svm_no_memory);

	if (left)
		WRITE_ONCE(edgpu_svm_no_memory, left - 1);
	return left;
}

/**
 * edgpu_knobs_svm_limit() - lift the limit of where pages come back to, if a test wants that
 * @map: of which no page is in use
 */
void edgpu_knobs_svm_limit(struct drm_pagemap *map)
{
	if (!READ_ONCE(edgpu_svm_limit))
		edgpu_lift_pagemap_limit(map);
}

static bool edgpu_knobs_find_pages(u64 count)
{
	struct page *page, *next;
	LIST_HEAD(pages);
	u64 found;

	for (found = 0; found < count; found++) {
		page = alloc_page(GFP_NOIO | __GFP_HIGHMEM | __GFP_NORETRY | __GFP_NOWARN);
		if (!page)
			break;
		list_add(&page->lru, &pages);
	}
	list_for_each_entry_safe(page, next, &pages, lru)
		__free_page(page);
	return found == count;
}

/**
 * edgpu_knobs_evict() - empty VRAM, if there is room for what is in it
 * @edgpu: the device, with its engines idle and nobody to give them work
 *
 * Other drivers begin, and then the allocation of a page fails, or waits for
 * ever, or another device's .resume does. A test needs one end of these, so
 * this looks first whether there is as much memory as it takes.
 *
 * Return: 0 or a negative error code.
 */
int edgpu_knobs_evict(struct edgpu_device *edgpu)
{
	struct ttm_resource_manager *vram = &edgpu->vram.base;
	u64 size = ttm_resource_manager_usage(vram);

	if (!edgpu_knobs_find_pages((size + EDGPU_KNOBS_SPARE) >> PAGE_SHIFT))
		return -ENOMEM;
	return ttm_resource_manager_evict_all(&edgpu->ttm, vram);
}

/**
 * edgpu_knobs_gem_limit() - lift the limit of an object of backend=gem, if a test wants that
 * @file: its shmem file, new
 *
 * Return: 0 or a negative error code.
 */
int edgpu_knobs_gem_limit(struct file *file)
{
	return edgpu_gem_limit ? 0 : shmem_set_phys_limit(file, PHYS_ADDR_MAX);
}

/**
 * edgpu_knobs_export() - &drm_driver.prime_handle_to_fd of backend=gem
 * @drm: the device
 * @file: of the client
 * @handle: the object
 * @flags: of the descriptor
 * @fd: where to put it
 *
 * A mapping of an object has no pages that the kernel would move for the process.
 * One of the file has them, as it has with i915's older mmap ioctl.
 *
 * Return: 0 or a negative error code.
 */
int edgpu_knobs_export(struct drm_device *drm, struct drm_file *file, u32 handle, u32 flags,
		       int *fd)
{
	struct drm_gem_object *gem;
	int ret;

	if (!edgpu_gem_export_file)
		return drm_gem_prime_handle_to_fd(drm, file, handle, flags, fd);

	gem = drm_gem_object_lookup(file, handle);
	if (!gem)
		return -ENOENT;
	ret = get_unused_fd_flags(flags & O_CLOEXEC);
	if (ret >= 0) {
		fd_install(ret, get_file(gem->filp));
		*fd = ret;
		ret = 0;
	}
	drm_gem_object_put(gem);
	return ret;
}

/**
 * edgpu_knobs_note_peak() - note how much objects hold while one is moved
 * @edgpu: the device
 *
 * Moves at the same time may overwrite each other's: whoever reads it makes one.
 */
void edgpu_knobs_note_peak(struct edgpu_device *edgpu)
{
	unsigned long *peak = &edgpu->counters.move_peak_pages;

	WRITE_ONCE(*peak, max(READ_ONCE(*peak), edgpu_tt_pages(edgpu)));
}

/* Milliseconds; for a test that wants others to wait for it. */
static int edgpu_hold_lru_set(void *data, u64 ms)
{
	struct edgpu_device *edgpu = data;

	if (ms > 1000)
		return -EINVAL;

	spin_lock(&edgpu->ttm.lru_lock);
	mdelay((unsigned long)ms);
	spin_unlock(&edgpu->ttm.lru_lock);
	return 0;
}
DEFINE_DEBUGFS_ATTRIBUTE(edgpu_hold_lru_fops, NULL, edgpu_hold_lru_set, "%llu\n");

/**
 * edgpu_knobs_show() - what they are set to, for the file "stats" in debugfs
 * @m: where to
 * @edgpu: the device
 */
void edgpu_knobs_show(struct seq_file *m, struct edgpu_device *edgpu)
{
	seq_printf(m, "shrink_walk: %s\n", edgpu_walk_names[edgpu->shrinker.walk]);
	seq_printf(m, "shrink_policy: %s\n", edgpu_policy_names[edgpu->shrinker.policy]);
	seq_printf(m, "lru_lock: %p\n", &edgpu->ttm.lru_lock);
}

/**
 * edgpu_knobs_init() - their files in debugfs
 * @edgpu: the device
 * @root: of its debugfs
 */
void edgpu_knobs_init(struct edgpu_device *edgpu, struct dentry *root)
{
	u32 *chunk_pages = edgpu_chunk_pages(&edgpu->ttm);

	debugfs_create_file_unsafe("hold_lru_lock", 0200, root, edgpu, &edgpu_hold_lru_fops);
	debugfs_create_ulong("move_peak_pages", 0644, root, &edgpu->counters.move_peak_pages);
	if (chunk_pages)
		debugfs_create_u32("chunk_pages", 0644, root, chunk_pages);
}
