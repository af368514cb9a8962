/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _EDGPU_GEM_H_
#define _EDGPU_GEM_H_

struct dma_buf_attachment;
struct drm_device;
struct drm_file;
struct drm_gem_object;
struct drm_mode_create_dumb;
struct sg_table;

struct drm_gem_object *
edgpu_gem_import_sg_table(struct drm_device *drm, struct dma_buf_attachment *attach,
			  struct sg_table *sg);

int edgpu_gem_dumb_create(struct drm_file *file, struct drm_device *drm,
			  struct drm_mode_create_dumb *args);

int edgpu_gem_create_ioctl(struct drm_device *drm, void *data, struct drm_file *file);
int edgpu_gem_mmap_offset_ioctl(struct drm_device *drm, void *data, struct drm_file *file);
int edgpu_gem_info_ioctl(struct drm_device *drm, void *data, struct drm_file *file);
int edgpu_gem_move_ioctl(struct drm_device *drm, void *data, struct drm_file *file);

#endif
