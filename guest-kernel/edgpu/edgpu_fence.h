/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _EDGPU_FENCE_H_
#define _EDGPU_FENCE_H_

#include <linux/dma-fence.h>
#include <linux/list.h>

#include "edgpu_regs.h"

extern const char * const edgpu_engine_names[EDGPU_MAX_ENGINES];

/**
 * struct edgpu_fence - completion of a job on a ring
 */
struct edgpu_fence {
	/** @base: first, because the fence core frees it by this address */
	struct dma_fence base;
	/** @link: in &edgpu_ring.pending */
	struct list_head link;
	/** @engine: index of the engine that signals it */
	unsigned int engine;
};

struct edgpu_fence *edgpu_fence_alloc(void);
void edgpu_fence_init(struct edgpu_fence *fence, unsigned int engine,
		      u64 context, u64 seqno);
void edgpu_fences_signal(struct list_head *fences, int error);

#endif
