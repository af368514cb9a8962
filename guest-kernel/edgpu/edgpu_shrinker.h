/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _EDGPU_SHRINKER_H_
#define _EDGPU_SHRINKER_H_

struct edgpu_device;
struct seq_file;

int edgpu_shrinker_init(struct edgpu_device *edgpu);
void edgpu_shrinker_fini(struct edgpu_device *edgpu);
void edgpu_evict_system(struct edgpu_device *edgpu);
void edgpu_shrinker_show(struct seq_file *m, struct edgpu_device *edgpu);

#endif
