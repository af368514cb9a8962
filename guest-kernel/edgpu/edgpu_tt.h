/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _EDGPU_TT_H_
#define _EDGPU_TT_H_

#include <linux/scatterlist.h>
#include <linux/types.h>

#include <drm/ttm/ttm_tt.h>

struct edgpu_device;
struct ttm_buffer_object;
struct ttm_device;
struct ttm_operation_ctx;

/* enum edgpu_backend - what system memory pages of objects come from. */
enum edgpu_backend {
	/* ttm_pool pages, copied to shmem on swapout: what most drivers have. */
	EDGPU_BACKEND_LEGACY,
	/* The pages are those of a shmem file, unpinned on swapout. */
	EDGPU_BACKEND_SHMEM,
	/* ttm_pool pages, copied to shmem folio by folio: what xe has. */
	EDGPU_BACKEND_BACKUP,
	/* No TTM: objects of DRM's GEM shmem helper, see edgpu_gemshmem.c. */
	EDGPU_BACKEND_GEM,
	EDGPU_BACKENDS,
};

extern const char * const edgpu_backend_names[EDGPU_BACKENDS];

/**
 * struct edgpu_tt - the pages of an object in system memory
 */
struct edgpu_tt {
	/** @base: the pages */
	struct ttm_tt base;
	/** @dma_address: where the engines find them, once resident */
	dma_addr_t *dma_address;
	/** @sg: what is mapped for DMA, if TTM does not do it */
	struct sg_table sg;
};

static inline struct edgpu_tt *to_edgpu_tt(struct ttm_tt *tt)
{
	return container_of(tt, struct edgpu_tt, base);
}

bool edgpu_tt_has_carveout(struct edgpu_device *edgpu);
bool edgpu_tt_is_chunked(struct ttm_buffer_object *bo);
long edgpu_tt_evict_chunk(struct ttm_buffer_object *bo, struct ttm_operation_ctx *ctx,
			  pgoff_t nr);
unsigned int edgpu_tt_alloc_flags(struct edgpu_device *edgpu);
unsigned long edgpu_tt_pages(struct edgpu_device *edgpu);

struct ttm_tt *edgpu_tt_create(struct ttm_buffer_object *bo, u32 page_flags);
void edgpu_tt_destroy(struct ttm_device *ttm, struct ttm_tt *tt);
int edgpu_tt_populate(struct ttm_device *ttm, struct ttm_tt *tt,
		      struct ttm_operation_ctx *ctx);
void edgpu_tt_unpopulate(struct ttm_device *ttm, struct ttm_tt *tt);

int edgpu_tt_make_resident(struct ttm_buffer_object *bo,
			   struct ttm_operation_ctx *ctx);
void edgpu_tt_unmap_dma(struct edgpu_device *edgpu, struct ttm_tt *tt);
long edgpu_tt_backup(struct ttm_buffer_object *bo, struct ttm_operation_ctx *ctx,
		     bool writeback);

#endif
