// SPDX-License-Identifier: GPL-2.0
/*
 * Runtime PM: a device that nobody uses for a while goes to D3hot, which costs
 * VRAM its content as a system sleep does, and is saved and brought back in the
 * same way.
 *
 * Who has entered holds a reference, see edgpu_entry.h. Jobs don't: with one
 * under way the suspend is put off. Nor do CPU mappings: they are revoked, and the
 * next fault, if the object is in VRAM, is served from what was saved, and wakes
 * the device. Those in system memory are to be had without it.
 *
 * To wait for the device to come back with an object locked is a deadlock,
 * since coming back takes the locks of those in VRAM.
 *
 * As with any PCI device nothing of this happens before somebody writes "auto"
 * to power/control in sysfs.
 */

#include <linux/device.h>
#include <linux/pci.h>
#include <linux/pm_runtime.h>

#include "edgpu_drv.h"
#include "edgpu_engine.h"
#include "edgpu_entry.h"
#include "edgpu_runtime.h"
#include "edgpu_save.h"

/* To begin with; power/autosuspend_delay_ms in sysfs changes it. */
#define EDGPU_AUTOSUSPEND_MS	5000

/**
 * edgpu_runtime_suspend() - &dev_pm_ops.runtime_suspend
 * @dev: the device; nobody holds a reference
 *
 * Return: 0, or -EBUSY if it can't be now.
 */
int edgpu_runtime_suspend(struct device *dev)
{
	struct edgpu_device *edgpu = dev_get_drvdata(dev);
	struct edgpu_runtime *runtime = &edgpu->runtime;
	int ret;

	/* Whoever finds out what is wrong with it should find it awake. */
	if (READ_ONCE(edgpu->wedged))
		return -EBUSY;

	ret = edgpu_engines_are_idle(edgpu) ? 0 : -EBUSY;
	if (ret)
		runtime->busy++;
	else
		ret = edgpu_save(edgpu);
	if (ret) {
		if (ret != -EBUSY)
			runtime->refused++;
		/* Next time then. */
		pm_runtime_mark_last_busy(dev);
		return -EBUSY;
	}

	/* A fault may have moved an object before it was saved. */
	edgpu_engines_wait_idle(edgpu);
	edgpu_engines_stop(edgpu);
	runtime->suspends++;
	return 0;
}

/**
 * edgpu_runtime_resume() - &dev_pm_ops.runtime_resume
 * @dev: the device, in D0 again
 *
 * A device that does not come back is wedged, and what was in VRAM lost; who
 * waits for it is told so, and does not wait for ever.
 *
 * Return: 0.
 */
int edgpu_runtime_resume(struct device *dev)
{
	struct edgpu_device *edgpu = dev_get_drvdata(dev);

	edgpu_engines_start(edgpu);
	edgpu_restore(edgpu);
	edgpu->runtime.resumes++;
	pm_runtime_mark_last_busy(dev);
	return 0;
}

/**
 * edgpu_runtime_init() - let the device sleep when nobody uses it
 * @edgpu: the device, ready for use
 */
void edgpu_runtime_init(struct edgpu_device *edgpu)
{
	struct device *dev = &edgpu->pdev->dev;

	pm_runtime_set_autosuspend_delay(dev, EDGPU_AUTOSUSPEND_MS);
	pm_runtime_use_autosuspend(dev);
	/* The reference that the PCI core has taken for us. */
	edgpu_power_put(edgpu, true);
}

/**
 * edgpu_runtime_fini() - the reverse
 * @edgpu: the device, which the PCI core keeps in D0
 */
void edgpu_runtime_fini(struct edgpu_device *edgpu)
{
	struct device *dev = &edgpu->pdev->dev;

	pm_runtime_get_noresume(dev);
	pm_runtime_dont_use_autosuspend(dev);
}
