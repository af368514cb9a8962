// SPDX-License-Identifier: GPL-2.0
/*
 * The two ways to keep the device alive while using it: see edgpu_entry.h.
 */

#include <linux/pm_runtime.h>
#include <linux/rwsem.h>
#include <linux/wait.h>

#include <drm/drm_drv.h>

#include "edgpu_drv.h"
#include "edgpu_entry.h"

/**
 * edgpu_power_get() - have the device in D0, and keep it there
 * @edgpu: the device, not unplugged
 *
 * Waits until VRAM has its content again, so with no object locked.
 *
 * Return: 0, or a negative error code, with no reference.
 */
int edgpu_power_get(struct edgpu_device *edgpu)
{
	return pm_runtime_resume_and_get(&edgpu->pdev->dev);
}

/*
 * Keep the device in D0 if that is where it is. Returns false if it is in D3hot or on
 * its way from or to there; @held says whether there is a reference to put.
 */
static bool edgpu_power_get_if_awake(struct edgpu_device *edgpu, bool *held)
{
	int ret = pm_runtime_get_if_active(&edgpu->pdev->dev);

	/* Negative where there is no runtime PM: it is awake then. */
	*held = ret > 0;
	return ret;
}

/**
 * edgpu_power_put() - the reverse; when nobody has used it for a while it sleeps
 * @edgpu: the device
 * @used: the while begins now
 */
void edgpu_power_put(struct edgpu_device *edgpu, bool used)
{
	if (used)
		pm_runtime_mark_last_busy(&edgpu->pdev->dev);
	__pm_runtime_put_autosuspend(&edgpu->pdev->dev);
}

/**
 * edgpu_power_wake() - have the device come back to D0, without waiting for it
 * @edgpu: the device
 */
void edgpu_power_wake(struct edgpu_device *edgpu)
{
	pm_request_resume(&edgpu->pdev->dev);
}

/**
 * edgpu_enter() - begin to use the device, whatever it is doing
 * @edgpu: the device
 * @entry: out: for edgpu_exit()
 *
 * With no lock held. In between neither user space nor other drivers may be waited
 * for, except for their fences: a reset or removal of the device waits for the end.
 *
 * Return: 0, -ENODEV if it is gone, -EIO if it is wedged, -ERESTARTSYS.
 */
int edgpu_enter(struct edgpu_device *edgpu, struct edgpu_entry *entry)
{
	int ret;

	/*
	 * Not within drm_dev_enter(), which a removal waits for. The freezer
	 * interrupts it as well, and then nobody notices.
	 */
	for (;;) {
		ret = wait_event_interruptible(edgpu->awake, !edgpu_is_asleep(edgpu));
		if (!ret && down_read_interruptible(&edgpu->reset_sem))
			ret = -ERESTARTSYS;
		if (ret)
			return ret;
		if (!edgpu_is_asleep(edgpu))
			break;
		up_read(&edgpu->reset_sem);
	}

	ret = -ENODEV;
	if (!drm_dev_enter(&edgpu->drm, &entry->idx))
		goto err_up;

	ret = edgpu_power_get(edgpu);
	if (ret)
		goto err_exit;

	*entry = (struct edgpu_entry) {
		.idx = entry->idx,
		.awake = true,
		.counted = true,
		.shared = true,
	};
	if (!READ_ONCE(edgpu->wedged))
		return 0;

	edgpu_exit(edgpu, entry);
	return -EIO;

err_exit:
	drm_dev_exit(entry->idx);
err_up:
	up_read(&edgpu->reset_sem);
	return ret;
}

/**
 * edgpu_try_enter() - begin to use the device if it is there
 * @edgpu: the device
 * @entry: out: for edgpu_exit()
 *
 * For where something is locked, so that nobody can wait for the device to wake up.
 *
 * Return: 0 or -ENODEV.
 */
int edgpu_try_enter(struct edgpu_device *edgpu, struct edgpu_entry *entry)
{
	*entry = (struct edgpu_entry) { };
	if (!drm_dev_enter(&edgpu->drm, &entry->idx))
		return -ENODEV;

	entry->awake = edgpu_power_get_if_awake(edgpu, &entry->counted);
	return 0;
}

/**
 * edgpu_exit() - end it
 * @edgpu: the device
 * @entry: from edgpu_enter() or edgpu_try_enter()
 */
void edgpu_exit(struct edgpu_device *edgpu, struct edgpu_entry *entry)
{
	/* CPU faults don't put off its next nap. */
	if (entry->counted)
		edgpu_power_put(edgpu, entry->shared);
	drm_dev_exit(entry->idx);
	if (entry->shared)
		up_read(&edgpu->reset_sem);
}
