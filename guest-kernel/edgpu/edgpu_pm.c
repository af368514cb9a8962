// SPDX-License-Identifier: GPL-2.0
/*
 * System sleep, at its simplest: VRAM goes to system memory before, and stays
 * there after. This can fail for lack of memory; no contract yet.
 */

#include <linux/pm.h>

#include <drm/ttm/ttm_placement.h>
#include <drm/ttm/ttm_resource.h>

#include "edgpu_drv.h"
#include "edgpu_engine.h"

/* Before swapping is forbidden, unlike in suspend. */
static int edgpu_pm_prepare(struct device *dev)
{
	struct edgpu_device *edgpu = dev_get_drvdata(dev);

	return ttm_resource_manager_evict_all(&edgpu->ttm,
					      ttm_manager_type(&edgpu->ttm, TTM_PL_VRAM));
}

static int edgpu_pm_suspend(struct device *dev)
{
	struct edgpu_device *edgpu = dev_get_drvdata(dev);

	edgpu_engines_wait_idle(edgpu);
	edgpu_engines_stop(edgpu);
	return 0;
}

static int edgpu_pm_resume(struct device *dev)
{
	edgpu_engines_start(dev_get_drvdata(dev));
	return 0;
}

const struct dev_pm_ops edgpu_pm_ops = {
	.prepare = edgpu_pm_prepare,
	SYSTEM_SLEEP_PM_OPS(edgpu_pm_suspend, edgpu_pm_resume)
};
