// SPDX-License-Identifier: GPL-2.0
/*
 * CPU access to objects by the kernel: pread, pwrite, and debuggers.
 */

#include <linux/dma-resv.h>
#include <linux/highmem.h>
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include <drm/drm_gem.h>

#include "edgpu_access.h"
#include "edgpu_bo.h"
#include "edgpu_drm.h"
#include "edgpu_drv.h"
#include "edgpu_entry.h"
#include "edgpu_vram.h"

/* The lock is dropped, and user memory touched, after each piece. */
#define EDGPU_RW_PIECE	SZ_64K

static u64 edgpu_access_vram(struct ttm_buffer_object *bo, u64 offset, void *buf, u64 len,
			     bool write)
{
	struct edgpu_device *edgpu = ttm_to_edgpu(bo->bdev);
	void __iomem *io;
	u64 vram;

	len = min(len, edgpu_vram_run(bo->resource, offset, &vram));
	io = edgpu->aperture + vram;
	if (write)
		memcpy_toio(io, buf, len);
	else
		memcpy_fromio(buf, io, len);
	return len;
}

static u64 edgpu_access_page(struct ttm_buffer_object *bo, u64 offset, void *buf, u64 len,
			     bool write)
{
	u64 start = offset_in_page(offset);
	void *page;

	len = min(len, PAGE_SIZE - start);
	page = kmap_local_page(bo->ttm->pages[offset >> PAGE_SHIFT]);
	if (write)
		memcpy(page + start, buf, len);
	else
		memcpy(buf, page + start, len);
	kunmap_local(page);
	return len;
}

/* The object is locked, idle and visible, and populated if not in VRAM. */
static void edgpu_access_bytes(struct ttm_buffer_object *bo, u64 offset, void *buf, u64 len,
			       bool write)
{
	u64 done;

	for (; len; len -= done, offset += done, buf += done) {
		if (bo->resource->mem_type == TTM_PL_VRAM)
			done = edgpu_access_vram(bo, offset, buf, len, write);
		else
			done = edgpu_access_page(bo, offset, buf, len, write);
	}
}

/**
 * edgpu_bo_access_memory() - &ttm_device_funcs.access_memory
 * @bo: the object, locked, in VRAM
 * @offset: in bytes
 * @buf: from or to
 * @len: bytes
 * @write: to the object?
 *
 * Return: @len, or -EIO if the CPU can't see the object where it is, or the device is wedged.
 */
int edgpu_bo_access_memory(struct ttm_buffer_object *bo, unsigned long offset,
			   void *buf, int len, int write)
{
	if (bo->resource->mem_type != TTM_PL_VRAM || !edgpu_vram_visible(bo->resource) ||
	    READ_ONCE(ttm_to_edgpu(bo->bdev)->wedged))
		return -EIO;
	edgpu_access_bytes(bo, offset, buf, len, write);
	return len;
}

static int edgpu_rw_locked(struct ttm_buffer_object *bo, u64 offset, void *buf, u64 len,
			   bool write)
{
	struct ttm_operation_ctx ctx = edgpu_bo_ctx(to_edgpu_bo(bo));
	long ret;

	ret = dma_resv_wait_timeout(bo->base.resv, dma_resv_usage_rw(write), true,
				    MAX_SCHEDULE_TIMEOUT);
	if (ret < 0)
		return ret;
	ret = edgpu_bo_make_visible(bo);
	if (!ret && bo->resource->mem_type != TTM_PL_VRAM)
		ret = ttm_bo_populate(bo, &ctx);
	if (!ret)
		edgpu_access_bytes(bo, offset, buf, len, write);
	return ret;
}

static int edgpu_rw_piece(struct ttm_buffer_object *bo, u64 offset, void *buf, u64 len,
			  bool write)
{
	struct edgpu_device *edgpu = ttm_to_edgpu(bo->bdev);
	struct edgpu_entry entry;
	int ret;

	ret = edgpu_enter(edgpu, &entry);
	if (ret)
		return ret;

	ret = ttm_bo_reserve(bo, true, false, NULL);
	if (!ret) {
		ret = edgpu_rw_locked(bo, offset, buf, len, write);
		ttm_bo_unreserve(bo);
	}
	edgpu_exit(edgpu, &entry);
	return ret;
}

static int edgpu_rw_all(struct ttm_buffer_object *bo, const struct drm_edgpu_gem_rw *args,
			bool write)
{
	void __user *user = u64_to_user_ptr(args->data);
	u64 offset = args->offset, left = args->len, piece;
	void *buf;
	int ret = 0;

	buf = kvmalloc(min(left, EDGPU_RW_PIECE), GFP_KERNEL);
	if (!buf)
		return -ENOMEM;

	for (; left && !ret; left -= piece, offset += piece, user += piece) {
		piece = min(left, EDGPU_RW_PIECE);
		if (write && copy_from_user(buf, user, piece))
			ret = -EFAULT;
		if (!ret)
			ret = edgpu_rw_piece(bo, offset, buf, piece, write);
		if (!ret && !write && copy_to_user(user, buf, piece))
			ret = -EFAULT;
	}
	kvfree(buf);
	return ret;
}

static int edgpu_rw_ioctl(struct drm_file *file, const struct drm_edgpu_gem_rw *args, bool write)
{
	struct drm_gem_object *gem;
	int ret = -EINVAL;
	u64 end;

	if (args->pad || !args->len)
		return -EINVAL;

	gem = drm_gem_object_lookup(file, args->handle);
	if (!gem)
		return -ENOENT;

	if (drm_gem_is_imported(gem))
		ret = -EOPNOTSUPP;
	else if (!check_add_overflow(args->offset, args->len, &end) && end <= gem->size)
		ret = edgpu_rw_all(&gem_to_edgpu_bo(gem)->base, args, write);
	drm_gem_object_put(gem);
	return ret;
}

int edgpu_gem_pread_ioctl(struct drm_device *drm, void *data, struct drm_file *file)
{
	return edgpu_rw_ioctl(file, data, false);
}

int edgpu_gem_pwrite_ioctl(struct drm_device *drm, void *data, struct drm_file *file)
{
	return edgpu_rw_ioctl(file, data, true);
}
