/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _EDGPU_ACCESS_H_
#define _EDGPU_ACCESS_H_

struct drm_device;
struct drm_file;
struct ttm_buffer_object;

int edgpu_bo_access_memory(struct ttm_buffer_object *bo, unsigned long offset,
			   void *buf, int len, int write);

int edgpu_gem_pread_ioctl(struct drm_device *drm, void *data, struct drm_file *file);
int edgpu_gem_pwrite_ioctl(struct drm_device *drm, void *data, struct drm_file *file);

#endif
