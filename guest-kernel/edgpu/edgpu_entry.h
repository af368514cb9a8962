/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _EDGPU_ENTRY_H_
#define _EDGPU_ENTRY_H_

#include <linux/types.h>

struct edgpu_device;

/*
 * How to keep the device alive while using it, its registers or its VRAM, or
 * giving pages of objects to anybody. There are two ways, and no third:
 *
 *			edgpu_enter()			edgpu_try_enter()
 * for			ioctls, sysfs, attachments	CPU faults, and what TTM and
 *							DRM call the driver for
 * locks held		none				any, an object's as well
 * waits for		the end of a sleep or reset,	nothing
 *			and for D0
 * keeps off		sleep, reset, removal		removal, and D3hot if @awake
 * fails with		-ENODEV (gone), -EIO (wedged),	-ENODEV
 *			-ERESTARTSYS
 *
 * Within edgpu_try_enter() the device may be asleep, or on its way. Then either
 * @awake says so, to those who want the engines for what is in system memory; or the
 * object in question is in VRAM and not saved (see edgpu_is_saved()), and it
 * can't fall asleep before somebody else has locked that object.
 *
 * What they keep off does not enter: system sleep and reset take the semaphore for
 * writing, and removal unplugs the DRM device.
 */

/**
 * struct edgpu_entry - what there is to give back
 */
struct edgpu_entry {
	/** @awake: the device is in D0 until the end */
	bool awake;
	/* private: */
	int idx;
	bool counted;
	bool shared;
};

/* For the sleep itself; all others enter. */
int edgpu_power_get(struct edgpu_device *edgpu);
void edgpu_power_put(struct edgpu_device *edgpu, bool used);
void edgpu_power_wake(struct edgpu_device *edgpu);

int edgpu_enter(struct edgpu_device *edgpu, struct edgpu_entry *entry);
int edgpu_try_enter(struct edgpu_device *edgpu, struct edgpu_entry *entry);
void edgpu_exit(struct edgpu_device *edgpu, struct edgpu_entry *entry);

#endif
