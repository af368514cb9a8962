/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _EDGPU_SAVE_H_
#define _EDGPU_SAVE_H_

#include <linux/types.h>

struct edgpu_device;

/**
 * struct edgpu_save - what of VRAM is kept while the device sleeps
 */
struct edgpu_save {
	/** @addrs: of the pages being copied, one copy at a time */
	dma_addr_t *addrs;
	/** @saved: bytes of VRAM, since the driver was bound */
	u64 saved;
	/** @restored: likewise */
	u64 restored;
	/** @swapped: pages in swap of what was saved last, once all of it was */
	unsigned long swapped;
	/** @lost: objects whose content could not be brought back */
	unsigned int lost;
};

int edgpu_save_init(struct edgpu_device *edgpu);
int edgpu_save(struct edgpu_device *edgpu);
int edgpu_restore(struct edgpu_device *edgpu);
void edgpu_save_forget(struct edgpu_device *edgpu);

#endif
