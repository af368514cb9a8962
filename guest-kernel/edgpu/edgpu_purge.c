// SPDX-License-Identifier: GPL-2.0
/*
 * Objects that nobody needs: what user space says, and what became of them.
 *
 * Without the series TTM knows nothing of it, and neither does the driver then.
 */

#include <linux/bitmap.h>
#include <linux/dma-resv.h>
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include <drm/drm_gem.h>
#include <drm/ttm/ttm_allocation.h>
#include <drm/ttm/ttm_placement.h>
#include <drm/ttm/ttm_tt.h>

#include "edgpu_drm.h"
#include "edgpu_drv.h"
#include "edgpu_entry.h"
#include "edgpu_gem.h"
#include "edgpu_move.h"
#include "edgpu_purge.h"

#ifdef TTM_ALLOCATION_SHMEM_CHUNKED

static int set_purgeable(struct ttm_buffer_object *bo, bool purgeable)
{
	return ttm_bo_set_purgeable(bo, purgeable);
}

static const unsigned long *discarded_bitmap(struct ttm_buffer_object *bo)
{
	return bo->discarded;
}

/**
 * edgpu_purge_is_purgeable() - whether user space does not need an object's content
 * @bo: the object, locked
 *
 * Return: true if it may be discarded.
 */
bool edgpu_purge_is_purgeable(struct ttm_buffer_object *bo)
{
	return bo->purgeable;
}

/**
 * edgpu_purge_instead_of_copy() - drop the content of an object that is to leave VRAM
 * @bo: the object, locked
 *
 * Return: whether that is all right, and was noted.
 */
bool edgpu_purge_instead_of_copy(struct ttm_buffer_object *bo)
{
	if (!bo->purgeable)
		return false;
	ttm_bo_mark_discarded(bo, 0, PFN_UP(bo->base.size));
	return true;
}

/**
 * edgpu_purge_has_lost() - whether an object lacks content that it had
 * @bo: the object, locked
 *
 * Return: true if it was discarded, and not recreated.
 */
bool edgpu_purge_has_lost(struct ttm_buffer_object *bo)
{
	return ttm_bo_is_discarded(bo);
}

/**
 * edgpu_purge_pages() - how many pages were discarded under memory pressure
 * @edgpu: the device
 *
 * Return: the number so far.
 */
long edgpu_purge_pages(struct edgpu_device *edgpu)
{
	return atomic_long_read(&edgpu->ttm.discarded_pages);
}

#else

static int set_purgeable(struct ttm_buffer_object *bo, bool purgeable)
{
	return -EOPNOTSUPP;
}

static const unsigned long *discarded_bitmap(struct ttm_buffer_object *bo)
{
	return NULL;
}

bool edgpu_purge_is_purgeable(struct ttm_buffer_object *bo)
{
	return false;
}

bool edgpu_purge_instead_of_copy(struct ttm_buffer_object *bo)
{
	return false;
}

bool edgpu_purge_has_lost(struct ttm_buffer_object *bo)
{
	return false;
}

long edgpu_purge_pages(struct edgpu_device *edgpu)
{
	return 0;
}

#endif

/* The object is locked, so nobody can wait for a device that sleeps. */
static void purge_fill_by_cpu(struct ttm_buffer_object *bo, pgoff_t first, pgoff_t nr,
			      const unsigned long *bitmap, u64 value)
{
	unsigned long i = first;

	for_each_set_bit_from(i, bitmap, first + nr) {
		void *page = kmap_local_page(bo->ttm->pages[i]);

		memset64(page, value, PAGE_SIZE / sizeof(value));
		kunmap_local(page);
	}
}

/**
 * edgpu_purge_recreate() - &ttm_device_funcs.recreate
 * @bo: the object, locked, with its pages
 * @first: the first page that may be missing
 * @nr: how many pages to look at
 * @bitmap: those that are
 *
 * Return: 0, -EOPNOTSUPP if user space did not say what they are filled with,
 * or another negative error code.
 */
int edgpu_purge_recreate(struct ttm_buffer_object *bo, pgoff_t first, pgoff_t nr,
			 const unsigned long *bitmap)
{
	struct edgpu_device *edgpu = ttm_to_edgpu(bo->bdev);
	struct edgpu_bo *ebo = to_edgpu_bo(bo);
	struct edgpu_entry entry;
	int ret;

	if (!ebo->recreate)
		return -EOPNOTSUPP;

	ret = edgpu_try_enter(edgpu, &entry);
	if (ret)
		return ret;
	if (entry.awake)
		ret = edgpu_move_fill_pages(bo, first, nr, bitmap, ebo->recreate_value);
	else
		purge_fill_by_cpu(bo, first, nr, bitmap, ebo->recreate_value);
	edgpu_exit(edgpu, &entry);
	if (!ret)
		atomic_long_inc(&edgpu->counters.recreated);
	return ret;
}

static int madvise_locked(struct edgpu_bo *bo, struct drm_edgpu_gem_madvise *args)
{
	bool dontneed = args->advice == EDGPU_MADVISE_DONTNEED;
	int ret;

	ret = set_purgeable(&bo->base, dontneed);
	if (ret)
		return ret;

	if (dontneed) {
		bo->recreate = args->flags & EDGPU_MADVISE_RECREATE;
		bo->recreate_value = args->value;
	}
	args->retained = !edgpu_purge_has_lost(&bo->base);
	return 0;
}

static int check_madvise(const struct drm_edgpu_gem_madvise *args)
{
	if (args->advice > EDGPU_MADVISE_DONTNEED || (args->flags & ~EDGPU_MADVISE_RECREATE))
		return -EINVAL;
	if (args->flags && args->advice != EDGPU_MADVISE_DONTNEED)
		return -EINVAL;
	return args->value && !args->flags ? -EINVAL : 0;
}

int edgpu_gem_madvise_ioctl(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct edgpu_device *edgpu = to_edgpu(drm);
	struct drm_edgpu_gem_madvise *args = data;
	struct drm_gem_object *gem;
	int ret;

	ret = check_madvise(args);
	if (ret)
		return ret;

	gem = drm_gem_object_lookup(file, args->handle);
	if (!gem)
		return -ENOENT;

	ret = -EOPNOTSUPP;
	if (edgpu->backend != EDGPU_BACKEND_SHMEM || drm_gem_is_imported(gem))
		goto out_put;

	ret = dma_resv_lock_interruptible(gem->resv, NULL);
	if (ret)
		goto out_put;
	ret = madvise_locked(gem_to_edgpu_bo(gem), args);
	dma_resv_unlock(gem->resv);

out_put:
	drm_gem_object_put(gem);
	return ret;
}

/* Not under the lock: copying it out may fault, on an object's own mapping even. */
static unsigned long *copy_discarded(struct drm_gem_object *gem, u64 first, u64 nr)
{
	const unsigned long *found;
	unsigned long *bitmap;
	int ret;

	bitmap = kvcalloc(BITS_TO_LONGS(nr), sizeof(*bitmap), GFP_KERNEL);
	if (!bitmap)
		return ERR_PTR(-ENOMEM);

	ret = dma_resv_lock_interruptible(gem->resv, NULL);
	if (ret) {
		kvfree(bitmap);
		return ERR_PTR(ret);
	}
	found = discarded_bitmap(&gem_to_edgpu_bo(gem)->base);
	if (found)
		bitmap_copy(bitmap, found + BIT_WORD(first), nr);
	dma_resv_unlock(gem->resv);
	return bitmap;
}

int edgpu_gem_discarded_ioctl(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct drm_edgpu_gem_discarded *args = data;
	struct drm_gem_object *gem;
	unsigned long *bitmap;
	int ret = -EINVAL;
	u64 pages;

	gem = drm_gem_object_lookup(file, args->handle);
	if (!gem)
		return -ENOENT;

	pages = gem->size >> PAGE_SHIFT;
	if (args->pad || args->first % 64 || !args->pages || args->first >= pages ||
	    args->pages > pages - args->first)
		goto out_put;

	bitmap = copy_discarded(gem, args->first, args->pages);
	if (IS_ERR(bitmap)) {
		ret = PTR_ERR(bitmap);
		goto out_put;
	}
	args->discarded = bitmap_weight(bitmap, args->pages);
	ret = copy_to_user(u64_to_user_ptr(args->bitmap), bitmap,
			   BITS_TO_LONGS(args->pages) * sizeof(*bitmap)) ? -EFAULT : 0;
	kvfree(bitmap);

out_put:
	drm_gem_object_put(gem);
	return ret;
}
