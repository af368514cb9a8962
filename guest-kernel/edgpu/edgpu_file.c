// SPDX-License-Identifier: GPL-2.0
/*
 * Open files, and objects that only one of them knows.
 *
 * Such objects share a lock and their fences, and have one place on the LRU lists,
 * to the end of which all of them go when any of them is used: by one operation,
 * however many they are. It is what drivers do with what belongs to an address
 * space.
 */

#include <linux/slab.h>

#include <drm/drm_file.h>
#include <drm/ttm/ttm_bo.h>

#include "edgpu_bo.h"
#include "edgpu_drv.h"
#include "edgpu_file.h"

/**
 * edgpu_file_open() - &drm_driver.open
 * @drm: the device
 * @file: the file
 *
 * Return: 0 or -ENOMEM.
 */
int edgpu_file_open(struct drm_device *drm, struct drm_file *file)
{
	struct edgpu_file *efile = kzalloc_obj(*efile);

	if (!efile)
		return -ENOMEM;

	kref_init(&efile->ref);
	dma_resv_init(&efile->resv);
	ttm_lru_bulk_move_init(&efile->bulk);
	file->driver_priv = efile;
	return 0;
}

/**
 * edgpu_file_postclose() - &drm_driver.postclose
 * @drm: the device
 * @file: the file, with all its handles closed
 */
void edgpu_file_postclose(struct drm_device *drm, struct drm_file *file)
{
	struct edgpu_file *efile = file->driver_priv;

	ttm_lru_bulk_move_fini(&to_edgpu(drm)->ttm, &efile->bulk);
	edgpu_file_put(efile);
}

/**
 * edgpu_file_get() - have it stay
 * @file: the file
 *
 * Return: @file.
 */
struct edgpu_file *edgpu_file_get(struct edgpu_file *file)
{
	kref_get(&file->ref);
	return file;
}

static void edgpu_file_free(struct kref *ref)
{
	struct edgpu_file *file = container_of(ref, struct edgpu_file, ref);

	dma_resv_fini(&file->resv);
	kfree(file);
}

/**
 * edgpu_file_put() - the reverse
 * @file: the file, or NULL
 */
void edgpu_file_put(struct edgpu_file *file)
{
	if (file)
		kref_put(&file->ref, edgpu_file_free);
}

static void edgpu_file_set_bulk(struct edgpu_bo *bo, struct ttm_lru_bulk_move *bulk)
{
	dma_resv_lock(bo->base.base.resv, NULL);
	ttm_bo_set_bulk_move(&bo->base, bulk);
	dma_resv_unlock(bo->base.base.resv);
}

/**
 * edgpu_file_add() - have an object move along with the others of its file
 * @file: the file
 * @bo: an object that is private, not locked, which gets a handle
 */
void edgpu_file_add(struct edgpu_file *file, struct edgpu_bo *bo)
{
	edgpu_file_set_bulk(bo, &file->bulk);
}

/**
 * edgpu_file_remove() - the reverse, when its handle is closed
 * @bo: an object that is private, not locked
 *
 * It may be mapped, and so live on.
 */
void edgpu_file_remove(struct edgpu_bo *bo)
{
	edgpu_file_set_bulk(bo, NULL);
}

/**
 * edgpu_file_used() - have all objects of a file be the last to be evicted
 * @edgpu: the device
 * @file: the file, with its objects locked
 */
void edgpu_file_used(struct edgpu_device *edgpu, struct edgpu_file *file)
{
	dma_resv_assert_held(&file->resv);
	spin_lock(&edgpu->ttm.lru_lock);
	ttm_lru_bulk_move_tail(&file->bulk);
	spin_unlock(&edgpu->ttm.lru_lock);
}
