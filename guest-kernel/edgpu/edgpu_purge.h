/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _EDGPU_PURGE_H_
#define _EDGPU_PURGE_H_

#include <linux/types.h>

struct drm_device;
struct drm_file;
struct ttm_buffer_object;

int edgpu_purge_recreate(struct ttm_buffer_object *bo, pgoff_t first, pgoff_t nr,
			 const unsigned long *bitmap);

int edgpu_gem_madvise_ioctl(struct drm_device *drm, void *data, struct drm_file *file);
int edgpu_gem_discarded_ioctl(struct drm_device *drm, void *data, struct drm_file *file);

#endif
