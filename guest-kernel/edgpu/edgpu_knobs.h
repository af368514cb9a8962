/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _EDGPU_KNOBS_H_
#define _EDGPU_KNOBS_H_

#include <linux/types.h>

struct dentry;
struct drm_device;
struct drm_file;
struct drm_pagemap;
struct edgpu_device;
struct file;
struct mem_cgroup;
struct seq_file;
struct ttm_buffer_object;

bool edgpu_knobs_save_wanted(struct ttm_buffer_object *bo);
bool edgpu_knobs_evict_in_suspend(void);
bool edgpu_knobs_scanout_unpinned(void);
bool edgpu_knobs_svm_skip_copy(void);
bool edgpu_knobs_svm_no_memory(void);
void edgpu_knobs_svm_limit(struct drm_pagemap *map);
struct mem_cgroup *edgpu_knobs_set_maker(void);
int edgpu_knobs_evict(struct edgpu_device *edgpu);
int edgpu_knobs_gem_limit(struct file *file);
int edgpu_knobs_export(struct drm_device *drm, struct drm_file *file, u32 handle, u32 flags,
		       int *fd);
int edgpu_knobs_walk(struct edgpu_device *edgpu);
int edgpu_knobs_policy(struct edgpu_device *edgpu);
void edgpu_knobs_note_peak(struct edgpu_device *edgpu);

void edgpu_knobs_show(struct seq_file *m, struct edgpu_device *edgpu);
void edgpu_knobs_init(struct edgpu_device *edgpu, struct dentry *root);

#endif
