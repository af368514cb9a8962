/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _EDGPU_PAGEMAP_H_
#define _EDGPU_PAGEMAP_H_

#include <linux/completion.h>
#include <linux/llist.h>
#include <linux/memremap.h>
#include <linux/mutex.h>
#include <linux/workqueue.h>

#include <drm/drm_pagemap.h>

struct edgpu_bo;
struct edgpu_device;
struct mm_struct;

/**
 * struct edgpu_pagemap - VRAM as pages that processes can have
 */
struct edgpu_pagemap {
	/** @base: counts those who use it, among them each page that a process has */
	struct drm_pagemap base;
	/** @pages: one for each page of VRAM, from the first use on */
	struct dev_pagemap pages;
	/** @lock: protects the beginning of use */
	struct mutex lock;
	/** @idle: completed once for each time that nobody uses it any more */
	struct completion idle;
	/** @mapped: whether there are @pages */
	bool mapped;
	/** @closed: the device is about to go, and VRAM gets no more pages of processes */
	bool closed;
	/** @generation: of the VRAM that has the content of those in use */
	u32 generation;
	/** @released: VRAM that processes have let go of, to be freed by @release */
	struct llist_head released;
	/** @release: since they may do it where nobody can sleep */
	struct work_struct release;
	/** @to_vram: bytes that were copied into VRAM */
	atomic64_t to_vram;
	/** @from_vram: and out of it */
	atomic64_t from_vram;
	/** @objects: in VRAM, for pages of processes */
	atomic_t objects;
	/** @lost: pages that read as zeroes since the device went without a copy */
	atomic_long_t lost;
};

/**
 * struct edgpu_devmem - an object that is the VRAM of pages of a process
 */
struct edgpu_devmem {
	/** @base: its pages have references to it */
	struct drm_pagemap_devmem base;
	/** @bo: the object; it has one reference, for all of them */
	struct edgpu_bo *bo;
	/** @released: entry of &edgpu_pagemap.released */
	struct llist_node released;
};

int edgpu_pagemap_init(struct edgpu_device *edgpu);

int edgpu_pagemap_get(struct edgpu_device *edgpu);
void edgpu_pagemap_put(struct edgpu_device *edgpu);

void edgpu_devmem_init(struct edgpu_devmem *devmem, struct edgpu_bo *bo, struct mm_struct *mm);
int edgpu_devmem_evict(struct edgpu_devmem *devmem);

int edgpu_pagemap_evict_all(struct edgpu_device *edgpu);
void edgpu_pagemap_close(struct edgpu_device *edgpu);
void edgpu_pagemap_abandon(struct edgpu_device *edgpu);

#endif
