/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _EDGPU_VRAM_H_
#define _EDGPU_VRAM_H_

#include <linux/gpu_buddy.h>
#include <linux/mutex.h>

#include <drm/ttm/ttm_placement.h>
#include <drm/ttm/ttm_resource.h>

struct edgpu_device;

#define EDGPU_MAX_PLACES	2

/* struct edgpu_placement - a placement and its places. */
struct edgpu_placement {
	struct ttm_placement base;
	struct ttm_place places[EDGPU_MAX_PLACES];
};

/* struct edgpu_vram - the manager of VRAM. */
struct edgpu_vram {
	struct ttm_resource_manager base;
	struct mutex lock;	/* protects @mm */
	struct gpu_buddy mm;
};

int edgpu_vram_init(struct edgpu_device *edgpu);

void edgpu_placement_init(struct edgpu_placement *placement, u32 mask,
			  bool prefer_system);
void edgpu_placement_visible(struct edgpu_device *edgpu,
			     struct edgpu_placement *placement);

bool edgpu_vram_visible(struct ttm_resource *res);
u64 edgpu_vram_run(struct ttm_resource *res, u64 offset, u64 *vram);
bool edgpu_vram_lost(struct edgpu_device *edgpu, struct ttm_resource *res);

#endif
