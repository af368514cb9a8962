/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _EDGPU_CARVEOUT_H_
#define _EDGPU_CARVEOUT_H_

#include <linux/types.h>

struct edgpu_device;
struct ttm_device;
struct ttm_tt;

#ifdef CONFIG_DMA_CMA
bool edgpu_carveout_exists(struct edgpu_device *edgpu);
int edgpu_carveout_borrow(struct ttm_device *ttm, struct ttm_tt *tt, pgoff_t first,
			  pgoff_t nr);
void edgpu_carveout_return(struct ttm_device *ttm, struct ttm_tt *tt, pgoff_t first,
			   pgoff_t nr);
#else
#define edgpu_carveout_borrow NULL
#define edgpu_carveout_return NULL
static inline bool edgpu_carveout_exists(struct edgpu_device *edgpu)
{
	return false;
}
#endif

#endif
