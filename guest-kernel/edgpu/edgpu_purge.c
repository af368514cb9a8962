// SPDX-License-Identifier: GPL-2.0
/*
 * Objects that nobody needs: what user space says, and what became of them.
 */

#include <linux/bitmap.h>
#include <linux/dma-resv.h>
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include <drm/drm_gem.h>
#include <drm/ttm/ttm_bo.h>
#include <drm/ttm/ttm_tt.h>

#include "edgpu_bo.h"
#include "edgpu_drm.h"
#include "edgpu_drv.h"
#include "edgpu_entry.h"
#include "edgpu_move.h"
#include "edgpu_purge.h"

/* The object is locked, so nobody can wait for a device that sleeps. */
static void edgpu_purge_fill_by_cpu(struct ttm_buffer_object *bo, pgoff_t first, pgoff_t nr,
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
		edgpu_purge_fill_by_cpu(bo, first, nr, bitmap, ebo->recreate_value);
	edgpu_exit(edgpu, &entry);
	if (!ret)
		atomic_long_inc(&edgpu->counters.recreated);
	return ret;
}

static int edgpu_madvise_locked(struct edgpu_bo *bo, struct drm_edgpu_gem_madvise *args)
{
	bool dontneed = args->advice == EDGPU_MADVISE_DONTNEED;
	int ret;

	ret = ttm_bo_set_purgeable(&bo->base, dontneed);
	if (ret)
		return ret;

	if (dontneed) {
		bo->recreate = args->flags & EDGPU_MADVISE_RECREATE;
		bo->recreate_value = args->value;
	}
	args->retained = !ttm_bo_is_discarded(&bo->base);
	return 0;
}

static int edgpu_check_madvise(const struct drm_edgpu_gem_madvise *args)
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

	ret = edgpu_check_madvise(args);
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
	ret = edgpu_madvise_locked(gem_to_edgpu_bo(gem), args);
	dma_resv_unlock(gem->resv);

out_put:
	drm_gem_object_put(gem);
	return ret;
}

/* Not under the lock: copying it out may fault, on an object's own mapping even. */
static unsigned long *edgpu_copy_discarded(struct drm_gem_object *gem, u64 first, u64 nr)
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
	found = edgpu_discarded(&gem_to_edgpu_bo(gem)->base);
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

	bitmap = edgpu_copy_discarded(gem, args->first, args->pages);
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
