// SPDX-License-Identifier: GPL-2.0
/*
 * debugfs: what the driver counts, and eviction on request.
 */

#include <linux/debugfs.h>
#include <linux/seq_file.h>

#include <drm/drm_debugfs.h>
#include <drm/drm_drv.h>
#include <drm/drm_file.h>
#include <drm/ttm/ttm_placement.h>
#include <drm/ttm/ttm_resource.h>

#include "edgpu_drv.h"
#include "edgpu_shrinker.h"

static void edgpu_stats_ring(struct seq_file *m, struct edgpu_ring *ring)
{
	spin_lock_irq(&ring->lock);
	seq_printf(m, "engine%u_seqno: %llu\n", ring->engine, ring->seqno);
	seq_printf(m, "engine%u_completed: %llu\n", ring->engine, ring->completed);
	seq_printf(m, "engine%u_faults: %llu\n", ring->engine, ring->faults);
	seq_printf(m, "engine%u_timeouts: %llu\n", ring->engine, ring->timeouts);
	seq_printf(m, "engine%u_late: %llu\n", ring->engine, ring->late);
	spin_unlock_irq(&ring->lock);
}

static int edgpu_stats_show(struct seq_file *m, void *data)
{
	struct edgpu_device *edgpu = m->private;
	unsigned int i;

	seq_printf(m, "backend: %s\n", edgpu_backend_names[edgpu->backend]);
	seq_printf(m, "dma_bits: %u\n", edgpu->dma_bits);
	seq_printf(m, "pinned_pages: %lu\n", edgpu_tt_pages(edgpu));
	for (i = 0; i < edgpu->num_engines; i++)
		edgpu_stats_ring(m, &edgpu->rings[i]);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(edgpu_stats);

static ssize_t edgpu_evict_write(struct file *file, const char __user *buf,
				 size_t len, loff_t *pos)
{
	struct edgpu_device *edgpu = file->private_data;
	int idx;

	if (!drm_dev_enter(&edgpu->drm, &idx))
		return -ENODEV;
	edgpu_evict_system(edgpu);
	drm_dev_exit(idx);
	return len;
}

static const struct file_operations edgpu_evict_fops = {
	.owner = THIS_MODULE,
	.open = simple_open,
	.write = edgpu_evict_write,
};

/**
 * edgpu_debugfs_init() - &drm_driver.debugfs_init
 * @minor: of the device
 */
void edgpu_debugfs_init(struct drm_minor *minor)
{
	struct edgpu_device *edgpu = to_edgpu(minor->dev);
	struct dentry *root = minor->debugfs_root;

	debugfs_create_file("stats", 0444, root, edgpu, &edgpu_stats_fops);
	debugfs_create_file("evict", 0200, root, edgpu, &edgpu_evict_fops);
	ttm_resource_manager_create_debugfs(ttm_manager_type(&edgpu->ttm, TTM_PL_VRAM),
					    root, "vram");
}
