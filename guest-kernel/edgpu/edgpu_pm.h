/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _EDGPU_PM_H_
#define _EDGPU_PM_H_

#include <linux/notifier.h>
#include <linux/pm.h>
#include <linux/types.h>
#include <linux/wait.h>

struct edgpu_device;
struct ttm_buffer_object;

/**
 * struct edgpu_pm - the sleep of a device
 */
struct edgpu_pm {
	/** @notifier: told before the system falls asleep and after it woke up */
	struct notifier_block notifier;
	/** @asleep: VRAM is saved; no ioctl may use the device */
	bool asleep;
	/** @awake: those wait here */
	wait_queue_head_t awake;
	/** @addrs: of the pages being copied, one copy at a time */
	dma_addr_t *addrs;
	/** @saved: bytes of VRAM, since the driver was bound */
	u64 saved;
	/** @restored: likewise */
	u64 restored;
	/** @refused: suspends that would have lost content */
	unsigned int refused;
	/** @lost: objects whose content could not be brought back */
	unsigned int lost;
};

static inline bool edgpu_pm_is_asleep(const struct edgpu_pm *pm)
{
	return READ_ONCE(pm->asleep);
}

extern const struct dev_pm_ops edgpu_pm_ops;
int edgpu_pm_init(struct edgpu_device *edgpu);
void edgpu_pm_fini(struct edgpu_device *edgpu);

int edgpu_pm_save(struct edgpu_device *edgpu);
int edgpu_pm_restore(struct edgpu_device *edgpu);
void edgpu_pm_forget(struct edgpu_device *edgpu);
bool edgpu_pm_has_saved(struct ttm_buffer_object *bo);

#endif
