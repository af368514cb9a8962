/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _EDGPU_JOB_H_
#define _EDGPU_JOB_H_

#include <linux/types.h>

struct edgpu_fence;
struct edgpu_ring;
struct ttm_resource;
struct ttm_tt;

/**
 * struct edgpu_span - where a stretch of an object is, for the engines
 */
struct edgpu_span {
	/** @pages: addresses of the pages, for DMA or @in_vram, or NULL if it has @vram */
	const dma_addr_t *pages;
	/** @vram: what it has of VRAM, if it is there */
	struct ttm_resource *vram;
	/** @in_vram: @pages are addresses in VRAM */
	bool in_vram;
	/** @offset: of the stretch in the object, in bytes */
	u64 offset;
};

struct edgpu_span edgpu_span(struct ttm_resource *res, struct ttm_tt *tt,
			     u64 offset);

int edgpu_job_copy(struct edgpu_ring *ring, struct edgpu_span src,
		   struct edgpu_span dst, u64 len);
int edgpu_job_fill(struct edgpu_ring *ring, struct edgpu_span dst, u64 len,
		   u64 value);
int edgpu_job_checksum(struct edgpu_ring *ring, struct edgpu_span src, u64 len,
		       u64 seed, struct edgpu_span dst);

int edgpu_job_begin(struct edgpu_ring *ring, struct edgpu_fence **fence);
int edgpu_job_end(struct edgpu_ring *ring, struct edgpu_fence *fence, int ret);

#endif
