// SPDX-License-Identifier: GPL-2.0
/*
 * User jobs: checking them, locking and placing their objects, fences.
 *
 * A ring runs in order, so jobs of one engine need no waiting for each other.
 * Whatever else a job depends on is waited for before it is written: there is
 * no scheduler.
 */

#include <linux/dma-fence-chain.h>
#include <linux/dma-resv.h>
#include <linux/overflow.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include <drm/drm_drv.h>
#include <drm/drm_exec.h>
#include <drm/drm_gem_ttm_helper.h>
#include <drm/drm_syncobj.h>
#include <drm/drm_utils.h>
#include <drm/ttm/ttm_bo.h>

#include "edgpu_bo.h"
#include "edgpu_drm.h"
#include "edgpu_drv.h"
#include "edgpu_entry.h"
#include "edgpu_fence.h"
#include "edgpu_file.h"
#include "edgpu_job.h"
#include "edgpu_submit.h"
#include "edgpu_vram.h"

/* Bytes a checksum command writes. */
#define EDGPU_CHECKSUM_SIZE	sizeof(u64)

/* struct edgpu_submit - a submission on its way to the ring. */
struct edgpu_submit {
	struct drm_file *file;
	struct edgpu_ring *ring;
	const struct drm_edgpu_submit *args;
	struct drm_edgpu_cmd *cmds;
	struct edgpu_cmd_objects *objects;
	struct drm_exec exec;
	struct drm_syncobj *out_syncobj;
	struct dma_fence_chain *out_chain;
	struct edgpu_fence *fence;
};

static bool edgpu_range_fits(const struct drm_gem_object *gem, u64 offset, u64 len)
{
	u64 end;

	return !check_add_overflow(offset, len, &end) && end <= gem->size;
}

static bool edgpu_uses_src(const struct drm_edgpu_cmd *cmd)
{
	return cmd->op != EDGPU_CMD_FILL;
}

/* Whether it makes sense, whatever its objects are. */
static bool edgpu_cmd_is_valid(const struct drm_edgpu_cmd *cmd)
{
	if (cmd->pad || !cmd->len)
		return false;

	switch (cmd->op) {
	case EDGPU_CMD_COPY:
		return !cmd->value;
	case EDGPU_CMD_FILL:
		return !cmd->src_handle && !cmd->src_offset &&
		       IS_ALIGNED(cmd->dst_offset | cmd->len, 8);
	case EDGPU_CMD_CHECKSUM:
		return cmd->len <= EDGPU_MAX_CHECKSUM_LEN &&
		       IS_ALIGNED(cmd->dst_offset, EDGPU_CHECKSUM_SIZE);
	default:
		return false;
	}
}

/* Whether a valid command stays within its objects. */
static bool edgpu_cmd_fits(const struct drm_edgpu_cmd *cmd, const struct drm_gem_object *src,
			   const struct drm_gem_object *dst)
{
	u64 dst_len = cmd->op == EDGPU_CMD_CHECKSUM ? EDGPU_CHECKSUM_SIZE : cmd->len;

	if (src && !edgpu_range_fits(src, cmd->src_offset, cmd->len))
		return false;
	if (!edgpu_range_fits(dst, cmd->dst_offset, dst_len))
		return false;

	/* Copies are done in pieces, so not as memmove(). */
	return cmd->op != EDGPU_CMD_COPY || src != dst ||
	       cmd->src_offset + cmd->len <= cmd->dst_offset ||
	       cmd->dst_offset + cmd->len <= cmd->src_offset;
}

/**
 * edgpu_cmd_lookup() - check a command, and find its objects
 * @file: whose handles they are
 * @cmd: from user space
 * @objects: empty
 *
 * Return: 0, -EINVAL or -ENOENT. What was found has to be put in any case.
 */
int edgpu_cmd_lookup(struct drm_file *file, const struct drm_edgpu_cmd *cmd,
		     struct edgpu_cmd_objects *objects)
{
	if (!edgpu_cmd_is_valid(cmd))
		return -EINVAL;

	objects->dst = drm_gem_object_lookup(file, cmd->dst_handle);
	if (!objects->dst)
		return -ENOENT;
	if (edgpu_uses_src(cmd)) {
		objects->src = drm_gem_object_lookup(file, cmd->src_handle);
		if (!objects->src)
			return -ENOENT;
	}
	return edgpu_cmd_fits(cmd, objects->src, objects->dst) ? 0 : -EINVAL;
}

/**
 * edgpu_cmd_put() - put what edgpu_cmd_lookup() found
 * @objects: of a command
 */
void edgpu_cmd_put(const struct edgpu_cmd_objects *objects)
{
	drm_gem_object_put(objects->src);
	drm_gem_object_put(objects->dst);
}

static int edgpu_submit_lookup(struct edgpu_submit *submit)
{
	int ret = 0;
	u32 i;

	for (i = 0; i < submit->args->num_cmds && !ret; i++)
		ret = edgpu_cmd_lookup(submit->file, &submit->cmds[i], &submit->objects[i]);
	return ret;
}

static int edgpu_submit_init(struct edgpu_submit *submit, struct edgpu_device *edgpu)
{
	const struct drm_edgpu_submit *args = submit->args;

	submit->cmds = memdup_array_user(u64_to_user_ptr(args->cmds),
					 args->num_cmds, sizeof(*submit->cmds));
	if (IS_ERR(submit->cmds)) {
		int ret = PTR_ERR(submit->cmds);

		submit->cmds = NULL;
		return ret;
	}
	submit->ring = &edgpu->rings[args->engine];
	submit->objects = kzalloc_objs(*submit->objects, args->num_cmds);
	submit->fence = edgpu_fence_alloc();
	if (!submit->objects || !submit->fence)
		return -ENOMEM;

	return edgpu_submit_lookup(submit);
}

static void edgpu_submit_fini(struct edgpu_submit *submit)
{
	u32 i;

	for (i = 0; submit->objects && i < submit->args->num_cmds; i++)
		edgpu_cmd_put(&submit->objects[i]);
	if (submit->out_syncobj)
		drm_syncobj_put(submit->out_syncobj);
	dma_fence_chain_free(submit->out_chain);
	kfree(submit->fence);
	kfree(submit->objects);
	kfree(submit->cmds);
}

static int edgpu_submit_wait_in(struct edgpu_submit *submit)
{
	struct dma_fence *fence;
	int ret;

	if (!submit->args->in_syncobj)
		return 0;

	ret = drm_syncobj_find_fence(submit->file, submit->args->in_syncobj,
				     submit->args->in_point, 0, &fence);
	if (ret)
		return ret;

	ret = dma_fence_wait(fence, true);
	dma_fence_put(fence);
	return ret;
}

static int edgpu_submit_prepare_out(struct edgpu_submit *submit)
{
	if (!submit->args->out_syncobj)
		return 0;

	submit->out_syncobj = drm_syncobj_find(submit->file, submit->args->out_syncobj);
	if (!submit->out_syncobj)
		return -ENOENT;

	if (submit->args->out_point) {
		submit->out_chain = dma_fence_chain_alloc();
		if (!submit->out_chain)
			return -ENOMEM;
	}
	return 0;
}

static int edgpu_submit_lock(struct edgpu_submit *submit)
{
	struct drm_exec *exec = &submit->exec;
	int ret = 0;
	u32 i;

	drm_exec_until_all_locked(exec) {
		for (i = 0; i < submit->args->num_cmds; i++) {
			struct edgpu_cmd_objects *objects = &submit->objects[i];

			ret = drm_exec_lock_obj(exec, objects->dst);
			if (!ret && objects->src)
				ret = drm_exec_lock_obj(exec, objects->src);
			drm_exec_retry_on_contention(exec);
			if (ret)
				return ret;
		}
	}
	return 0;
}

/* Bring an object, locked, to where the engines may use it. */
static int edgpu_submit_place(struct drm_gem_object *gem)
{
	struct ttm_operation_ctx ctx = {
		.interruptible = true,
		.gfp_retry_mayfail = true,
	};
	struct edgpu_bo *bo = gem_to_edgpu_bo(gem);
	struct edgpu_placement placement;
	int ret;

	edgpu_bo_note_errors(bo);
	edgpu_placement_init(&placement, bo->placement, false);
	ret = ttm_bo_validate(&bo->base, &placement.base, &ctx);
	if (ret)
		return ret;
	if (bo->base.resource->mem_type != TTM_PL_SYSTEM)
		return 0;
	return edgpu_tt_make_resident(&bo->base, &ctx);
}

/* Wait for what other engines still do with an object. */
static int edgpu_submit_wait_object(struct edgpu_submit *submit, struct drm_gem_object *gem,
				    bool write)
{
	struct dma_resv_iter cursor;
	struct dma_fence *fence;
	int ret;

	dma_resv_for_each_fence(&cursor, gem->resv, dma_resv_usage_rw(write), fence) {
		if (fence->context == submit->ring->context)
			continue;
		ret = dma_fence_wait(fence, true);
		if (ret)
			return ret;
	}
	return 0;
}

/* After the waits, so that only errors of jobs not done yet are lost. */
static int edgpu_submit_reserve_fences(struct drm_gem_object *gem)
{
	edgpu_bo_note_errors(gem_to_edgpu_bo(gem));
	/* The job may both read and write it. */
	return dma_resv_reserve_fences(gem->resv, 2);
}

/*
 * By command and not by locked object: imports may share a lock. Whatever is
 * done twice to an object does nothing the second time.
 */
static int edgpu_submit_prepare_objects(struct edgpu_submit *submit)
{
	struct edgpu_cmd_objects *objects, *end = submit->objects + submit->args->num_cmds;
	int ret = 0;

	for (objects = submit->objects; objects < end && !ret; objects++) {
		ret = edgpu_submit_place(objects->dst);
		if (!ret && objects->src)
			ret = edgpu_submit_place(objects->src);
	}
	for (objects = submit->objects; objects < end && !ret; objects++) {
		ret = edgpu_submit_wait_object(submit, objects->dst, true);
		if (!ret && objects->src)
			ret = edgpu_submit_wait_object(submit, objects->src, false);
	}
	for (objects = submit->objects; objects < end && !ret; objects++) {
		ret = edgpu_submit_reserve_fences(objects->dst);
		if (!ret && objects->src)
			ret = edgpu_submit_reserve_fences(objects->src);
	}
	return ret;
}

static struct edgpu_span edgpu_gem_span(struct drm_gem_object *gem, u64 offset)
{
	struct ttm_buffer_object *bo = drm_gem_ttm_of_gem(gem);

	return edgpu_span(bo->resource, bo->ttm, offset);
}

/**
 * edgpu_cmd_write() - write a command to its ring
 * @ring: the ring, between begin and commit
 * @cmd: a command that fits
 * @src: where its source is, from the offset on, if it has one
 * @dst: where its destination is, from the offset on
 *
 * Return: 0, or an error of edgpu_ring_push().
 */
int edgpu_cmd_write(struct edgpu_ring *ring, const struct drm_edgpu_cmd *cmd,
		    struct edgpu_span src, struct edgpu_span dst)
{
	if (cmd->op == EDGPU_CMD_FILL)
		return edgpu_job_fill(ring, dst, cmd->len, cmd->value);
	if (cmd->op == EDGPU_CMD_COPY)
		return edgpu_job_copy(ring, src, dst, cmd->len);
	return edgpu_job_checksum(ring, src, cmd->len, cmd->value, dst);
}

static int edgpu_submit_write_cmd(struct edgpu_ring *ring, const struct drm_edgpu_cmd *cmd,
				  const struct edgpu_cmd_objects *objects)
{
	struct edgpu_span dst = edgpu_gem_span(objects->dst, cmd->dst_offset);
	struct edgpu_span src = { };

	if (objects->src)
		src = edgpu_gem_span(objects->src, cmd->src_offset);
	return edgpu_cmd_write(ring, cmd, src, dst);
}

/* Nothing is allocated, and no lock but the ring's taken, from here on. */
static int edgpu_submit_write(struct edgpu_submit *submit)
{
	struct edgpu_ring *ring = submit->ring;
	int ret;
	u32 i;

	ret = edgpu_ring_begin(ring);
	if (ret)
		return ret;

	for (i = 0; i < submit->args->num_cmds; i++) {
		ret = edgpu_submit_write_cmd(ring, &submit->cmds[i], &submit->objects[i]);
		if (ret) {
			edgpu_ring_cancel(ring);
			return ret;
		}
	}
	return edgpu_ring_commit(ring, submit->fence);
}

static void edgpu_submit_publish(struct edgpu_submit *submit)
{
	struct dma_fence *fence = &submit->fence->base;
	struct drm_gem_object *gem;
	u32 i;

	for (i = 0; i < submit->args->num_cmds; i++) {
		struct edgpu_cmd_objects *objects = &submit->objects[i];

		dma_resv_add_fence(objects->dst->resv, fence, DMA_RESV_USAGE_WRITE);
		if (objects->src)
			dma_resv_add_fence(objects->src->resv, fence, DMA_RESV_USAGE_READ);
	}
	drm_exec_for_each_locked_object(&submit->exec, gem) {
		struct edgpu_bo *bo = gem_to_edgpu_bo(gem);

		/* Others that share a lock are private as well, and not locked twice. */
		if (bo->owner)
			edgpu_file_used(ttm_to_edgpu(bo->base.bdev), bo->owner);
		else
			ttm_bo_move_to_lru_tail_unlocked(&bo->base);
	}

	if (submit->out_chain) {
		drm_syncobj_add_point(submit->out_syncobj, submit->out_chain, fence,
				      submit->args->out_point);
		submit->out_chain = NULL;
	} else if (submit->out_syncobj) {
		drm_syncobj_replace_fence(submit->out_syncobj, fence);
	}
	dma_fence_put(fence);
	submit->fence = NULL;
}

static int edgpu_submit_run(struct edgpu_submit *submit)
{
	int ret;

	drm_exec_init(&submit->exec,
		      DRM_EXEC_INTERRUPTIBLE_WAIT | DRM_EXEC_IGNORE_DUPLICATES, 0);
	ret = edgpu_submit_lock(submit);
	if (!ret)
		ret = edgpu_submit_prepare_objects(submit);
	if (!ret)
		ret = edgpu_submit_write(submit);
	if (!ret)
		edgpu_submit_publish(submit);
	drm_exec_fini(&submit->exec);
	return ret;
}

/**
 * edgpu_submit_check_args() - check what a submission says besides its commands
 * @edgpu: the device
 * @args: from user space
 *
 * Return: 0 or -EINVAL.
 */
int edgpu_submit_check_args(struct edgpu_device *edgpu, const struct drm_edgpu_submit *args)
{
	if (args->flags || args->pad)
		return -EINVAL;
	if (!args->num_cmds || args->num_cmds > EDGPU_MAX_CMDS ||
	    args->engine >= edgpu->num_engines)
		return -EINVAL;
	if ((args->in_point && !args->in_syncobj) ||
	    (args->out_point && !args->out_syncobj))
		return -EINVAL;
	return 0;
}

int edgpu_submit_ioctl(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct edgpu_submit submit = { .file = file, .args = data };
	struct edgpu_device *edgpu = to_edgpu(drm);
	struct edgpu_entry entry;
	int ret;

	ret = edgpu_submit_check_args(edgpu, submit.args);
	if (ret)
		return ret;

	/* What may wait for user space or for other drivers comes first. */
	ret = edgpu_submit_init(&submit, edgpu);
	if (!ret)
		ret = edgpu_submit_prepare_out(&submit);
	if (!ret)
		ret = edgpu_submit_wait_in(&submit);
	if (!ret)
		ret = edgpu_enter(edgpu, &entry);
	if (!ret) {
		ret = edgpu_submit_run(&submit);
		edgpu_exit(edgpu, &entry);
	}
	edgpu_submit_fini(&submit);
	return ret;
}

static int edgpu_wait_take_error(struct edgpu_bo *bo)
{
	int ret;

	ret = ttm_bo_reserve(&bo->base, true, false, NULL);
	if (ret)
		return ret;

	edgpu_bo_note_errors(bo);
	ret = bo->error;
	bo->error = 0;
	dma_resv_unlock(bo->base.base.resv);
	return ret;
}

int edgpu_wait_ioctl(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct drm_edgpu_wait *args = data;
	struct drm_gem_object *gem;
	long ret;

	if (args->pad)
		return -EINVAL;

	gem = drm_gem_object_lookup(file, args->handle);
	if (!gem)
		return -ENOENT;

	ret = dma_resv_wait_timeout(gem->resv, DMA_RESV_USAGE_BOOKKEEP, true,
				    drm_timeout_abs_to_jiffies(args->timeout_ns));
	if (ret == 0)
		ret = -ETIME;
	else if (ret > 0 && to_edgpu(drm)->backend == EDGPU_BACKEND_GEM)
		ret = 0;
	else if (ret > 0)
		ret = edgpu_wait_take_error(gem_to_edgpu_bo(gem));
	drm_gem_object_put(gem);
	return ret;
}
