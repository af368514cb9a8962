/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _EDGPU_PM_H_
#define _EDGPU_PM_H_

#include <linux/notifier.h>
#include <linux/pm.h>

struct edgpu_device;

/**
 * struct edgpu_pm - the sleep of a device along with the system
 */
struct edgpu_pm {
	/** @notifier: told before the system falls asleep and after it woke up */
	struct notifier_block notifier;
	/** @refused: suspends that would have lost content */
	unsigned int refused;
};

extern const struct dev_pm_ops edgpu_pm_ops;
int edgpu_pm_init(struct edgpu_device *edgpu);
void edgpu_pm_fini(struct edgpu_device *edgpu);

#endif
