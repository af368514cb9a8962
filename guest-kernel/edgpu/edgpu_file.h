/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _EDGPU_FILE_H_
#define _EDGPU_FILE_H_

#include <linux/dma-resv.h>
#include <linux/kref.h>

#include <drm/ttm/ttm_resource.h>

struct drm_device;
struct drm_file;
struct edgpu_bo;
struct edgpu_device;

/**
 * struct edgpu_file - an open file, and what is shared by its private objects
 */
struct edgpu_file {
	/** @ref: one for the file, one for each object: mappings outlive the file */
	struct kref ref;
	/** @resv: the lock and the fences of all of them */
	struct dma_resv resv;
	/** @bulk: their place on the LRU lists; under TTM's LRU lock, and @resv */
	struct ttm_lru_bulk_move bulk;
};

int edgpu_file_open(struct drm_device *drm, struct drm_file *file);
void edgpu_file_postclose(struct drm_device *drm, struct drm_file *file);

struct edgpu_file *edgpu_file_get(struct edgpu_file *file);
void edgpu_file_put(struct edgpu_file *file);

void edgpu_file_add(struct edgpu_file *file, struct edgpu_bo *bo);
void edgpu_file_remove(struct edgpu_bo *bo);
void edgpu_file_used(struct edgpu_device *edgpu, struct edgpu_file *file);

#endif
