// SPDX-License-Identifier: GPL-2.0
/*
 * backend=gem: objects of DRM's GEM shmem helper, as drivers for GPUs without VRAM have.
 *
 * There is no TTM in it. The helper keeps the pages of an object while user space has it
 * mapped, and this file while a job uses it; jobs are waited for. At all other times they
 * are pages of a shmem file like any, and reclaim swaps them out. Nothing here says how far
 * the device reaches: the helper knows.
 */

#include <linux/dma-mapping.h>
#include <linux/dma-resv.h>
#include <linux/err.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include <drm/drm_file.h>
#include <drm/drm_gem.h>
#include <drm/drm_gem_shmem_helper.h>
#include <drm/drm_prime.h>

#include "edgpu_drm.h"
#include "edgpu_drv.h"
#include "edgpu_entry.h"
#include "edgpu_gemshmem.h"
#include "edgpu_job.h"
#include "edgpu_knobs.h"
#include "edgpu_submit.h"

/* struct edgpu_gemshmem_operand - an object, and where the engines find it. */
struct edgpu_gemshmem_operand {
	struct drm_gem_object *gem;
	struct sg_table *sgt;
	dma_addr_t *pages;
};

static int edgpu_gemshmem_check_create(const struct drm_edgpu_gem_create *args)
{
	if (!args->size || args->size > MAX_LFS_FILESIZE)
		return -EINVAL;
	if (!(args->placement & EDGPU_PLACEMENT_SYSTEM) ||
	    args->caching != EDGPU_CACHING_CACHED || args->flags & ~EDGPU_CREATE_PREFER_SYSTEM)
		return -EOPNOTSUPP;
	return 0;
}

int edgpu_gemshmem_create_ioctl(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct drm_edgpu_gem_create *args = data;
	struct drm_gem_shmem_object *shmem;
	int ret;

	ret = edgpu_gemshmem_check_create(args);
	if (ret)
		return ret;

	shmem = drm_gem_shmem_create(drm, args->size);
	if (IS_ERR(shmem))
		return PTR_ERR(shmem);

	args->size = shmem->base.size;
	ret = edgpu_knobs_gem_limit(shmem->base.filp);
	if (!ret)
		ret = drm_gem_handle_create(file, &shmem->base, &args->handle);
	drm_gem_object_put(&shmem->base);
	return ret;
}

/* Have the pages of an object in memory, and map them for DMA. */
static int edgpu_gemshmem_hold(struct edgpu_gemshmem_operand *operand)
{
	struct drm_gem_shmem_object *shmem = to_drm_gem_shmem_obj(operand->gem);
	struct device *dev = operand->gem->dev->dev;
	size_t nr = operand->gem->size >> PAGE_SHIFT;
	int ret;

	ret = drm_gem_shmem_pin(shmem);
	if (ret)
		return ret;

	operand->sgt = drm_gem_shmem_get_sg_table(shmem);
	if (IS_ERR(operand->sgt)) {
		ret = PTR_ERR(operand->sgt);
		goto err_unpin;
	}
	operand->pages = kvmalloc_objs(*operand->pages, nr);
	if (!operand->pages) {
		ret = -ENOMEM;
		goto err_free;
	}
	ret = dma_map_sgtable(dev, operand->sgt, DMA_BIDIRECTIONAL, 0);
	if (ret)
		goto err_free;

	drm_prime_sg_to_dma_addr_array(operand->sgt, operand->pages, nr);
	return 0;

err_free:
	kvfree(operand->pages);
	sg_free_table(operand->sgt);
	kfree(operand->sgt);
err_unpin:
	drm_gem_shmem_unpin(shmem);
	return ret;
}

/* Let go of them. */
static void edgpu_gemshmem_release(struct edgpu_gemshmem_operand *operand)
{
	struct drm_gem_shmem_object *shmem = to_drm_gem_shmem_obj(operand->gem);

	dma_unmap_sgtable(operand->gem->dev->dev, operand->sgt, DMA_BIDIRECTIONAL, 0);
	sg_free_table(operand->sgt);
	kfree(operand->sgt);
	kvfree(operand->pages);

	dma_resv_lock(operand->gem->resv, NULL);
	/* What the device writes leaves no trace. */
	shmem->pages_mark_dirty_on_put = true;
	drm_gem_shmem_unpin_locked(shmem);
	dma_resv_unlock(operand->gem->resv);
}

static int edgpu_gemshmem_run(struct edgpu_ring *ring, const struct drm_edgpu_cmd *cmd,
			      const struct edgpu_gemshmem_operand *src,
			      const struct edgpu_gemshmem_operand *dst)
{
	struct edgpu_span from = { .pages = src->pages, .offset = cmd->src_offset };
	struct edgpu_span to = { .pages = dst->pages, .offset = cmd->dst_offset };
	struct edgpu_fence *fence;
	int ret;

	ret = edgpu_job_begin(ring, &fence);
	if (ret)
		return ret;
	return edgpu_job_end(ring, fence, edgpu_cmd_write(ring, cmd, from, to));
}

static int edgpu_gemshmem_hold_and_run(struct edgpu_ring *ring, const struct drm_edgpu_cmd *cmd,
				       const struct edgpu_cmd_objects *objects)
{
	struct edgpu_gemshmem_operand src = { .gem = objects->src }, dst = { .gem = objects->dst };
	int ret;

	ret = edgpu_gemshmem_hold(&dst);
	if (ret)
		return ret;
	if (src.gem)
		ret = edgpu_gemshmem_hold(&src);
	if (ret)
		goto out;

	ret = edgpu_gemshmem_run(ring, cmd, &src, &dst);
	if (src.gem)
		edgpu_gemshmem_release(&src);
out:
	edgpu_gemshmem_release(&dst);
	return ret;
}

static int edgpu_gemshmem_cmd(struct edgpu_ring *ring, const struct drm_edgpu_cmd *cmd,
			      struct drm_file *file)
{
	struct edgpu_cmd_objects objects = { };
	int ret;

	ret = edgpu_cmd_lookup(file, cmd, &objects);
	if (!ret)
		ret = edgpu_gemshmem_hold_and_run(ring, cmd, &objects);
	edgpu_cmd_put(&objects);
	return ret;
}

int edgpu_gemshmem_submit_ioctl(struct drm_device *drm, void *data, struct drm_file *file)
{
	const struct drm_edgpu_submit *args = data;
	struct edgpu_device *edgpu = to_edgpu(drm);
	struct drm_edgpu_cmd *cmds;
	struct edgpu_entry entry;
	int ret;
	u32 i;

	ret = edgpu_submit_check_args(edgpu, args);
	if (ret)
		return ret;
	if (args->in_syncobj || args->out_syncobj)
		return -EOPNOTSUPP;

	cmds = memdup_array_user(u64_to_user_ptr(args->cmds), args->num_cmds, sizeof(*cmds));
	if (IS_ERR(cmds))
		return PTR_ERR(cmds);

	ret = edgpu_enter(edgpu, &entry);
	if (!ret) {
		for (i = 0; i < args->num_cmds && !ret; i++)
			ret = edgpu_gemshmem_cmd(&edgpu->rings[args->engine], &cmds[i], file);
		edgpu_exit(edgpu, &entry);
	}
	kfree(cmds);
	return ret;
}
