// SPDX-License-Identifier: GPL-2.0
/*
 * debugfs: what the driver counts, and eviction on request.
 *
 * Programs read these files: lines and fields are only ever added at the end.
 *
 * stats	"name: value" lines. backend, dma_bits; pinned_pages: pages of
 *		system memory that objects hold now; engineN_*: the last fence
 *		given out and the last one done, faults, hangs, and how often
 *		the watchdog saw work done before an interrupt told of it;
 *		wedged; vram_generation; pins: by dma-buf importers and kernel
 *		mappings; reclaimed_pages and evicted_pages: taken from objects
 *		by the shrinker and by "evict"; to_vram_bytes and
 *		from_vram_bytes: moved, both for a move within VRAM;
 *		saved_bytes and restored_bytes: of VRAM, for a sleep;
 *		sleeps_refused and objects_lost: what should be 0;
 *		discarded_pages: of purgeable objects; recreated: how often a
 *		job filled such pages again;
 *		shrink_*: see struct ttm_shrinker_stats; shrinkable_pages: what
 *		TTM's shrinker could be asked for now; lru_lock: its address as
 *		tracepoints have it, hashed; runtime_suspends and
 *		runtime_resumes: to and from D3hot; runtime_busy and
 *		runtime_refused: suspends put off, because engines were at work
 *		or there was no place for what is in VRAM; saved_swapped_pages:
 *		how much of what was saved last was in swap once all of it was;
 *		prime_pages and prime_limit: what those pins hold, and may hold;
 *		uncharged_pages: charged to another memory cgroup than that of
 *		whoever made the object, which was full; svm_to_vram_bytes and
 *		svm_from_vram_bytes: copied, of pages of processes; svm_objects:
 *		in VRAM for such pages now; svm_lost_pages: read as zeroes, as
 *		they could not be copied when the device went.
 * lru		One line for each object on the lists, the next one to be
 *		evicted first: manager (system, vram, or unevictable: pinned,
 *		swapped out or without pages), priority, bytes, pins, offset for
 *		mmap (hex), pages of it in swap (0 if it is locked), and how many
 *		of them are not its own, but those of a copy that TTM has made.
 * memcgs	The memory cgroups that own objects, but for the root: see
 *		ttm_device_show_memcgs().
 * vram		What TTM and the buddy allocator say about VRAM.
 * evict	Any write: take system memory from all objects that are not in
 *		use, once.
 * frames	Where the objects on those lists are, but for the unevictable ones:
 *		lines with the object's offset for mmap (hex), a first page of it,
 *		pages that follow each other, "system" or "vram", and the frame
 *		number there (hex).
 *
 * And those of edgpu_knobs.c.
 */

#include <linux/debugfs.h>
#include <linux/dma-resv.h>
#include <linux/seq_file.h>
#include <linux/shmem_fs.h>

#include <drm/drm_debugfs.h>
#include <drm/drm_file.h>
#include <drm/drm_print.h>
#include <drm/drm_vma_manager.h>
#include <drm/ttm/ttm_bo.h>
#include <drm/ttm/ttm_placement.h>
#include <drm/ttm/ttm_resource.h>
#include <drm/ttm/ttm_tt.h>

#include "edgpu_drv.h"
#include "edgpu_entry.h"
#include "edgpu_frames.h"
#include "edgpu_knobs.h"
#include "edgpu_shrinker.h"
#include "edgpu_tt.h"

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
	struct edgpu_counters *counters = &edgpu->counters;
	unsigned int i;

	seq_printf(m, "backend: %s\n", edgpu_backend_names[edgpu->backend]);
	seq_printf(m, "dma_bits: %u\n", edgpu->dma_bits);
	seq_printf(m, "pinned_pages: %lu\n", edgpu_tt_pages(edgpu));
	for (i = 0; i < edgpu->num_engines; i++)
		edgpu_stats_ring(m, &edgpu->rings[i]);
	seq_printf(m, "wedged: %d\n", READ_ONCE(edgpu->wedged));
	seq_printf(m, "vram_generation: %u\n", READ_ONCE(edgpu->vram_generation));
	seq_printf(m, "pins: %d\n", atomic_read(&edgpu->pins));
	seq_printf(m, "reclaimed_pages: %ld\n", atomic_long_read(&edgpu->shrinker.stats.freed));
	seq_printf(m, "evicted_pages: %ld\n", atomic_long_read(&counters->evicted_pages));
	seq_printf(m, "to_vram_bytes: %lld\n", atomic64_read(&counters->to_vram));
	seq_printf(m, "from_vram_bytes: %lld\n", atomic64_read(&counters->from_vram));
	seq_printf(m, "saved_bytes: %llu\n", edgpu->save.saved);
	seq_printf(m, "restored_bytes: %llu\n", edgpu->save.restored);
	seq_printf(m, "sleeps_refused: %u\n", edgpu->pm.refused);
	seq_printf(m, "objects_lost: %u\n", edgpu->save.lost);
	seq_printf(m, "discarded_pages: %ld\n", edgpu_discarded_pages(&edgpu->ttm));
	seq_printf(m, "recreated: %ld\n", atomic_long_read(&counters->recreated));
	edgpu_shrinker_show(m, edgpu);
	edgpu_knobs_show(m, edgpu);
	seq_printf(m, "runtime_suspends: %u\n", edgpu->runtime.suspends);
	seq_printf(m, "runtime_resumes: %u\n", edgpu->runtime.resumes);
	seq_printf(m, "runtime_busy: %u\n", edgpu->runtime.busy);
	seq_printf(m, "runtime_refused: %u\n", edgpu->runtime.refused);
	seq_printf(m, "saved_swapped_pages: %lu\n", edgpu->save.swapped);
	seq_printf(m, "prime_pages: %ld\n", atomic_long_read(&edgpu->prime_pages));
	seq_printf(m, "prime_limit: %ld\n", edgpu->pin_limit);
	seq_printf(m, "uncharged_pages: %ld\n", edgpu_uncharged_pages(&edgpu->ttm));
	seq_printf(m, "svm_to_vram_bytes: %lld\n", atomic64_read(&edgpu->pagemap.to_vram));
	seq_printf(m, "svm_from_vram_bytes: %lld\n", atomic64_read(&edgpu->pagemap.from_vram));
	seq_printf(m, "svm_objects: %d\n", atomic_read(&edgpu->pagemap.objects));
	seq_printf(m, "svm_lost_pages: %ld\n", atomic_long_read(&edgpu->pagemap.lost));
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(edgpu_stats);

static int edgpu_memcgs_show(struct seq_file *m, void *data)
{
	struct edgpu_device *edgpu = m->private;
	struct drm_printer p = drm_seq_file_printer(m);

	ttm_device_show_memcgs(&edgpu->ttm, &p);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(edgpu_memcgs);

/* Of the shmem file that has its content: that of its own pages, or of a copy. */
static void edgpu_lru_show_swapped(struct seq_file *m, struct ttm_buffer_object *bo)
{
	unsigned long swapped = 0, copied = 0;

	/* As long as it is locked, it keeps its ttm_tt. */
	if (dma_resv_trylock(bo->base.resv)) {
		if (bo->ttm && bo->ttm->swap_storage)
			swapped = READ_ONCE(SHMEM_I(file_inode(bo->ttm->swap_storage))->swapped);
		if (bo->ttm && !ttm_tt_is_shmem(bo->ttm))
			copied = swapped;
		dma_resv_unlock(bo->base.resv);
	}
	seq_printf(m, " %lu %lu\n", swapped, copied);
}

static void edgpu_lru_show_list(struct seq_file *m, struct edgpu_device *edgpu,
				const char *manager, struct list_head *list)
{
	struct ttm_lru_item *item;

	lockdep_assert_held(&edgpu->ttm.lru_lock);

	list_for_each_entry(item, list, link) {
		struct ttm_resource *res;

		if (!ttm_lru_item_is_res(item))
			continue;
		res = ttm_lru_item_to_res(item);
		seq_printf(m, "%s %u %zu %u %llx", manager, res->bo->priority, res->size,
			   res->bo->pin_count, drm_vma_node_offset_addr(&res->bo->base.vma_node));
		edgpu_lru_show_swapped(m, res->bo);
	}
}

static int edgpu_lru_show(struct seq_file *m, void *data)
{
	struct edgpu_device *edgpu = m->private;
	static const char * const names[] = { [TTM_PL_SYSTEM] = "system", [TTM_PL_VRAM] = "vram" };
	unsigned int type, priority;

	spin_lock(&edgpu->ttm.lru_lock);
	for (type = 0; type < ARRAY_SIZE(names); type++) {
		struct ttm_resource_manager *man = ttm_manager_type(&edgpu->ttm, type);

		for (priority = 0; man && names[type] && priority < TTM_MAX_BO_PRIORITY; priority++)
			edgpu_lru_show_list(m, edgpu, names[type], &man->lru[priority]);
	}
	edgpu_lru_show_list(m, edgpu, "unevictable", &edgpu->ttm.unevictable);
	spin_unlock(&edgpu->ttm.lru_lock);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(edgpu_lru);

static ssize_t edgpu_evict_write(struct file *file, const char __user *buf,
				 size_t len, loff_t *pos)
{
	struct edgpu_device *edgpu = file->private_data;
	struct edgpu_entry entry;
	int ret;

	ret = edgpu_try_enter(edgpu, &entry);
	if (ret)
		return ret;
	edgpu_evict_system(edgpu);
	edgpu_exit(edgpu, &entry);
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
	debugfs_create_file("lru", 0444, root, edgpu, &edgpu_lru_fops);
	debugfs_create_file("memcgs", 0444, root, edgpu, &edgpu_memcgs_fops);
	edgpu_frames_init(edgpu, root);
	debugfs_create_file("evict", 0200, root, edgpu, &edgpu_evict_fops);
	edgpu_knobs_init(edgpu, root);
	ttm_resource_manager_create_debugfs(ttm_manager_type(&edgpu->ttm, TTM_PL_VRAM),
					    root, "vram");
}
