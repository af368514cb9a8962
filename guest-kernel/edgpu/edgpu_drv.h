/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _EDGPU_DRV_H_
#define _EDGPU_DRV_H_

#include <linux/io.h>
#include <linux/pci.h>

#include <drm/drm_device.h>
#include <drm/ttm/ttm_device.h>

#include "edgpu_regs.h"
#include "edgpu_ring.h"
#include "edgpu_tt.h"

struct drm_minor;
struct shrinker;
struct workqueue_struct;

/**
 * struct edgpu_device - one emulated GPU
 */
struct edgpu_device {
	/** @drm: base; its lifetime is that of this structure */
	struct drm_device drm;
	/** @pdev: the PCI function */
	struct pci_dev *pdev;
	/** @regs: BAR 0; valid within drm_dev_enter() sections only */
	void __iomem *regs;
	/** @aperture_base: CPU address of the start of VRAM */
	resource_size_t aperture_base;
	/** @aperture_size: bytes of VRAM the CPU reaches */
	u64 aperture_size;
	/** @vram_size: bytes */
	u64 vram_size;
	/** @dma_bits: width of the addresses that objects may have */
	unsigned int dma_bits;
	/** @backend: of system memory */
	enum edgpu_backend backend;
	/** @num_engines: entries of @rings in use */
	unsigned int num_engines;
	/** @rings: one per engine */
	struct edgpu_ring rings[EDGPU_MAX_ENGINES];
	/** @wq: watchdogs; ends fences, so must make progress in reclaim */
	struct workqueue_struct *wq;
	/** @ttm: the memory manager */
	struct ttm_device ttm;
	/** @pool_pages: held by objects, of the backends that use the pool */
	atomic_long_t pool_pages;
	/** @shrinker: takes pages of idle objects under memory pressure */
	struct shrinker *shrinker;
};

static inline struct edgpu_device *to_edgpu(struct drm_device *drm)
{
	return container_of(drm, struct edgpu_device, drm);
}

static inline struct edgpu_device *ttm_to_edgpu(struct ttm_device *ttm)
{
	return container_of(ttm, struct edgpu_device, ttm);
}

static inline u32 edgpu_read(struct edgpu_device *edgpu, u32 reg)
{
	return readl(edgpu->regs + reg);
}

static inline u64 edgpu_readq(struct edgpu_device *edgpu, u32 reg)
{
	return readq(edgpu->regs + reg);
}

static inline void edgpu_write(struct edgpu_device *edgpu, u32 reg, u32 value)
{
	writel(value, edgpu->regs + reg);
}

#ifdef CONFIG_DEBUG_FS
void edgpu_debugfs_init(struct drm_minor *minor);
#endif

extern const struct dev_pm_ops edgpu_pm_ops;

#endif
