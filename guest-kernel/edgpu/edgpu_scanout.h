/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _EDGPU_SCANOUT_H_
#define _EDGPU_SCANOUT_H_

#include <linux/spinlock.h>
#include <linux/types.h>

struct edgpu_device;
struct edgpu_sg;

#define EDGPU_SCANOUT_MAX_WIDTH		1280
#define EDGPU_SCANOUT_MAX_HEIGHT	1024

/* struct edgpu_frame - what there is to see; a width of 0: nothing. */
struct edgpu_frame {
	u32 width;
	u32 height;
	/* Bytes from line to line. */
	u32 stride;
};

/**
 * struct edgpu_scanout - what the display reads
 */
struct edgpu_scanout {
	/** @exists: whether the device has a display */
	bool exists;
	/** @lock: for all below, and the display's registers */
	spinlock_t lock;
	/** @running: the registers may be written */
	bool running;
	/** @frame: what is shown, or will be when @running again */
	struct edgpu_frame frame;
	/** @lists: where the pieces of the frame are, and room for the next frame's */
	struct edgpu_sg *lists[2];
	/** @lists_dma: where the display finds them */
	dma_addr_t lists_dma[2];
	/** @current_list: the one that is in use */
	unsigned int current_list;
	/** @entries: of that one */
	u32 entries;
};

int edgpu_scanout_init(struct edgpu_device *edgpu);
void edgpu_scanout_start(struct edgpu_device *edgpu);
void edgpu_scanout_stop(struct edgpu_device *edgpu);
void edgpu_scanout_show(struct edgpu_device *edgpu, const struct edgpu_frame *frame,
			const dma_addr_t *pages, u64 offset);
void edgpu_scanout_hide(struct edgpu_device *edgpu);

#endif
