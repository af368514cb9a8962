/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _EDGPU_PRIME_H_
#define _EDGPU_PRIME_H_

#include <linux/types.h>

struct dma_buf;
struct drm_device;
struct drm_gem_object;
struct edgpu_device;
struct iosys_map;
struct sg_table;
struct vm_area_struct;

void edgpu_prime_init(struct edgpu_device *edgpu);

int edgpu_gem_pin(struct drm_gem_object *gem);
void edgpu_gem_unpin(struct drm_gem_object *gem);
struct sg_table *edgpu_gem_get_sg_table(struct drm_gem_object *gem);
int edgpu_gem_vmap(struct drm_gem_object *gem, struct iosys_map *map);
void edgpu_gem_vunmap(struct drm_gem_object *gem, struct iosys_map *map);
int edgpu_gem_mmap_import(struct drm_gem_object *gem, struct vm_area_struct *vma);

struct dma_buf *edgpu_gem_export(struct drm_gem_object *gem, int flags);
struct drm_gem_object *edgpu_gem_import(struct drm_device *drm, struct dma_buf *dma_buf);
bool edgpu_prime_in_reach(struct edgpu_device *edgpu, struct sg_table *sg);

#endif
