// SPDX-License-Identifier: GPL-2.0
/*
 * debugfs: where each object is, page by page.
 */

#include <linux/debugfs.h>
#include <linux/mm.h>
#include <linux/seq_file.h>

#include <drm/drm_vma_manager.h>
#include <drm/ttm/ttm_bo.h>
#include <drm/ttm/ttm_placement.h>
#include <drm/ttm/ttm_resource.h>

#include "edgpu_bo.h"
#include "edgpu_drv.h"
#include "edgpu_frames.h"
#include "edgpu_vram.h"

static void edgpu_frames_line(struct seq_file *m, struct ttm_buffer_object *bo, const char *where,
			      pgoff_t first, pgoff_t nr, u64 frame)
{
	seq_printf(m, "%llx %lu %lu %s %llx\n", drm_vma_node_offset_addr(&bo->base.vma_node),
		   first, nr, where, frame);
}

/* From @first on, how many pages follow each other in memory. */
static pgoff_t edgpu_frames_run(struct ttm_tt *tt, pgoff_t first)
{
	unsigned long frame = page_to_pfn(tt->pages[first]);
	pgoff_t nr = 1;

	while (first + nr < tt->num_pages && tt->pages[first + nr] &&
	       page_to_pfn(tt->pages[first + nr]) == frame + nr)
		nr++;
	return nr;
}

static void edgpu_frames_show_system(struct seq_file *m, struct ttm_buffer_object *bo)
{
	struct ttm_tt *tt = bo->ttm;
	pgoff_t first, nr;

	if (!tt || !tt->pages)
		return;

	for (first = edgpu_evicted(tt); first < tt->num_pages; first += nr) {
		nr = edgpu_frames_run(tt, first);
		edgpu_frames_line(m, bo, "system", first, nr, page_to_pfn(tt->pages[first]));
	}
}

static void edgpu_frames_show_vram(struct seq_file *m, struct ttm_buffer_object *bo)
{
	u64 offset, len, vram;

	for (offset = 0; offset < bo->base.size; offset += len) {
		len = min(edgpu_vram_run(bo->resource, offset, &vram), bo->base.size - offset);
		edgpu_frames_line(m, bo, "vram", offset >> PAGE_SHIFT, len >> PAGE_SHIFT,
				  vram >> PAGE_SHIFT);
	}
}

static int edgpu_frames_show_all(struct seq_file *m, struct edgpu_device *edgpu, unsigned int type)
{
	struct ttm_operation_ctx ctx = { .interruptible = true };
	struct ttm_lru_walk_arg arg = { .ctx = &ctx, .sleeping_lock = true };
	struct ttm_resource_manager *man = ttm_manager_type(&edgpu->ttm, type);
	struct ttm_bo_lru_cursor cursor;
	struct ttm_buffer_object *bo;

	ttm_bo_lru_for_each_reserved_guarded(&cursor, man, &arg, bo) {
		if (!edgpu_bo_is_ours(bo))
			continue;
		if (type == TTM_PL_VRAM)
			edgpu_frames_show_vram(m, bo);
		else
			edgpu_frames_show_system(m, bo);
	}
	return IS_ERR(bo) ? PTR_ERR(bo) : 0;
}

static int edgpu_frames_show(struct seq_file *m, void *data)
{
	struct edgpu_device *edgpu = m->private;
	int ret;

	ret = edgpu_frames_show_all(m, edgpu, TTM_PL_SYSTEM);
	return ret ?: edgpu_frames_show_all(m, edgpu, TTM_PL_VRAM);
}
DEFINE_SHOW_ATTRIBUTE(edgpu_frames);

/**
 * edgpu_frames_init() - the file "frames"
 * @edgpu: the device
 * @root: of its debugfs
 */
void edgpu_frames_init(struct edgpu_device *edgpu, struct dentry *root)
{
	debugfs_create_file("frames", 0400, root, edgpu, &edgpu_frames_fops);
}
