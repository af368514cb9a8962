// SPDX-License-Identifier: GPL-2.0
/*
 * Fences: the completion of jobs, as the rest of the kernel sees it.
 */

#include <linux/slab.h>

#include "edgpu_fence.h"

const char * const edgpu_engine_names[EDGPU_MAX_ENGINES] = {
	"edgpu-engine0", "edgpu-engine1", "edgpu-engine2", "edgpu-engine3",
};

static const char *edgpu_fence_driver_name(struct dma_fence *fence)
{
	return "edgpu";
}

static const char *edgpu_fence_timeline_name(struct dma_fence *fence)
{
	struct edgpu_fence *f = container_of(fence, struct edgpu_fence, base);

	return edgpu_engine_names[f->engine];
}

/*
 * No release or wait operation, so that a fence that has signalled needs this
 * module no more.
 */
static const struct dma_fence_ops edgpu_fence_ops = {
	.get_driver_name = edgpu_fence_driver_name,
	.get_timeline_name = edgpu_fence_timeline_name,
};

/**
 * edgpu_fence_alloc() - memory for the fence of a job
 *
 * Taken before the job is written, since nothing may be allocated from there
 * to its end. Free with kfree() if edgpu_ring_commit() does not take it.
 *
 * Return: the fence, not yet initialised, or NULL.
 */
struct edgpu_fence *edgpu_fence_alloc(void)
{
	return kzalloc_obj(struct edgpu_fence);
}

/**
 * edgpu_fence_init() - set up the fence of a job that goes to its ring
 * @fence: from edgpu_fence_alloc()
 * @engine: the engine
 * @context: of the ring
 * @seqno: what the engine writes when it gets there
 */
void edgpu_fence_init(struct edgpu_fence *fence, unsigned int engine,
		      u64 context, u64 seqno)
{
	fence->engine = engine;
	dma_fence_init64(&fence->base, &edgpu_fence_ops, NULL, context, seqno);
}

/**
 * edgpu_fences_signal() - signal and drop fences already taken off their ring
 * @fences: list of them, by &edgpu_fence.link
 * @error: 0, or what became of their jobs
 */
void edgpu_fences_signal(struct list_head *fences, int error)
{
	struct edgpu_fence *fence, *next;

	list_for_each_entry_safe(fence, next, fences, link) {
		list_del(&fence->link);
		if (error)
			dma_fence_set_error(&fence->base, error);
		dma_fence_signal(&fence->base);
		dma_fence_put(&fence->base);
	}
}
