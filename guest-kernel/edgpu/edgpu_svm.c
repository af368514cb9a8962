// SPDX-License-Identifier: GPL-2.0
/*
 * Memory of the calling process to VRAM. How it comes back: edgpu_pagemap.c.
 */

#include <linux/hugetlb.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/mmap_lock.h>
#include <linux/pagemap.h>
#include <linux/sched/signal.h>
#include <linux/sizes.h>
#include <linux/slab.h>

#include <drm/drm_gem.h>
#include <drm/drm_ioctl.h>
#include <drm/ttm/ttm_bo.h>
#include <drm/ttm/ttm_placement.h>

#include "edgpu_bo.h"
#include "edgpu_drm.h"
#include "edgpu_drv.h"
#include "edgpu_entry.h"
#include "edgpu_pagemap.h"
#include "edgpu_svm.h"
#include "edgpu_vram.h"

/* What is in swap, or in the memory of another device, has to come back first. */
#define EDGPU_SVM_TRIES		4

static void edgpu_svm_free(struct drm_gem_object *gem)
{
	ttm_bo_fini(&gem_to_edgpu_bo(gem)->base);
}

/* Nobody has a handle of it. */
static const struct drm_gem_object_funcs edgpu_svm_gem_funcs = {
	.free = edgpu_svm_free,
};

/* In one piece, so that a huge page of the process can be one in VRAM; locked. */
static struct edgpu_bo *edgpu_svm_create(struct edgpu_device *edgpu, u64 size)
{
	struct edgpu_placement placement;
	struct ttm_operation_ctx ctx;
	struct edgpu_devmem *devmem;
	struct edgpu_bo *bo;
	int ret;

	devmem = kzalloc_obj(*devmem);
	bo = kzalloc_obj(*bo);
	if (!devmem || !bo) {
		kfree(devmem);
		kfree(bo);
		return ERR_PTR(-ENOMEM);
	}

	bo->base.base.funcs = &edgpu_svm_gem_funcs;
	drm_gem_private_object_init(&edgpu->drm, &bo->base.base, size);
	bo->placement = EDGPU_PLACEMENT_VRAM;
	bo->caching = ttm_cached;
	edgpu_placement_init(&placement, EDGPU_PLACEMENT_VRAM, false);
	placement.places[0].flags = TTM_PL_FLAG_CONTIGUOUS;
	ctx = edgpu_bo_ctx(bo);
	/* Destroys the object if it fails. */
	ret = ttm_bo_init_reserved(&edgpu->ttm, &bo->base, ttm_bo_type_kernel, &placement.base, 0,
				   &ctx, NULL, NULL, edgpu_bo_destroy);
	if (ret) {
		kfree(devmem);
		return ERR_PTR(ret);
	}
	edgpu_devmem_init(devmem, bo, current->mm);
	return bo;
}

static int edgpu_svm_check_area(const struct vm_area_struct *vma)
{
	if (!vma)
		return -EFAULT;
	if (vma->vm_flags & (VM_SPECIAL | VM_HUGETLB))
		return -EINVAL;
	if (!(vma->vm_flags & VM_READ))
		return -EACCES;
	return vma_is_anonymous(vma) ? 0 : -EOPNOTSUPP;
}

/* The address is a multiple of the size, which is a power of two. */
static u64 edgpu_svm_chunk(u64 addr, u64 end)
{
	u64 size = min(rounddown_pow_of_two(end - addr), SZ_2M);

	return addr & (size - 1) ? addr & -addr : size;
}

/* As much as one object holds: up to @end, which is changed for that. */
static int edgpu_svm_move_locked(struct edgpu_device *edgpu, struct mm_struct *mm, u64 addr,
				 u64 *end)
{
	const struct drm_pagemap_migrate_details details = { };
	struct vm_area_struct *vma = vma_lookup(mm, addr);
	struct edgpu_bo *bo;
	u64 size;
	int ret;

	ret = edgpu_svm_check_area(vma);
	if (ret)
		return ret;
	size = edgpu_svm_chunk(addr, min(*end, vma->vm_end));
	*end = addr + size;
	bo = edgpu_svm_create(edgpu, size);
	if (IS_ERR(bo))
		return PTR_ERR(bo);

	/* It may not be evicted before its pages are there. */
	drm_gem_object_get(&bo->base.base);
	ret = drm_pagemap_migrate_to_devmem(&bo->devmem->base, mm, addr, *end, &details);
	ttm_bo_unreserve(&bo->base);
	drm_gem_object_put(&bo->base.base);
	/* What pages are bounced in is used by others: their address is none that is bad. */
	return ret == -EFAULT ? -EBUSY : ret;
}

static int edgpu_svm_move(struct edgpu_device *edgpu, u64 addr, u64 *end)
{
	struct mm_struct *mm = current->mm;
	struct edgpu_entry entry;
	int ret;

	ret = edgpu_enter(edgpu, &entry);
	if (ret)
		return ret;
	ret = edgpu_pagemap_get(edgpu);
	if (ret)
		goto out_exit;

	ret = mmap_read_lock_killable(mm);
	if (!ret) {
		ret = edgpu_svm_move_locked(edgpu, mm, addr, end);
		mmap_read_unlock(mm);
	}
	edgpu_pagemap_put(edgpu);
out_exit:
	edgpu_exit(edgpu, &entry);
	return ret;
}

static int edgpu_svm_move_all(struct edgpu_device *edgpu, u64 *addr, u64 end)
{
	unsigned int tries = 0;

	while (*addr < end) {
		u64 next = end;
		int ret;

		if (signal_pending(current))
			return -ERESTARTSYS;
		ret = edgpu_svm_move(edgpu, *addr, &next);
		if (!ret) {
			*addr = next;
			tries = 0;
			continue;
		}
		if (ret != -EBUSY || ++tries == EDGPU_SVM_TRIES)
			return ret;
		/* Not within edgpu_enter(): it may have to wait for user space. */
		if (fault_in_readable(u64_to_user_ptr(*addr), next - *addr))
			return -EFAULT;
	}
	return 0;
}

int edgpu_svm_to_vram_ioctl(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct drm_edgpu_svm_to_vram *args = data;
	u64 addr = args->addr, end;
	int ret;

	if (args->flags || args->pad || !args->len || !PAGE_ALIGNED(addr | args->len) ||
	    check_add_overflow(addr, args->len, &end) || end > TASK_SIZE)
		return -EINVAL;

	ret = edgpu_svm_move_all(to_edgpu(drm), &addr, end);
	args->moved = addr - args->addr;
	return ret;
}
