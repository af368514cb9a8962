/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The files, from the bottom up. Each uses only what those have that are named before it,
 * which is tested (test/unit/series/driver-order.test.ts):
 *
 *	registers, rings:	fence, ring, scanout
 *	engines:		engine, entry
 *	memory:			file, vram, bo, carveout, tt, knobs, shrinker
 *	objects:		job, pagemap, move, access, purge, ttm
 *	sleep:			save, runtime, pm, reset
 *	ioctls:			prime, gem, svm, evict, submit, gemshmem
 *	mode setting:		display
 *	debugfs:		frames, debugfs
 *	the module:		drv
 */
#ifndef _EDGPU_DRV_H_
#define _EDGPU_DRV_H_

#include <linux/io.h>
#include <linux/pci.h>
#include <linux/rwsem.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include <drm/drm_device.h>
#include <drm/ttm/ttm_device.h>

#include "edgpu_compat.h"
#include "edgpu_display.h"
#include "edgpu_pagemap.h"
#include "edgpu_pm.h"
#include "edgpu_regs.h"
#include "edgpu_ring.h"
#include "edgpu_runtime.h"
#include "edgpu_save.h"
#include "edgpu_scanout.h"
#include "edgpu_tt.h"
#include "edgpu_vram.h"

struct drm_minor;

/* struct edgpu_counters - what the driver did, since it was bound; for debugfs. */
struct edgpu_counters {
	/* Pages taken from objects on request. */
	atomic_long_t evicted_pages;
	/* Bytes of objects that were moved into and out of VRAM. */
	atomic64_t to_vram;
	atomic64_t from_vram;
	/* Jobs that filled discarded pages again. */
	atomic_long_t recreated;
	/* See edgpu_knobs.c. */
	unsigned long move_peak_pages;
};

/**
 * struct edgpu_device - one emulated GPU
 */
struct edgpu_device {
	/** @drm: base; its lifetime is that of this structure */
	struct drm_device drm;
	/** @pdev: the PCI function */
	struct pci_dev *pdev;
	/** @regs: BAR 0; valid from edgpu_enter() or edgpu_try_enter() on only */
	void __iomem *regs;
	/** @aperture_base: CPU address of the start of VRAM */
	resource_size_t aperture_base;
	/** @aperture: that, mapped; valid as @regs */
	void __iomem *aperture;
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
	/**
	 * @reset_sem: held for writing while the device is being reset. Taken
	 * by edgpu_enter(), before any reservation; whatever calls edgpu_try_enter()
	 * only takes objects out of VRAM, and copes with engines that stand still.
	 */
	struct rw_semaphore reset_sem;
	/** @asleep: VRAM is saved for a sleep of the system; nobody enters */
	bool asleep;
	/** @awake: those who want to wait here */
	wait_queue_head_t awake;
	/** @wedged: the device does not answer any more */
	bool wedged;
	/** @wedged_event: tells user space */
	struct work_struct wedged_event;
	/** @vram_generation: of the VRAM that content is in now */
	u32 vram_generation;
	/** @wq: watchdogs; ends fences, so must make progress in reclaim */
	struct workqueue_struct *wq;
	/** @ttm: the memory manager */
	struct ttm_device ttm;
	/** @vram: the manager of VRAM */
	struct edgpu_vram vram;
	/** @pagemap: pages of processes that are in it */
	struct edgpu_pagemap pagemap;
	/** @pool_pages: held by objects, of the backends that use the pool */
	atomic_long_t pool_pages;
	/** @pins: of objects that other devices use */
	atomic_t pins;
	/** @prime_pages: of the objects that have such pins */
	atomic_long_t prime_pages;
	/** @pin_limit: the most there may be of these pages */
	long pin_limit;
	/** @counters: for debugfs */
	struct edgpu_counters counters;
	/** @save: what of VRAM is kept over a sleep */
	struct edgpu_save save;
	/** @pm: its sleep, along with the system */
	struct edgpu_pm pm;
	/** @runtime: its naps */
	struct edgpu_runtime runtime;
	/** @scanout: what the display reads */
	struct edgpu_scanout scanout;
	/** @display: the display, if there is one */
	struct edgpu_display display;
	/** @shrinker: takes pages of idle objects under memory pressure */
	struct ttm_shrinker shrinker;
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

static inline bool edgpu_is_asleep(const struct edgpu_device *edgpu)
{
	return READ_ONCE(edgpu->asleep);
}

/* A device that has gone away reads as all ones. */
static inline bool edgpu_is_alive(struct edgpu_device *edgpu)
{
	return edgpu_read(edgpu, EDGPU_REG_ID) == EDGPU_ID;
}

void edgpu_debugfs_init(struct drm_minor *minor);

extern const struct pci_error_handlers edgpu_reset_handlers;

#endif
