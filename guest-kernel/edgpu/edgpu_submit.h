/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _EDGPU_SUBMIT_H_
#define _EDGPU_SUBMIT_H_

#include <linux/types.h>

#include "edgpu_job.h"

struct drm_device;
struct drm_edgpu_cmd;
struct drm_edgpu_submit;
struct drm_file;
struct drm_gem_object;
struct edgpu_device;
struct edgpu_ring;

/* struct edgpu_cmd_objects - those of a command. */
struct edgpu_cmd_objects {
	struct drm_gem_object *src;	/* NULL if not used */
	struct drm_gem_object *dst;
};

int edgpu_cmd_lookup(struct drm_file *file, const struct drm_edgpu_cmd *cmd,
		     struct edgpu_cmd_objects *objects);
void edgpu_cmd_put(const struct edgpu_cmd_objects *objects);
int edgpu_cmd_write(struct edgpu_ring *ring, const struct drm_edgpu_cmd *cmd,
		    struct edgpu_span src, struct edgpu_span dst);
int edgpu_submit_check_args(struct edgpu_device *edgpu, const struct drm_edgpu_submit *args);

int edgpu_submit_ioctl(struct drm_device *drm, void *data, struct drm_file *file);
int edgpu_wait_ioctl(struct drm_device *drm, void *data, struct drm_file *file);

#endif
