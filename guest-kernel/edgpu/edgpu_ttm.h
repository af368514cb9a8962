/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _EDGPU_TTM_H_
#define _EDGPU_TTM_H_

#include <linux/types.h>

struct edgpu_device;

int edgpu_ttm_init(struct edgpu_device *edgpu);
void edgpu_ttm_evict_system(struct edgpu_device *edgpu);
bool edgpu_ttm_has_shmem(void);
unsigned long edgpu_ttm_shmem_pages(struct edgpu_device *edgpu);

#endif
