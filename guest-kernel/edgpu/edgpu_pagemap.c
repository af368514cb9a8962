// SPDX-License-Identifier: GPL-2.0
/*
 * Pages of processes in VRAM, which the CPU doesn't map: those of drm_pagemap.
 *
 * The VRAM of such pages is an object like any other, so that it is found by eviction, and
 * limited and counted as all VRAM is. It lasts as long as one of its pages does. Copies are
 * made by an engine other than the one that moves objects, if there are two: a CPU fault
 * waits for them with the address space locked.
 *
 * With a reset that costs VRAM its content, these pages lose theirs. They are not
 * brought back then: whoever touches one gets a SIGBUS.
 */

#include <linux/device.h>
#include <linux/ioport.h>
#include <linux/migrate.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/pm_runtime.h>
#include <linux/sched/mm.h>
#include <linux/sizes.h>
#include <linux/slab.h>

#include <drm/drm_gem.h>
#include <drm/drm_managed.h>
#include <drm/drm_print.h>
#include <drm/ttm/ttm_bo.h>
#include <drm/ttm/ttm_placement.h>
#include <drm/ttm/ttm_resource.h>

#include "edgpu_bo.h"
#include "edgpu_compat.h"
#include "edgpu_drm.h"
#include "edgpu_drv.h"
#include "edgpu_entry.h"
#include "edgpu_job.h"
#include "edgpu_knobs.h"
#include "edgpu_pagemap.h"
#include "edgpu_vram.h"

/* The engine that copies pages of processes, if there are as many. */
#define EDGPU_PAGEMAP_ENGINE	1U

/* How many pages are looked at in one go when the device is gone, and how often. */
#define EDGPU_ABANDON_PAGES	(SZ_2M / PAGE_SIZE)
#define EDGPU_ABANDON_TRIES	10

static struct edgpu_device *pagemap_to_edgpu(struct edgpu_pagemap *map)
{
	return container_of(map, struct edgpu_device, pagemap);
}

static struct edgpu_device *devmem_to_edgpu(struct edgpu_devmem *devmem)
{
	return ttm_to_edgpu(devmem->bo->base.bdev);
}

static int edgpu_pagemap_copy_spans(struct edgpu_device *edgpu, struct edgpu_span src,
				    struct edgpu_span dst, u64 size)
{
	struct edgpu_ring *ring = &edgpu->rings[min(EDGPU_PAGEMAP_ENGINE, edgpu->num_engines - 1)];
	struct edgpu_fence *fence;
	int ret;

	ret = edgpu_job_begin(ring, &fence);
	if (ret)
		return ret;
	ret = edgpu_job_copy(ring, src, dst, size);
	return edgpu_job_end(ring, fence, ret);
}

/* What has an address on either side. The others are holes, and VRAM is new, so zero. */
static unsigned long edgpu_pagemap_collect(struct page **pages,
					   const struct drm_pagemap_addr *addrs,
					   unsigned long npages, dma_addr_t *vram,
					   dma_addr_t *system)
{
	unsigned long i, j, count = 0;

	for (i = 0; i < npages; i += NR_PAGES(addrs[i].order)) {
		u64 start;

		if (!pages[i] || !addrs[i].addr)
			continue;
		start = PFN_PHYS(page_to_pfn(pages[i])) - page_pgmap(pages[i])->range.start;
		for (j = 0; j < NR_PAGES(addrs[i].order); j++, count++) {
			vram[count] = start + (j << PAGE_SHIFT);
			system[count] = addrs[i].addr + (j << PAGE_SHIFT);
		}
	}
	return count;
}

static struct edgpu_pagemap *edgpu_pagemap_of(struct page **pages, unsigned long npages)
{
	unsigned long i;

	for (i = 0; i < npages; i++)
		if (pages[i])
			return container_of(page_pgmap(pages[i]), struct edgpu_pagemap, pages);
	return NULL;
}

static int edgpu_pagemap_copy(struct edgpu_pagemap *map, struct edgpu_span vram,
			      struct edgpu_span system, u64 size, bool to_vram)
{
	struct edgpu_device *edgpu = pagemap_to_edgpu(map);
	struct edgpu_entry entry;
	int ret;

	ret = edgpu_try_enter(edgpu, &entry);
	if (ret)
		return ret;
	if (to_vram)
		ret = edgpu_pagemap_copy_spans(edgpu, system, vram, size);
	else if (READ_ONCE(edgpu->vram_generation) != READ_ONCE(map->generation))
		ret = -EIO;
	else
		ret = edgpu_pagemap_copy_spans(edgpu, vram, system, size);
	edgpu_exit(edgpu, &entry);
	if (!ret)
		atomic64_add(size, to_vram ? &map->to_vram : &map->from_vram);
	return ret;
}

static int edgpu_devmem_copy(struct page **pages, struct drm_pagemap_addr *addrs,
			     unsigned long npages, bool to_vram)
{
	struct edgpu_pagemap *map = edgpu_pagemap_of(pages, npages);
	dma_addr_t *vram, *system;
	unsigned long count;
	int ret = 0;

	if (!map)
		return 0;
	vram = kvmalloc_array(npages, 2 * sizeof(*vram), GFP_KERNEL);
	if (!vram)
		return -ENOMEM;

	system = vram + npages;
	count = edgpu_pagemap_collect(pages, addrs, npages, vram, system);
	if (count)
		ret = edgpu_pagemap_copy(map,
					 (struct edgpu_span) { .pages = vram, .in_vram = true },
					 (struct edgpu_span) { .pages = system },
					 (u64)count << PAGE_SHIFT, to_vram);
	kvfree(vram);
	return ret;
}

static int edgpu_devmem_copy_to_vram(struct page **pages, struct drm_pagemap_addr *addrs,
				     unsigned long npages, struct dma_fence *before)
{
	if (edgpu_knobs_svm_skip_copy())
		return 0;
	return edgpu_devmem_copy(pages, addrs, npages, true);
}

static int edgpu_devmem_copy_to_ram(struct page **pages, struct drm_pagemap_addr *addrs,
				    unsigned long npages, struct dma_fence *before)
{
	if (edgpu_knobs_svm_no_memory())
		return -ENOMEM;
	return edgpu_devmem_copy(pages, addrs, npages, false);
}

static struct edgpu_devmem *to_edgpu_devmem(struct drm_pagemap_devmem *base)
{
	return container_of(base, struct edgpu_devmem, base);
}

/* It is in one piece: see edgpu_svm.c. */
static int edgpu_devmem_populate(struct drm_pagemap_devmem *base, unsigned long npages,
				 unsigned long *pfns)
{
	struct edgpu_devmem *devmem = to_edgpu_devmem(base);
	struct edgpu_device *edgpu = devmem_to_edgpu(devmem);
	unsigned long i;
	u64 vram;

	edgpu_vram_run(devmem->bo->base.resource, 0, &vram);
	for (i = 0; i < npages; i++)
		pfns[i] = PHYS_PFN(edgpu->pagemap.pages.range.start + vram) + i;
	return 0;
}

/* When the last of its pages goes, which may be with a page table locked. */
static void edgpu_devmem_release(struct drm_pagemap_devmem *base)
{
	struct edgpu_devmem *devmem = to_edgpu_devmem(base);
	struct edgpu_pagemap *map = &devmem_to_edgpu(devmem)->pagemap;

	llist_add(&devmem->released, &map->released);
	schedule_work(&map->release);
}

static void edgpu_pagemap_release(struct work_struct *work)
{
	struct edgpu_pagemap *map = container_of(work, struct edgpu_pagemap, release);
	struct edgpu_device *edgpu = pagemap_to_edgpu(map);
	struct edgpu_devmem *devmem, *next;

	llist_for_each_entry_safe(devmem, next, llist_del_all(&map->released), released) {
		mmdrop(devmem->base.mm);
		drm_gem_object_put(&devmem->bo->base.base);
		atomic_dec(&map->objects);
		edgpu_power_put(edgpu, true);
	}
}

static const struct drm_pagemap_devmem_ops edgpu_devmem_ops = {
	.devmem_release = edgpu_devmem_release,
	.populate_devmem_pfn = edgpu_devmem_populate,
	.copy_to_devmem = edgpu_devmem_copy_to_vram,
	.copy_to_ram = edgpu_devmem_copy_to_ram,
};

/**
 * edgpu_devmem_init() - make an object the VRAM of pages of a process
 * @devmem: what there is besides
 * @bo: the object, in VRAM in one piece, locked; its reference goes to @devmem
 * @mm: the process's
 *
 * The device is awake as long as there is one: nothing in VRAM survives a nap
 * of the device but objects that TTM can save.
 */
void edgpu_devmem_init(struct edgpu_devmem *devmem, struct edgpu_bo *bo, struct mm_struct *mm)
{
	struct edgpu_device *edgpu = ttm_to_edgpu(bo->base.bdev);

	devmem->bo = bo;
	bo->devmem = devmem;
	mmgrab(mm);
	pm_runtime_get_noresume(&edgpu->pdev->dev);
	atomic_inc(&edgpu->pagemap.objects);
	drm_pagemap_devmem_init(&devmem->base, edgpu->drm.dev, mm, &edgpu_devmem_ops,
				&edgpu->pagemap.base, bo->base.base.size, NULL);
}

/**
 * edgpu_devmem_evict() - give processes their pages back in system memory
 * @devmem: of an object in VRAM, locked
 *
 * Return: 0, or a negative error code; -ENOSPC has TTM try another object.
 */
int edgpu_devmem_evict(struct edgpu_devmem *devmem)
{
	int ret = drm_pagemap_evict_to_ram(&devmem->base);

	return ret == -EBUSY || ret == -EFAULT ? -ENOSPC : ret;
}

/**
 * edgpu_pagemap_evict_all() - give all processes all their pages back
 * @edgpu: the device, awake
 *
 * Return: 0, or the first error, when all have been tried.
 */
int edgpu_pagemap_evict_all(struct edgpu_device *edgpu)
{
	struct ttm_operation_ctx ctx = { };
	struct ttm_lru_walk_arg arg = { .ctx = &ctx, .sleeping_lock = true };
	struct edgpu_placement placement;
	struct ttm_bo_lru_cursor cursor;
	struct ttm_buffer_object *bo;
	int ret = 0;

	edgpu_placement_init(&placement, EDGPU_PLACEMENT_SYSTEM, false);
	ttm_bo_lru_for_each_reserved_guarded(&cursor, &edgpu->vram.base, &arg, bo) {
		int err = 0;

		if (edgpu_bo_is_ours(bo) && to_edgpu_bo(bo)->devmem)
			err = ttm_bo_validate(bo, &placement.base, &ctx);
		ret = ret ?: err;
	}
	flush_work(&edgpu->pagemap.release);
	return ret;
}

/* &drm_pagemap_ops.destroy: the pages of it stay until the driver is unbound. */
static void edgpu_pagemap_unused(struct drm_pagemap *base, bool atomic)
{
	complete(&container_of(base, struct edgpu_pagemap, base)->idle);
}

static const struct drm_pagemap_ops edgpu_pagemap_ops = {
	.destroy = edgpu_pagemap_unused,
};

static void edgpu_pagemap_flush(void *data)
{
	struct edgpu_pagemap *map = data;

	flush_work(&map->release);
}

static int edgpu_pagemap_map(struct edgpu_pagemap *map)
{
	struct edgpu_device *edgpu = pagemap_to_edgpu(map);
	struct device *dev = edgpu->drm.dev;
	struct resource *res;
	void *ret;

	res = devm_request_free_mem_region(dev, &iomem_resource, edgpu->vram_size);
	if (IS_ERR(res))
		return PTR_ERR(res);

	map->pages.type = MEMORY_DEVICE_PRIVATE;
	map->pages.range.start = res->start;
	map->pages.range.end = res->end;
	map->pages.nr_range = 1;
	map->pages.owner = map;
	map->pages.ops = drm_pagemap_pagemap_ops_get();
	ret = devm_memremap_pages(dev, &map->pages);
	if (IS_ERR(ret)) {
		devm_release_mem_region(dev, res->start, resource_size(res));
		return PTR_ERR(ret);
	}
	map->mapped = true;
	return 0;
}

/* With @map not in use by anybody. */
static int edgpu_pagemap_begin(struct edgpu_pagemap *map)
{
	struct edgpu_device *edgpu = pagemap_to_edgpu(map);
	int ret = 0;

	if (!map->mapped)
		ret = edgpu_pagemap_map(map);
	if (ret)
		return ret;
	ret = drm_pagemap_init(&map->base, &map->pages, &edgpu->drm, &edgpu_pagemap_ops);
	if (ret) {
		/* It counts from one on all the same. */
		refcount_set(&map->base.ref.refcount, 0);
		return ret;
	}
	edgpu_knobs_svm_limit(&map->base);
	WRITE_ONCE(map->generation, READ_ONCE(edgpu->vram_generation));
	return 0;
}

/**
 * edgpu_pagemap_get() - begin to give VRAM to processes
 * @edgpu: the device, entered
 *
 * A module can't be unloaded, but the device unbound, while processes have pages of it.
 *
 * Return: 0; -EIO while there are pages whose content is lost; -ENODEV, -ENOMEM.
 */
int edgpu_pagemap_get(struct edgpu_device *edgpu)
{
	struct edgpu_pagemap *map = &edgpu->pagemap;
	int ret = 0;

	if (READ_ONCE(map->closed))
		return -ENODEV;

	mutex_lock(&map->lock);
	if (drm_pagemap_get_unless_zero(&map->base)) {
		if (map->generation != READ_ONCE(edgpu->vram_generation))
			ret = -EIO;
	} else {
		/* Its last user has finished with it. */
		wait_for_completion(&map->idle);
		ret = edgpu_pagemap_begin(map);
		if (ret)
			complete(&map->idle);
		mutex_unlock(&map->lock);
		return ret;
	}
	mutex_unlock(&map->lock);
	if (ret)
		edgpu_pagemap_put(edgpu);
	return ret;
}

/**
 * edgpu_pagemap_put() - the reverse; pages that processes have stay
 * @edgpu: the device
 */
void edgpu_pagemap_put(struct edgpu_device *edgpu)
{
	drm_pagemap_put(&edgpu->pagemap.base);
}

/**
 * edgpu_pagemap_close() - give processes back what they have, and no more to them
 * @edgpu: the device, about to be unplugged
 */
void edgpu_pagemap_close(struct edgpu_device *edgpu)
{
	int ret;

	/* Those who have entered finish. */
	down_write(&edgpu->reset_sem);
	WRITE_ONCE(edgpu->pagemap.closed, true);
	up_write(&edgpu->reset_sem);

	ret = edgpu_pagemap_evict_all(edgpu);
	if (ret)
		drm_warn(&edgpu->drm, "pages of processes stay in VRAM: %d\n", ret);
}

/* For those of @src that processes have: one that is huge can't be split by then. */
static long edgpu_pagemap_zero(const unsigned long *src, unsigned long *dst, unsigned long count)
{
	unsigned long i, nr;
	long lost = 0;

	for (i = 0; i < count; i += nr) {
		struct page *page = migrate_pfn_to_page(src[i]);
		unsigned int order = page ? folio_order(page_folio(page)) : 0;
		struct folio *folio;

		nr = NR_PAGES(order);
		if (!(src[i] & MIGRATE_PFN_MIGRATE))
			continue;
		folio = folio_alloc(GFP_HIGHUSER | __GFP_ZERO | (order ? 0 : __GFP_NOFAIL), order);
		if (!folio)
			continue;
		folio_lock(folio);
		dst[i] = migrate_pfn(folio_pfn(folio)) | (order ? MIGRATE_PFN_COMPOUND : 0);
		lost += nr;
	}
	return lost;
}

static long edgpu_pagemap_abandon_range(unsigned long start, unsigned long count, bool split)
{
	unsigned long *src, *dst, i;
	long lost = 0;

	src = kvcalloc(count, 2 * sizeof(*src), GFP_KERNEL | __GFP_NOFAIL);
	dst = src + count;
	for (i = 0; split && i < count; i++)
		src[i] = start + i;
	if (split)
		migrate_device_split(src, count);
	if (!migrate_device_range(src, start, count)) {
		lost = edgpu_pagemap_zero(src, dst, count);
		migrate_device_pages(src, dst, count);
		migrate_device_finalize(src, dst, count);
	}
	kvfree(src);
	cond_resched();
	return lost;
}

/**
 * edgpu_pagemap_abandon() - what could not be copied reads as zeroes from now on
 * @edgpu: the device, unplugged
 *
 * As do mappings of objects. Otherwise the pages would have to stay, and the driver as well.
 */
void edgpu_pagemap_abandon(struct edgpu_device *edgpu)
{
	struct edgpu_pagemap *map = &edgpu->pagemap;
	unsigned long first, start = PHYS_PFN(map->pages.range.start);
	unsigned long last = start + PHYS_PFN(edgpu->vram_size);
	unsigned int tries;
	long lost = 0;

	/* Some may be locked for a moment, and some find no huge page to go to. */
	for (tries = 0; tries < EDGPU_ABANDON_TRIES && atomic_read(&map->objects); tries++) {
		for (first = start; first < last; first += EDGPU_ABANDON_PAGES)
			lost += edgpu_pagemap_abandon_range(first,
							    min(EDGPU_ABANDON_PAGES, last - first),
							    tries);
		flush_work(&map->release);
	}
	atomic_long_add(lost, &map->lost);
	if (lost)
		drm_warn(&edgpu->drm, "%ld pages of processes have lost their content\n", lost);
}

/**
 * edgpu_pagemap_init() - be ready to give VRAM to processes
 * @edgpu: the device
 *
 * Return: 0 or a negative error code.
 */
int edgpu_pagemap_init(struct edgpu_device *edgpu)
{
	struct edgpu_pagemap *map = &edgpu->pagemap;
	int ret;

	init_completion(&map->idle);
	complete(&map->idle);
	init_llist_head(&map->released);
	INIT_WORK(&map->release, edgpu_pagemap_release);
	ret = drmm_mutex_init(&edgpu->drm, &map->lock);
	if (ret)
		return ret;
	/* After the pages are gone, and before the module is. */
	return devm_add_action_or_reset(edgpu->drm.dev, edgpu_pagemap_flush, map);
}
