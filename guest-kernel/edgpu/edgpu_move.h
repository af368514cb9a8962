/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _EDGPU_MOVE_H_
#define _EDGPU_MOVE_H_

#include <linux/types.h>

struct edgpu_device;
struct edgpu_span;
struct ttm_buffer_object;
struct ttm_operation_ctx;
struct ttm_place;
struct ttm_resource;

int edgpu_bo_move(struct ttm_buffer_object *bo, bool evict,
		  struct ttm_operation_ctx *ctx, struct ttm_resource *new_mem,
		  struct ttm_place *hop);

int edgpu_move_copy(struct edgpu_device *edgpu, const struct edgpu_span *src,
		    const struct edgpu_span *dst, u64 size);
int edgpu_move_fill_pages(struct ttm_buffer_object *bo, pgoff_t first, pgoff_t nr,
			  const unsigned long *bitmap, u64 value);

#endif
