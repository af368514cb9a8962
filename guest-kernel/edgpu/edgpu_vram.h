/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _EDGPU_VRAM_H_
#define _EDGPU_VRAM_H_

#include <drm/ttm/ttm_placement.h>

struct edgpu_bo;
struct edgpu_device;
struct ttm_resource;

#define EDGPU_MAX_PLACES	2

/* struct edgpu_placement - a placement and its places. */
struct edgpu_placement {
	struct ttm_placement base;
	struct ttm_place places[EDGPU_MAX_PLACES];
};

int edgpu_vram_init(struct edgpu_device *edgpu);

void edgpu_placement_init(struct edgpu_placement *placement, u32 mask,
			  bool prefer_system);
void edgpu_placement_visible(struct edgpu_device *edgpu,
			     struct edgpu_placement *placement);
bool edgpu_vram_visible(struct edgpu_device *edgpu,
			const struct ttm_resource *res);

#endif
