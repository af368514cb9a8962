/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the driver uses of the series, and what there is instead in a kernel without it.
 *
 * Such a kernel is for comparison. Only backend=legacy and backend=gem work there, without a
 * shrinker, as in most of its drivers, and a sleep moves what is in VRAM out. No other file of
 * the driver asks which kernel it is built for. A kernel has the whole series, or nothing of it.
 */
#ifndef _EDGPU_COMPAT_H_
#define _EDGPU_COMPAT_H_

#include <linux/dma-mapping.h>
#include <linux/minmax.h>
#include <linux/types.h>

#include <drm/ttm/ttm_allocation.h>
#include <drm/ttm/ttm_bo.h>
#include <drm/ttm/ttm_device.h>
#include <drm/ttm/ttm_resource.h>
#include <drm/ttm/ttm_tt.h>

#if __has_include("drm/ttm/ttm_sleep.h")

#include <linux/migrate.h>
#include <linux/shmem_fs.h>

#include <drm/drm_pagemap.h>
#include <drm/ttm/ttm_shrinker.h>
#include <drm/ttm/ttm_sleep.h>

#define EDGPU_HAS_SERIES	true

/* What TTM calls the driver for besides. */
#define EDGPU_TTM_FUNCS_OF_SERIES		\
	.recreate = edgpu_purge_recreate,	\
	.borrow_pages = edgpu_carveout_borrow,	\
	.return_pages = edgpu_carveout_return,

static inline bool edgpu_is_purgeable(const struct ttm_buffer_object *bo)
{
	return bo->purgeable;
}

static inline const unsigned long *edgpu_discarded(const struct ttm_buffer_object *bo)
{
	return bo->discarded;
}

static inline long edgpu_discarded_pages(struct ttm_device *ttm)
{
	return atomic_long_read(&ttm->discarded_pages);
}

static inline long edgpu_uncharged_pages(struct ttm_device *ttm)
{
	return atomic_long_read(&ttm->uncharged_pages);
}

/* The highest physical address that objects may have. */
static inline phys_addr_t edgpu_dma_limit(const struct ttm_device *ttm, struct device *dev)
{
	return ttm->dma_limit;
}

/* How many pages of a large object are moved or evicted at a time. */
static inline u32 *edgpu_chunk_pages(struct ttm_device *ttm)
{
	return &ttm->shmem_chunk;
}

/* How many of its pages are not held. */
static inline pgoff_t edgpu_evicted(struct ttm_tt *tt)
{
	if (ttm_tt_is_partial(tt))
		return tt->evicted;
	return ttm_tt_is_populated(tt) ? 0 : tt->num_pages;
}

/*
 * Whether it is in a VRAM that sleeps. If not, and it is in VRAM and locked, then the device
 * is awake at least until it is unlocked.
 */
static inline bool edgpu_is_saved(const struct ttm_buffer_object *bo)
{
	return READ_ONCE(bo->saved);
}

static inline bool edgpu_has_saved(const struct ttm_device *ttm)
{
	return ttm_sleep_is_asleep(&ttm->sleep);
}

/* Pages in swap of what is saved. */
static inline unsigned long edgpu_saved_swapped(const struct ttm_device *ttm)
{
	struct file *shmem = ttm->sleep.shmem;

	return shmem ? READ_ONCE(SHMEM_I(file_inode(shmem))->swapped) : 0;
}

static inline void edgpu_set_budget(struct ttm_resource_manager *man, bool budget)
{
	man->saved = budget;
}

static inline void edgpu_lift_pagemap_limit(struct drm_pagemap *map)
{
	map->limit = PHYS_ADDR_MAX;
}

#else

struct drm_pagemap;
struct drm_printer;
struct file;

/* No file has a limit, so there is none to lift. */
static inline int shmem_set_phys_limit(struct file *file, phys_addr_t limit)
{
	return 0;
}

#define EDGPU_HAS_SERIES		false
#define EDGPU_TTM_FUNCS_OF_SERIES

#define TTM_ALLOCATION_SHMEM		0
#define TTM_ALLOCATION_SHMEM_CHUNKED	0

static inline bool ttm_tt_is_shmem(const struct ttm_tt *tt)
{
	return false;
}

static inline bool ttm_tt_is_partial(const struct ttm_tt *tt)
{
	return false;
}

static inline unsigned long ttm_device_shmem_pages(struct ttm_device *ttm)
{
	return 0;
}

static inline int ttm_tt_init_shmem(struct ttm_tt *tt, struct ttm_buffer_object *bo,
				    u32 page_flags, enum ttm_caching caching)
{
	return -EOPNOTSUPP;
}

static inline int ttm_tt_init_borrowed(struct ttm_tt *tt, struct ttm_buffer_object *bo,
				       u32 page_flags, enum ttm_caching caching)
{
	return -EOPNOTSUPP;
}

static inline long ttm_bo_evict_chunk(struct ttm_buffer_object *bo,
				      struct ttm_operation_ctx *ctx, pgoff_t nr)
{
	return -EOPNOTSUPP;
}

static inline int ttm_bo_move_in_chunks(struct ttm_buffer_object *bo,
					struct ttm_operation_ctx *ctx,
					struct ttm_resource *new_mem,
					int (*copy)(struct ttm_buffer_object *bo,
						    struct ttm_resource *new_mem,
						    pgoff_t first, pgoff_t nr))
{
	return -EOPNOTSUPP;
}

static inline int ttm_bo_set_purgeable(struct ttm_buffer_object *bo, bool purgeable)
{
	return -EOPNOTSUPP;
}

static inline bool ttm_bo_is_discarded(struct ttm_buffer_object *bo)
{
	return false;
}

static inline void ttm_bo_mark_discarded(struct ttm_buffer_object *bo, pgoff_t first, pgoff_t nr)
{
}

static inline bool edgpu_is_purgeable(const struct ttm_buffer_object *bo)
{
	return false;
}

static inline const unsigned long *edgpu_discarded(const struct ttm_buffer_object *bo)
{
	return NULL;
}

static inline long edgpu_discarded_pages(struct ttm_device *ttm)
{
	return 0;
}

static inline long edgpu_uncharged_pages(struct ttm_device *ttm)
{
	return 0;
}

static inline void ttm_device_show_memcgs(struct ttm_device *ttm, struct drm_printer *p)
{
}

static inline phys_addr_t edgpu_dma_limit(const struct ttm_device *ttm, struct device *dev)
{
	return min_not_zero(dma_get_mask(dev), dev->bus_dma_limit);
}

static inline u32 *edgpu_chunk_pages(struct ttm_device *ttm)
{
	return NULL;
}

static inline pgoff_t edgpu_evicted(struct ttm_tt *tt)
{
	return ttm_tt_is_populated(tt) ? 0 : tt->num_pages;
}

enum ttm_shrinker_walk {
	TTM_SHRINKER_WALK_MACRO,
	TTM_SHRINKER_WALK_CALLBACK,
	TTM_SHRINKER_WALK_NEXT,
	TTM_SHRINKER_WALKS,
};

enum ttm_shrinker_policy {
	TTM_SHRINKER_POLICY_PAGES,
	TTM_SHRINKER_POLICY_BO,
	TTM_SHRINKER_POLICIES,
};

struct ttm_shrinker_ops {
	long (*shrink)(struct ttm_buffer_object *bo, struct ttm_operation_ctx *ctx,
		       bool writeback);
};

struct ttm_shrinker_stats {
	atomic_long_t calls, asked, visited, refused, scanned, freed, purged;
};

struct ttm_shrinker {
	struct ttm_device *bdev;
	enum ttm_shrinker_walk walk;
	enum ttm_shrinker_policy policy;
	struct ttm_shrinker_stats stats;
};

static inline int ttm_shrinker_init(struct ttm_shrinker *shrinker, struct ttm_device *ttm,
				    const struct ttm_shrinker_ops *ops,
				    enum ttm_shrinker_walk walk,
				    enum ttm_shrinker_policy policy, const char *name)
{
	shrinker->bdev = ttm;
	return 0;
}

static inline void ttm_shrinker_fini(struct ttm_shrinker *shrinker)
{
}

static inline long ttm_shrinker_evict(struct ttm_shrinker *shrinker,
				      struct ttm_operation_ctx *ctx, unsigned long nr_pages)
{
	long done = 0;
	int ret = 1;

	while (ret > 0 && done < nr_pages) {
		ret = ttm_device_swapout(shrinker->bdev, ctx, GFP_KERNEL);
		done += max(ret, 0);
	}
	return done ?: ret;
}

static inline unsigned long ttm_device_shrinkable_pages(struct ttm_device *ttm, int nid)
{
	return 0;
}

struct ttm_sleep_funcs {
	int (*copy)(struct ttm_buffer_object *bo, u64 offset, struct page **pages,
		    unsigned int num_pages, bool restore);
	bool (*wanted)(struct ttm_buffer_object *bo);
	void (*restored)(struct ttm_buffer_object *bo, int error);
	void (*wake)(struct ttm_device *ttm);
};

static inline int ttm_device_reserve_sleep(struct ttm_device *ttm)
{
	return 0;
}

static inline int ttm_device_set_sleep_file(struct ttm_device *ttm, struct file *file)
{
	return -EOPNOTSUPP;
}

static inline int ttm_device_save(struct ttm_device *ttm, struct ttm_resource_manager *man,
				  const struct ttm_sleep_funcs *funcs)
{
	return ttm_resource_manager_evict_all(ttm, man);
}

static inline int ttm_device_restore(struct ttm_device *ttm)
{
	return 0;
}

static inline bool edgpu_is_saved(const struct ttm_buffer_object *bo)
{
	return false;
}

static inline bool edgpu_has_saved(const struct ttm_device *ttm)
{
	return false;
}

static inline unsigned long edgpu_saved_swapped(const struct ttm_device *ttm)
{
	return 0;
}

static inline void edgpu_set_budget(struct ttm_resource_manager *man, bool budget)
{
}

/* It has none. */
static inline void edgpu_lift_pagemap_limit(struct drm_pagemap *map)
{
}

/* They stay as they are. */
static inline void migrate_device_split(const unsigned long *pfns, unsigned long npages)
{
}

#endif

#endif
