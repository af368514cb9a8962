/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _EDGPU_ENGINE_H_
#define _EDGPU_ENGINE_H_

struct edgpu_device;

int edgpu_engines_init(struct edgpu_device *edgpu);
void edgpu_engines_start(struct edgpu_device *edgpu);
bool edgpu_engines_are_idle(struct edgpu_device *edgpu);
void edgpu_engines_wait_idle(struct edgpu_device *edgpu);
void edgpu_engines_stop(struct edgpu_device *edgpu);

#endif
