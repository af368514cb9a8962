// SPDX-License-Identifier: GPL-2.0
/*
 * Resets of the whole function, as by writing to the "reset" file in sysfs.
 *
 * A reset costs VRAM its content. Whoever asks for one wants the device back in
 * order, not the objects destroyed, so these move to system memory before, and
 * may move back after. That needs a device which still works, and memory. What
 * could not be moved has lost its content, which the next wait for the object
 * reports as an error, once.
 */

#include <linux/pci.h>

#include <drm/drm_print.h>
#include <drm/ttm/ttm_placement.h>
#include <drm/ttm/ttm_resource.h>

#include "edgpu_drv.h"
#include "edgpu_engine.h"

static void edgpu_reset_prepare(struct pci_dev *pdev)
{
	struct edgpu_device *edgpu = pci_get_drvdata(pdev);
	int ret = -EIO;

	down_write(&edgpu->reset_sem);
	/* While it sleeps the content is in safety, and not in VRAM. */
	if (edgpu_is_asleep(edgpu))
		ret = 0;
	else if (!READ_ONCE(edgpu->wedged))
		ret = ttm_resource_manager_evict_all(&edgpu->ttm,
						     ttm_manager_type(&edgpu->ttm, TTM_PL_VRAM));
	if (ret)
		drm_warn(&edgpu->drm, "reset: objects in VRAM lose their content: %d\n", ret);
	edgpu_engines_wait_idle(edgpu);
	edgpu_engines_stop(edgpu);
}

static void edgpu_reset_done(struct pci_dev *pdev)
{
	struct edgpu_device *edgpu = pci_get_drvdata(pdev);

	edgpu_engines_start(edgpu);
	up_write(&edgpu->reset_sem);
}

const struct pci_error_handlers edgpu_reset_handlers = {
	.reset_prepare = edgpu_reset_prepare,
	.reset_done = edgpu_reset_done,
};
