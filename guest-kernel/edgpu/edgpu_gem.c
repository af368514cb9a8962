// SPDX-License-Identifier: GPL-2.0
/*
 * Buffer objects: how they come to be, CPU mappings, and the ioctls on a single one.
 */

#include <linux/dma-buf.h>
#include <linux/dma-resv.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/shmem_fs.h>
#include <linux/slab.h>
#include <linux/swap.h>

#include <drm/drm_dumb_buffers.h>
#include <drm/drm_file.h>
#include <drm/drm_gem_ttm_helper.h>
#include <drm/drm_vma_manager.h>

#include "edgpu_bo.h"
#include "edgpu_drm.h"
#include "edgpu_drv.h"
#include "edgpu_entry.h"
#include "edgpu_file.h"
#include "edgpu_gem.h"
#include "edgpu_knobs.h"
#include "edgpu_prime.h"
#include "edgpu_save.h"
#include "edgpu_tt.h"
#include "edgpu_vram.h"

#define EDGPU_CREATE_FLAGS	(EDGPU_CREATE_PREFER_SYSTEM | EDGPU_CREATE_CARVEOUT | \
				 EDGPU_CREATE_PRIVATE)
#define EDGPU_PLACEMENTS	(EDGPU_PLACEMENT_SYSTEM | EDGPU_PLACEMENT_VRAM)

static const enum ttm_caching edgpu_cachings[] = {
	[EDGPU_CACHING_CACHED] = ttm_cached,
	[EDGPU_CACHING_WRITE_COMBINED] = ttm_write_combined,
	[EDGPU_CACHING_UNCACHED] = ttm_uncached,
};

static int edgpu_gem_open(struct drm_gem_object *gem, struct drm_file *file)
{
	struct edgpu_bo *bo = gem_to_edgpu_bo(gem);

	if (!bo->owner)
		return 0;
	/* By its name, then. */
	if (bo->owner != file->driver_priv)
		return -EPERM;
	edgpu_file_add(bo->owner, bo);
	return 0;
}

static void edgpu_gem_close(struct drm_gem_object *gem, struct drm_file *file)
{
	struct edgpu_bo *bo = gem_to_edgpu_bo(gem);

	if (bo->owner)
		edgpu_file_remove(bo);
	/* What is saved of it would be kept until the device wakes. */
	if (edgpu_is_saved(&bo->base))
		edgpu_save_forget(to_edgpu(gem->dev));
}

static void edgpu_gem_free(struct drm_gem_object *gem)
{
	ttm_bo_fini(drm_gem_ttm_of_gem(gem));
}

static vm_fault_t edgpu_fault_errno(int err)
{
	switch (err) {
	case -EINTR:
	case -ERESTARTSYS:
	case -EAGAIN:
		return VM_FAULT_NOPAGE;
	default:
		return VM_FAULT_SIGBUS;
	}
}

static vm_fault_t edgpu_fault_reserved(struct ttm_buffer_object *bo, struct vm_fault *vmf)
{
	int err = edgpu_bo_make_visible(bo);

	if (err)
		return edgpu_fault_errno(err);
	return ttm_bo_vm_fault_reserved(vmf, vmf->vma->vm_page_prot, TTM_BO_VM_NUM_PREFAULT);
}

static vm_fault_t edgpu_gem_fault(struct vm_fault *vmf)
{
	struct ttm_buffer_object *bo = vmf->vma->vm_private_data;
	struct edgpu_device *edgpu = ttm_to_edgpu(bo->bdev);
	struct edgpu_entry entry;
	vm_fault_t ret;

	/*
	 * Serves it itself if the object was saved because the device sleeps. If
	 * it wasn't, and is in VRAM, then the device is awake until it is unlocked.
	 */
	ret = ttm_bo_vm_reserve(bo, vmf);
	if (ret)
		return ret;

	if (edgpu_try_enter(edgpu, &entry)) {
		ret = ttm_bo_vm_dummy_page(vmf, vmf->vma->vm_page_prot);
	} else {
		ret = edgpu_fault_reserved(bo, vmf);
		edgpu_exit(edgpu, &entry);
	}

	/* TTM has dropped the lock itself if it wants the fault retried. */
	if (ret == VM_FAULT_RETRY && !(vmf->flags & FAULT_FLAG_RETRY_NOWAIT))
		return ret;

	dma_resv_unlock(bo->base.resv);
	return ret;
}

/* For debuggers; they must not map pages for a device that has gone. */
static int edgpu_gem_access(struct vm_area_struct *vma, unsigned long addr,
			    void *buf, int len, int write)
{
	struct ttm_buffer_object *bo = vma->vm_private_data;
	struct edgpu_device *edgpu = ttm_to_edgpu(bo->bdev);
	struct edgpu_entry entry;
	int ret;

	ret = edgpu_try_enter(edgpu, &entry);
	if (ret)
		return ret;
	/* Asleep or awake, as a fault. */
	ret = ttm_bo_vm_access(vma, addr, buf, len, write);
	edgpu_exit(edgpu, &entry);
	return ret;
}

static const struct vm_operations_struct edgpu_gem_vm_ops = {
	.fault = edgpu_gem_fault,
	.open = ttm_bo_vm_open,
	.close = ttm_bo_vm_close,
	.access = edgpu_gem_access,
};

static int edgpu_gem_mmap(struct drm_gem_object *gem, struct vm_area_struct *vma)
{
	if (drm_gem_is_imported(gem))
		return edgpu_gem_mmap_import(gem, vma);
	return drm_gem_ttm_mmap(gem, vma);
}

/*
 * For usage statistics in fdinfo, under a spinlock: an object that is locked is
 * taken for what most of these are.
 */
static enum drm_gem_object_status edgpu_gem_status(struct drm_gem_object *gem)
{
	struct ttm_buffer_object *bo = drm_gem_ttm_of_gem(gem);
	enum drm_gem_object_status status = 0;

	if (!dma_resv_trylock(gem->resv))
		return DRM_GEM_OBJECT_RESIDENT;
	if (edgpu_bo_is_populated(bo))
		status |= DRM_GEM_OBJECT_RESIDENT;
	if (edgpu_is_purgeable(bo))
		status |= DRM_GEM_OBJECT_PURGEABLE;
	dma_resv_unlock(gem->resv);
	return status;
}

static const struct drm_gem_object_funcs edgpu_gem_funcs = {
	.free = edgpu_gem_free,
	.open = edgpu_gem_open,
	.close = edgpu_gem_close,
	.pin = edgpu_gem_pin,
	.unpin = edgpu_gem_unpin,
	.get_sg_table = edgpu_gem_get_sg_table,
	.vmap = edgpu_gem_vmap,
	.vunmap = edgpu_gem_vunmap,
	.mmap = edgpu_gem_mmap,
	.export = edgpu_gem_export,
	.print_info = drm_gem_ttm_print_info,
	.status = edgpu_gem_status,
	.vm_ops = &edgpu_gem_vm_ops,
};

static struct edgpu_bo *edgpu_bo_alloc(struct edgpu_device *edgpu, u64 size)
{
	struct edgpu_bo *bo;

	bo = kzalloc_obj(*bo);
	if (!bo)
		return ERR_PTR(-ENOMEM);

	bo->base.base.funcs = &edgpu_gem_funcs;
	drm_gem_private_object_init(&edgpu->drm, &bo->base.base, size);
	return bo;
}

static struct edgpu_bo *
edgpu_bo_create(struct edgpu_device *edgpu, struct edgpu_file *owner,
		const struct drm_edgpu_gem_create *args)
{
	struct ttm_operation_ctx ctx;
	struct edgpu_placement placement;
	struct mem_cgroup *before;
	struct edgpu_bo *bo;
	int ret;

	bo = edgpu_bo_alloc(edgpu, args->size);
	if (IS_ERR(bo))
		return bo;

	if (owner) {
		bo->owner = edgpu_file_get(owner);
		bo->base.base.resv = &owner->resv;
		dma_resv_lock(&owner->resv, NULL);
	}
	ctx = edgpu_bo_ctx(bo);
	bo->placement = args->placement;
	bo->caching = edgpu_cachings[args->caching];
	bo->carveout = args->flags & EDGPU_CREATE_CARVEOUT;
	edgpu_placement_init(&placement, args->placement,
			     args->flags & EDGPU_CREATE_PREFER_SYSTEM);

	before = edgpu_knobs_set_maker();
	/* Destroys the object if it fails. */
	ret = ttm_bo_init_reserved(&edgpu->ttm, &bo->base, ttm_bo_type_device,
				   &placement.base, 0, &ctx, NULL,
				   owner ? &owner->resv : NULL, edgpu_bo_destroy);
	set_active_memcg(before);
	if (!ret)
		ttm_bo_unreserve(&bo->base);
	else if (owner)
		dma_resv_unlock(&owner->resv);
	return ret ? ERR_PTR(ret) : bo;
}

/* For the memory of another driver, whose @resv is locked. */
static struct edgpu_bo *
edgpu_bo_create_import(struct edgpu_device *edgpu, u64 size, struct sg_table *sg,
		       struct dma_resv *resv)
{
	struct ttm_operation_ctx ctx = { };
	struct edgpu_placement placement;
	struct edgpu_bo *bo;
	int ret;

	bo = edgpu_bo_alloc(edgpu, size);
	if (IS_ERR(bo))
		return bo;

	bo->placement = EDGPU_PLACEMENT_SYSTEM;
	bo->caching = ttm_cached;
	edgpu_placement_init(&placement, bo->placement, true);
	ret = ttm_bo_init_reserved(&edgpu->ttm, &bo->base, ttm_bo_type_sg,
				   &placement.base, 0, &ctx, sg, resv,
				   edgpu_bo_destroy);
	return ret ? ERR_PTR(ret) : bo;
}

/**
 * edgpu_gem_import_sg_table() - &drm_driver.gem_prime_import_sg_table
 * @drm: the device
 * @attach: to the dma-buf
 * @sg: where it is for the device
 *
 * Return: an object, or an error pointer.
 */
struct drm_gem_object *
edgpu_gem_import_sg_table(struct drm_device *drm, struct dma_buf_attachment *attach,
			  struct sg_table *sg)
{
	struct edgpu_device *edgpu = to_edgpu(drm);
	struct dma_buf *dma_buf = attach->dmabuf;
	struct edgpu_entry entry;
	struct edgpu_bo *bo;
	int ret;

	if (!PAGE_ALIGNED(dma_buf->size) || !edgpu_prime_in_reach(edgpu, sg))
		return ERR_PTR(-EOPNOTSUPP);
	ret = edgpu_try_enter(edgpu, &entry);
	if (ret)
		return ERR_PTR(ret);

	dma_resv_lock(dma_buf->resv, NULL);
	bo = edgpu_bo_create_import(edgpu, dma_buf->size, sg, dma_buf->resv);
	dma_resv_unlock(dma_buf->resv);
	edgpu_exit(edgpu, &entry);
	return IS_ERR(bo) ? ERR_CAST(bo) : &bo->base.base;
}

/*
 * More than all VRAM or all RAM can never be resident; refused here, before
 * page arrays of that size are allocated or everything else is evicted.
 */
static u64 edgpu_max_size(struct edgpu_device *edgpu, u32 placement)
{
	u64 max = 0;

	if (placement & EDGPU_PLACEMENT_SYSTEM)
		max = (u64)totalram_pages() << PAGE_SHIFT;
	if (placement & EDGPU_PLACEMENT_VRAM)
		max = max(max, edgpu->vram_size);
	return max;
}

/* Where a move needs room for a chunk only, the rest may go to swap. */
static u64 edgpu_max_move(struct edgpu_device *edgpu, u32 placement)
{
	u64 max = edgpu_max_size(edgpu, placement);

	if (placement == EDGPU_PLACEMENT_SYSTEM && edgpu->backend == EDGPU_BACKEND_SHMEM)
		max += (u64)get_nr_swap_pages() << PAGE_SHIFT;
	return max;
}

static int edgpu_check_create(struct edgpu_device *edgpu,
			      const struct drm_edgpu_gem_create *args)
{
	if (!args->size || !args->placement ||
	    (args->placement & ~EDGPU_PLACEMENTS) ||
	    args->caching >= ARRAY_SIZE(edgpu_cachings) ||
	    (args->flags & ~EDGPU_CREATE_FLAGS))
		return -EINVAL;
	if (args->flags & EDGPU_CREATE_CARVEOUT) {
		if (args->placement != EDGPU_PLACEMENT_SYSTEM)
			return -EINVAL;
		if (!edgpu_tt_has_carveout(edgpu))
			return -EOPNOTSUPP;
	}
	if (args->size > edgpu_max_size(edgpu, args->placement))
		return -E2BIG;
	return 0;
}

int edgpu_gem_create_ioctl(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct edgpu_device *edgpu = to_edgpu(drm);
	struct drm_edgpu_gem_create *args = data;
	struct edgpu_entry entry;
	struct edgpu_bo *bo;
	int ret;

	ret = edgpu_check_create(edgpu, args);
	if (ret)
		return ret;
	ret = edgpu_enter(edgpu, &entry);
	if (ret)
		return ret;

	args->size = PAGE_ALIGN(args->size);
	bo = edgpu_bo_create(edgpu, args->flags & EDGPU_CREATE_PRIVATE ? file->driver_priv : NULL,
			     args);
	if (IS_ERR(bo)) {
		ret = PTR_ERR(bo);
	} else {
		ret = drm_gem_handle_create(file, &bo->base.base, &args->handle);
		drm_gem_object_put(&bo->base.base);
	}
	edgpu_exit(edgpu, &entry);
	return ret;
}

/**
 * edgpu_gem_dumb_create() - &drm_driver.dumb_create
 * @file: whose object it is to be
 * @drm: the device
 * @args: what of, and out: handle, size and pitch
 *
 * Return: 0 or a negative error code.
 */
int edgpu_gem_dumb_create(struct drm_file *file, struct drm_device *drm,
			  struct drm_mode_create_dumb *args)
{
	struct drm_edgpu_gem_create create = { .placement = EDGPU_PLACEMENT_SYSTEM };
	int ret;

	ret = drm_mode_size_dumb(drm, args, 0, 0);
	if (ret)
		return ret;
	create.size = args->size;
	ret = edgpu_gem_create_ioctl(drm, &create, file);
	args->handle = create.handle;
	return ret;
}

int edgpu_gem_mmap_offset_ioctl(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct drm_edgpu_gem_mmap_offset *args = data;
	struct drm_gem_object *gem;

	if (args->pad)
		return -EINVAL;

	gem = drm_gem_object_lookup(file, args->handle);
	if (!gem)
		return -ENOENT;

	args->offset = drm_vma_node_offset_addr(&gem->vma_node);
	drm_gem_object_put(gem);
	return 0;
}

static void edgpu_bo_info(struct edgpu_bo *bo, struct drm_edgpu_gem_info *args)
{
	struct ttm_buffer_object *tbo = &bo->base;
	bool vram = tbo->resource && tbo->resource->mem_type == TTM_PL_VRAM;
	u32 i;

	args->placement = vram ? EDGPU_PLACEMENT_VRAM : EDGPU_PLACEMENT_SYSTEM;
	args->size = tbo->base.size;
	args->populated = edgpu_bo_is_populated(tbo);
	for (i = 0; i < ARRAY_SIZE(edgpu_cachings); i++)
		if (edgpu_cachings[i] == bo->caching)
			args->caching = i;
}

/* Of one without TTM. */
static void edgpu_shmem_info(struct drm_gem_object *gem, struct drm_edgpu_gem_info *args)
{
	args->placement = EDGPU_PLACEMENT_SYSTEM;
	args->size = gem->size;
	args->caching = EDGPU_CACHING_CACHED;
	args->populated = !READ_ONCE(SHMEM_I(file_inode(gem->filp))->swapped);
}

int edgpu_gem_info_ioctl(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct drm_edgpu_gem_info *args = data;
	struct drm_gem_object *gem;
	int ret;

	gem = drm_gem_object_lookup(file, args->handle);
	if (!gem)
		return -ENOENT;

	ret = dma_resv_lock_interruptible(gem->resv, NULL);
	if (!ret) {
		if (to_edgpu(drm)->backend == EDGPU_BACKEND_GEM)
			edgpu_shmem_info(gem, args);
		else
			edgpu_bo_info(gem_to_edgpu_bo(gem), args);
		dma_resv_unlock(gem->resv);
	}
	drm_gem_object_put(gem);
	return ret;
}

static int edgpu_bo_move_to(struct edgpu_bo *bo, u32 place)
{
	struct ttm_operation_ctx ctx = edgpu_bo_ctx(bo);
	struct edgpu_placement placement;
	int ret;

	ret = ttm_bo_reserve(&bo->base, true, false, NULL);
	if (ret)
		return ret;

	edgpu_bo_note_errors(bo);
	edgpu_placement_init(&placement, place, false);
	ret = ttm_bo_validate(&bo->base, &placement.base, &ctx);
	ttm_bo_unreserve(&bo->base);
	return ret;
}

int edgpu_gem_move_ioctl(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct edgpu_device *edgpu = to_edgpu(drm);
	struct drm_edgpu_gem_move *args = data;
	struct drm_gem_object *gem;
	struct edgpu_entry entry;
	struct edgpu_bo *bo;
	int ret = -EINVAL;

	gem = drm_gem_object_lookup(file, args->handle);
	if (!gem)
		return -ENOENT;
	bo = gem_to_edgpu_bo(gem);

	if (hweight32(args->placement) != 1 || (args->placement & ~bo->placement))
		goto out_put;

	ret = -E2BIG;
	if (gem->size > edgpu_max_move(edgpu, args->placement))
		goto out_put;

	ret = edgpu_enter(edgpu, &entry);
	if (ret)
		goto out_put;
	ret = edgpu_bo_move_to(bo, args->placement);
	edgpu_exit(edgpu, &entry);

out_put:
	drm_gem_object_put(gem);
	return ret;
}
