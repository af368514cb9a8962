// SPDX-License-Identifier: GPL-2.0
/*
 * What jobs are made of: operations on stretches of objects, as commands.
 */

#include <linux/dma-fence.h>
#include <linux/mm.h>
#include <linux/sizes.h>
#include <linux/slab.h>

#include <drm/ttm/ttm_placement.h>
#include <drm/ttm/ttm_resource.h>

#include "edgpu_fence.h"
#include "edgpu_job.h"
#include "edgpu_ring.h"
#include "edgpu_tt.h"
#include "edgpu_vram.h"

/*
 * Copies and fills are cut into pieces, so that scatter lists stay short, and
 * a hang shows as soon as one piece takes too long.
 */
#define EDGPU_PIECE	SZ_4M

static_assert(2 * (EDGPU_PIECE / PAGE_SIZE + 1) <= EDGPU_RING_MAX_SG);

/**
 * edgpu_span() - where an object is from some offset on
 * @res: the resource, in VRAM or system memory
 * @tt: the pages, populated, if @res is in system memory
 * @offset: in bytes
 *
 * Valid while the object is locked or a fence keeps it in place.
 *
 * Return: the span.
 */
struct edgpu_span edgpu_span(struct ttm_resource *res, struct ttm_tt *tt,
			     u64 offset)
{
	if (res->mem_type == TTM_PL_VRAM)
		return (struct edgpu_span) {
			.vram = res,
			.offset = offset,
		};

	return (struct edgpu_span) {
		.pages = to_edgpu_tt(tt)->dma_address,
		.offset = offset,
	};
}

/* Bytes from the start of the span, @len at most, at consecutive addresses. */
static u64 edgpu_span_run(struct edgpu_span span, u64 len, u64 *addr)
{
	u64 page = span.offset >> PAGE_SHIFT;
	u64 run = PAGE_SIZE - offset_in_page(span.offset);

	if (span.vram)
		return min(edgpu_vram_run(span.vram, span.offset, addr), len);

	*addr = span.pages[page] + offset_in_page(span.offset);
	while (run < len && span.pages[page + 1] == span.pages[page] + PAGE_SIZE) {
		page++;
		run += PAGE_SIZE;
	}
	return min(run, len);
}

static u32 edgpu_span_count_runs(struct edgpu_span span, u64 len)
{
	u32 count = 0;
	u64 addr, run;

	for (; len; len -= run, span.offset += run, count++)
		run = edgpu_span_run(span, len, &addr);
	return count;
}

/*
 * The address field of a command for @len bytes of @span: the address itself
 * if they are in one piece, that of a scatter list otherwise.
 */
static int edgpu_span_address(struct edgpu_ring *ring, struct edgpu_span span, u64 len,
			      u64 *addr, u32 *nents)
{
	struct edgpu_sg *sg;
	dma_addr_t list;
	u64 run;
	int ret;

	*nents = 0;
	if (edgpu_span_run(span, len, addr) == len)
		return 0;

	*nents = edgpu_span_count_runs(span, len);
	ret = edgpu_ring_alloc_sg(ring, *nents, &sg, &list);
	if (ret)
		return ret;

	for (; len; len -= run, span.offset += run, sg++) {
		run = edgpu_span_run(span, len, addr);
		sg->addr = cpu_to_le64(*addr);
		sg->len = cpu_to_le64(run);
	}
	*addr = list;
	return 0;
}

static int edgpu_job_set_operand(struct edgpu_ring *ring, struct edgpu_command *cmd,
				 struct edgpu_span span, u64 len, __le64 *address,
				 __le32 *nents, u32 vram_flag, u32 sg_flag)
{
	u32 count;
	u64 addr;
	int ret;

	ret = edgpu_span_address(ring, span, len, &addr, &count);
	if (ret)
		return ret;

	*address = cpu_to_le64(addr);
	*nents = cpu_to_le32(count);
	if (span.vram || span.in_vram)
		cmd->flags |= cpu_to_le32(vram_flag);
	if (count)
		cmd->flags |= cpu_to_le32(sg_flag);
	return 0;
}

static int edgpu_job_set_src(struct edgpu_ring *ring, struct edgpu_command *cmd,
			     struct edgpu_span span, u64 len)
{
	return edgpu_job_set_operand(ring, cmd, span, len, &cmd->src, &cmd->src_nents,
				     EDGPU_FLAG_SRC_VRAM, EDGPU_FLAG_SRC_SG);
}

static int edgpu_job_set_dst(struct edgpu_ring *ring, struct edgpu_command *cmd,
			     struct edgpu_span span, u64 len)
{
	return edgpu_job_set_operand(ring, cmd, span, len, &cmd->dst, &cmd->dst_nents,
				     EDGPU_FLAG_DST_VRAM, EDGPU_FLAG_DST_SG);
}

/**
 * edgpu_job_copy() - copy between two stretches that do not overlap
 * @ring: the ring, between begin and commit
 * @src: from
 * @dst: to
 * @len: bytes
 *
 * Return: 0, or an error of edgpu_ring_push().
 */
int edgpu_job_copy(struct edgpu_ring *ring, struct edgpu_span src,
		   struct edgpu_span dst, u64 len)
{
	u64 piece;
	int ret;

	for (; len; len -= piece, src.offset += piece, dst.offset += piece) {
		struct edgpu_command cmd = {
			.opcode = cpu_to_le32(EDGPU_OP_COPY),
		};

		piece = min(len, EDGPU_PIECE);
		cmd.len = cpu_to_le64(piece);
		ret = edgpu_job_set_src(ring, &cmd, src, piece);
		if (!ret)
			ret = edgpu_job_set_dst(ring, &cmd, dst, piece);
		if (!ret)
			ret = edgpu_ring_push(ring, &cmd);
		if (ret)
			return ret;
	}
	return 0;
}

/**
 * edgpu_job_fill() - fill a stretch with a pattern
 * @ring: the ring, between begin and commit
 * @dst: where; the offset is a multiple of 8
 * @len: bytes, a multiple of 8
 * @value: the pattern
 *
 * Return: 0, or an error of edgpu_ring_push().
 */
int edgpu_job_fill(struct edgpu_ring *ring, struct edgpu_span dst, u64 len,
		   u64 value)
{
	u64 piece;
	int ret;

	for (; len; len -= piece, dst.offset += piece) {
		struct edgpu_command cmd = {
			.opcode = cpu_to_le32(EDGPU_OP_FILL),
			.value = cpu_to_le64(value),
		};

		piece = min(len, EDGPU_PIECE);
		cmd.len = cpu_to_le64(piece);
		ret = edgpu_job_set_dst(ring, &cmd, dst, piece);
		if (!ret)
			ret = edgpu_ring_push(ring, &cmd);
		if (ret)
			return ret;
	}
	return 0;
}

/**
 * edgpu_job_checksum() - checksum a stretch
 * @ring: the ring, between begin and commit
 * @src: what
 * @len: bytes, few enough for one scatter list
 * @seed: of the hash
 * @dst: where the 8 bytes of the result go; the offset is a multiple of 8
 *
 * Return: 0, or an error of edgpu_ring_push().
 */
int edgpu_job_checksum(struct edgpu_ring *ring, struct edgpu_span src, u64 len,
		       u64 seed, struct edgpu_span dst)
{
	struct edgpu_command cmd = {
		.opcode = cpu_to_le32(EDGPU_OP_CHECKSUM),
		.len = cpu_to_le64(len),
		.value = cpu_to_le64(seed),
	};
	int ret;

	ret = edgpu_job_set_src(ring, &cmd, src, len);
	if (!ret)
		ret = edgpu_job_set_dst(ring, &cmd, dst, sizeof(u64));
	if (!ret)
		ret = edgpu_ring_push(ring, &cmd);
	return ret;
}

/**
 * edgpu_job_begin() - begin a job that is going to be waited for
 * @ring: the ring
 * @fence: out: for edgpu_job_end()
 *
 * Return: 0, -ENOMEM, or an error of edgpu_ring_begin().
 */
int edgpu_job_begin(struct edgpu_ring *ring, struct edgpu_fence **fence)
{
	int ret;

	*fence = edgpu_fence_alloc();
	if (!*fence)
		return -ENOMEM;

	ret = edgpu_ring_begin(ring);
	if (ret)
		kfree(*fence);
	return ret;
}

/**
 * edgpu_job_end() - run the job and wait for it, unless making it has failed
 * @ring: the ring
 * @fence: from edgpu_job_begin()
 * @ret: what became of making it
 *
 * Return: @ret, an error of edgpu_ring_commit(), or the job's.
 */
int edgpu_job_end(struct edgpu_ring *ring, struct edgpu_fence *fence, int ret)
{
	if (ret)
		edgpu_ring_cancel(ring);
	else
		ret = edgpu_ring_commit(ring, fence);
	if (ret) {
		kfree(fence);
		return ret;
	}

	/* Not interruptible: the engine is at work on these pages. */
	dma_fence_wait(&fence->base, false);
	ret = min(dma_fence_get_status(&fence->base), 0);
	dma_fence_put(&fence->base);
	return ret;
}
