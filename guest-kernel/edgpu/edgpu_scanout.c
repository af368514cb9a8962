// SPDX-License-Identifier: GPL-2.0
/*
 * The registers of the display, and the lists by which it finds a frame.
 *
 * They outlive a sleep or reset of the device as the rings do: what was shown
 * before is shown again as soon as the device runs.
 */

#include <linux/dma-mapping.h>
#include <linux/io.h>
#include <linux/minmax.h>
#include <linux/mm.h>

#include "edgpu_drv.h"
#include "edgpu_ring.h"
#include "edgpu_scanout.h"

/* The longest lines there may be, which begin somewhere in a page. */
#define EDGPU_SCANOUT_ENTRIES	\
	(EDGPU_MAX_DISP_STRIDE / PAGE_SIZE * EDGPU_SCANOUT_MAX_HEIGHT + 1)

static void edgpu_scanout_write(struct edgpu_device *edgpu, u32 reg, u32 value)
{
	edgpu_write(edgpu, EDGPU_DISPLAY_BASE + reg, value);
}

/* The display takes over all of it at the last write. */
static void edgpu_scanout_program(struct edgpu_device *edgpu)
{
	struct edgpu_scanout *scanout = &edgpu->scanout;

	lockdep_assert_held(&scanout->lock);

	if (!scanout->running)
		return;
	if (!scanout->frame.width) {
		edgpu_scanout_write(edgpu, EDGPU_DISP_CONTROL, 0);
		return;
	}
	edgpu_scanout_write(edgpu, EDGPU_DISP_WIDTH, scanout->frame.width);
	edgpu_scanout_write(edgpu, EDGPU_DISP_HEIGHT, scanout->frame.height);
	edgpu_scanout_write(edgpu, EDGPU_DISP_STRIDE, scanout->frame.stride);
	edgpu_scanout_write(edgpu, EDGPU_DISP_NENTS, scanout->entries);
	writeq(scanout->lists_dma[scanout->current_list],
	       edgpu->regs + EDGPU_DISPLAY_BASE + EDGPU_DISP_BASE);
	edgpu_scanout_write(edgpu, EDGPU_DISP_CONTROL, EDGPU_DISP_ENABLE);
}

/**
 * edgpu_scanout_init() - find out whether there is a display
 * @edgpu: the device, with its DMA masks
 *
 * Return: 0 or a negative error code.
 */
int edgpu_scanout_init(struct edgpu_device *edgpu)
{
	struct edgpu_scanout *scanout = &edgpu->scanout;
	struct device *dev = &edgpu->pdev->dev;
	unsigned int i;

	spin_lock_init(&scanout->lock);
	scanout->exists = edgpu_read(edgpu, EDGPU_REG_DISPLAYS) == 1;
	if (!scanout->exists)
		return 0;

	/* Whatever ran here before may have left it on. */
	edgpu_scanout_write(edgpu, EDGPU_DISP_CONTROL, 0);
	for (i = 0; i < ARRAY_SIZE(scanout->lists); i++) {
		scanout->lists[i] = dmam_alloc_coherent(dev, EDGPU_SCANOUT_ENTRIES * EDGPU_SG_SIZE,
							&scanout->lists_dma[i], GFP_KERNEL);
		if (!scanout->lists[i])
			return -ENOMEM;
	}
	return 0;
}

/**
 * edgpu_scanout_start() - let the display run
 * @edgpu: the device, in D0
 */
void edgpu_scanout_start(struct edgpu_device *edgpu)
{
	struct edgpu_scanout *scanout = &edgpu->scanout;

	if (!scanout->exists)
		return;
	spin_lock_irq(&scanout->lock);
	scanout->running = true;
	edgpu_scanout_program(edgpu);
	spin_unlock_irq(&scanout->lock);
}

/**
 * edgpu_scanout_stop() - turn the display off; no DMA of its own after this
 * @edgpu: the device
 */
void edgpu_scanout_stop(struct edgpu_device *edgpu)
{
	struct edgpu_scanout *scanout = &edgpu->scanout;

	if (!scanout->exists)
		return;
	spin_lock_irq(&scanout->lock);
	if (scanout->running)
		edgpu_scanout_write(edgpu, EDGPU_DISP_CONTROL, 0);
	scanout->running = false;
	spin_unlock_irq(&scanout->lock);
}

/**
 * edgpu_scanout_show() - have another frame shown
 * @edgpu: the device
 * @frame: its size, within what the display can show
 * @pages: where its pages are for the device
 * @offset: of its first pixel
 *
 * When this returns, the display does not read the previous one any more.
 */
void edgpu_scanout_show(struct edgpu_device *edgpu, const struct edgpu_frame *frame,
			const dma_addr_t *pages, u64 offset)
{
	u64 left = (u64)frame->stride * (frame->height - 1) + frame->width * sizeof(u32);
	struct edgpu_scanout *scanout = &edgpu->scanout;
	unsigned int next = !scanout->current_list;
	struct edgpu_sg *list = scanout->lists[next];
	u32 entries;
	u64 len;

	for (entries = 0; left; entries++, offset += len, left -= len) {
		len = min(left, PAGE_SIZE - offset_in_page(offset));
		list[entries] = (struct edgpu_sg) {
			.addr = cpu_to_le64(pages[offset >> PAGE_SHIFT] + offset_in_page(offset)),
			.len = cpu_to_le64(len),
		};
	}
	spin_lock_irq(&scanout->lock);
	scanout->frame = *frame;
	scanout->current_list = next;
	scanout->entries = entries;
	edgpu_scanout_program(edgpu);
	spin_unlock_irq(&scanout->lock);
}

/**
 * edgpu_scanout_hide() - have nothing shown
 * @edgpu: the device
 */
void edgpu_scanout_hide(struct edgpu_device *edgpu)
{
	struct edgpu_scanout *scanout = &edgpu->scanout;

	spin_lock_irq(&scanout->lock);
	scanout->frame = (struct edgpu_frame) { };
	edgpu_scanout_program(edgpu);
	spin_unlock_irq(&scanout->lock);
}
