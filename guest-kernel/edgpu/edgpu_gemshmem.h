/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _EDGPU_GEMSHMEM_H_
#define _EDGPU_GEMSHMEM_H_

struct drm_device;
struct drm_file;

int edgpu_gemshmem_create_ioctl(struct drm_device *drm, void *data, struct drm_file *file);
int edgpu_gemshmem_submit_ioctl(struct drm_device *drm, void *data, struct drm_file *file);

#endif
