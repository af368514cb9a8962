/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _EDGPU_BO_H_
#define _EDGPU_BO_H_

#include <drm/ttm/ttm_bo.h>

struct edgpu_devmem;
struct edgpu_file;

/**
 * struct edgpu_bo - a buffer object
 */
struct edgpu_bo {
	/** @base: TTM and GEM object */
	struct ttm_buffer_object base;
	/** @placement: EDGPU_PLACEMENT_* where the engines may use it */
	u32 placement;
	/** @caching: of its pages in system memory */
	enum ttm_caching caching;
	/**
	 * @error: of a job that used the object, not yet reported by a wait;
	 * under the reservation lock
	 */
	int error;
	/** @owner: the only file that may use it, or NULL */
	struct edgpu_file *owner;
	/** @devmem: if it is the VRAM of pages of a process, or NULL */
	struct edgpu_devmem *devmem;
	/** @carveout: whether its pages in system memory are borrowed */
	bool carveout;
	/** @recreate: whether discarded pages are to be filled again */
	bool recreate;
	/** @recreate_value: with what */
	u64 recreate_value;
};

static inline struct edgpu_bo *to_edgpu_bo(struct ttm_buffer_object *bo)
{
	return container_of(bo, struct edgpu_bo, base);
}

static inline struct edgpu_bo *gem_to_edgpu_bo(struct drm_gem_object *gem)
{
	return container_of(gem, struct edgpu_bo, base.base);
}

/*
 * For whoever has one object locked, and nothing else. Those that share its lock may
 * be evicted, too.
 */
static inline struct ttm_operation_ctx edgpu_bo_ctx(struct edgpu_bo *bo)
{
	return (struct ttm_operation_ctx) {
		.interruptible = true,
		.gfp_retry_mayfail = true,
		.resv = bo->base.base.resv,
		.allow_res_evict = bo->owner,
	};
}

void edgpu_bo_destroy(struct ttm_buffer_object *tbo);
bool edgpu_bo_is_populated(struct ttm_buffer_object *bo);
bool edgpu_bo_is_ours(struct ttm_buffer_object *bo);
void edgpu_bo_note_errors(struct edgpu_bo *bo);
int edgpu_bo_make_visible(struct ttm_buffer_object *bo);

#endif
