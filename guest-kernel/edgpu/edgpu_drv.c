// SPDX-License-Identifier: GPL-2.0
/*
 * Module, probe and remove.
 */

#include <linux/dma-mapping.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/string.h>
#include <linux/util_macros.h>

#include <drm/clients/drm_client_setup.h>
#include <drm/drm_drv.h>
#include <drm/drm_file.h>
#include <drm/drm_gem.h>
#include <drm/drm_ioctl.h>
#include <drm/drm_print.h>

#include "edgpu_access.h"
#include "edgpu_display.h"
#include "edgpu_drm.h"
#include "edgpu_drv.h"
#include "edgpu_engine.h"
#include "edgpu_evict.h"
#include "edgpu_file.h"
#include "edgpu_gem.h"
#include "edgpu_gemshmem.h"
#include "edgpu_knobs.h"
#include "edgpu_prime.h"
#include "edgpu_purge.h"
#include "edgpu_scanout.h"
#include "edgpu_shrinker.h"
#include "edgpu_submit.h"
#include "edgpu_svm.h"
#include "edgpu_ttm.h"

/* What the DMA API can be told: ZONE_DMA is the least, see dma_supported(). */
#define EDGPU_MIN_DMA_BITS	24
#define EDGPU_MAX_DMA_BITS	64

static char *edgpu_backend = "shmem";
module_param_named(backend, edgpu_backend, charp, 0444);
MODULE_PARM_DESC(backend, "Where system memory of objects comes from: shmem (default), backup, legacy or gem");

static uint edgpu_dma_bits;
module_param_named(dma_bits, edgpu_dma_bits, uint, 0444);
MODULE_PARM_DESC(dma_bits, "Width of the DMA addresses that objects get, 24 to 64; 0 (default): what the device says");

static const u32 edgpu_backend_params[EDGPU_BACKENDS] = {
	[EDGPU_BACKEND_LEGACY] = EDGPU_PARAM_BACKEND_LEGACY,
	[EDGPU_BACKEND_SHMEM] = EDGPU_PARAM_BACKEND_SHMEM,
	[EDGPU_BACKEND_BACKUP] = EDGPU_PARAM_BACKEND_BACKUP,
	[EDGPU_BACKEND_GEM] = EDGPU_PARAM_BACKEND_GEM,
};

static int edgpu_get_param_ioctl(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct edgpu_device *edgpu = to_edgpu(drm);
	struct drm_edgpu_get_param *args = data;

	if (args->pad)
		return -EINVAL;

	switch (args->param) {
	case EDGPU_PARAM_VRAM_SIZE:
		args->value = edgpu->vram_size;
		return 0;
	case EDGPU_PARAM_APERTURE_SIZE:
		args->value = edgpu->aperture_size;
		return 0;
	case EDGPU_PARAM_ENGINES:
		args->value = edgpu->num_engines;
		return 0;
	case EDGPU_PARAM_DMA_BITS:
		args->value = edgpu->dma_bits;
		return 0;
	case EDGPU_PARAM_VRAM_GENERATION:
		args->value = READ_ONCE(edgpu->vram_generation);
		return 0;
	case EDGPU_PARAM_BACKEND:
		args->value = edgpu_backend_params[edgpu->backend];
		return 0;
	default:
		return -EINVAL;
	}
}

static const struct drm_ioctl_desc edgpu_ioctls[] = {
	DRM_IOCTL_DEF_DRV(EDGPU_GET_PARAM, edgpu_get_param_ioctl, DRM_RENDER_ALLOW),
	DRM_IOCTL_DEF_DRV(EDGPU_GEM_CREATE, edgpu_gem_create_ioctl, DRM_RENDER_ALLOW),
	DRM_IOCTL_DEF_DRV(EDGPU_GEM_MMAP_OFFSET, edgpu_gem_mmap_offset_ioctl, DRM_RENDER_ALLOW),
	DRM_IOCTL_DEF_DRV(EDGPU_GEM_INFO, edgpu_gem_info_ioctl, DRM_RENDER_ALLOW),
	DRM_IOCTL_DEF_DRV(EDGPU_GEM_MOVE, edgpu_gem_move_ioctl, DRM_RENDER_ALLOW),
	DRM_IOCTL_DEF_DRV(EDGPU_GEM_PREAD, edgpu_gem_pread_ioctl, DRM_RENDER_ALLOW),
	DRM_IOCTL_DEF_DRV(EDGPU_GEM_PWRITE, edgpu_gem_pwrite_ioctl, DRM_RENDER_ALLOW),
	DRM_IOCTL_DEF_DRV(EDGPU_GEM_EVICT, edgpu_gem_evict_ioctl, DRM_RENDER_ALLOW),
	DRM_IOCTL_DEF_DRV(EDGPU_GEM_MADVISE, edgpu_gem_madvise_ioctl, DRM_RENDER_ALLOW),
	DRM_IOCTL_DEF_DRV(EDGPU_GEM_DISCARDED, edgpu_gem_discarded_ioctl, DRM_RENDER_ALLOW),
	DRM_IOCTL_DEF_DRV(EDGPU_SUBMIT, edgpu_submit_ioctl, DRM_RENDER_ALLOW),
	DRM_IOCTL_DEF_DRV(EDGPU_WAIT, edgpu_wait_ioctl, DRM_RENDER_ALLOW),
	DRM_IOCTL_DEF_DRV(EDGPU_SVM_TO_VRAM, edgpu_svm_to_vram_ioctl, DRM_RENDER_ALLOW),
};

static const struct file_operations edgpu_fops = {
	.owner = THIS_MODULE,
	DRM_GEM_FOPS,
	.show_fdinfo = drm_show_fdinfo,
};

/* What is the same with and without TTM. */
#define EDGPU_DRM_DRIVER								\
	.fops = &edgpu_fops,								\
	.debugfs_init = PTR_IF(IS_ENABLED(CONFIG_DEBUG_FS), edgpu_debugfs_init),	\
	.name = "edgpu",								\
	.desc = "Emulated discrete GPU",						\
	.major = 1

static const struct drm_driver edgpu_drm_driver = {
	EDGPU_DRM_DRIVER,
	.ioctls = edgpu_ioctls,
	.num_ioctls = ARRAY_SIZE(edgpu_ioctls),
	.driver_features = DRIVER_GEM | DRIVER_RENDER | DRIVER_SYNCOBJ |
			   DRIVER_SYNCOBJ_TIMELINE | DRIVER_MODESET | DRIVER_ATOMIC,
	.open = edgpu_file_open,
	.postclose = edgpu_file_postclose,
	.show_fdinfo = drm_show_memory_stats,
	.dumb_create = edgpu_gem_dumb_create,
	.gem_prime_import = edgpu_gem_import,
	.gem_prime_import_sg_table = edgpu_gem_import_sg_table,
};

static const struct drm_ioctl_desc edgpu_gemshmem_ioctls[] = {
	DRM_IOCTL_DEF_DRV(EDGPU_GET_PARAM, edgpu_get_param_ioctl, DRM_RENDER_ALLOW),
	DRM_IOCTL_DEF_DRV(EDGPU_GEM_CREATE, edgpu_gemshmem_create_ioctl, DRM_RENDER_ALLOW),
	DRM_IOCTL_DEF_DRV(EDGPU_GEM_MMAP_OFFSET, edgpu_gem_mmap_offset_ioctl, DRM_RENDER_ALLOW),
	DRM_IOCTL_DEF_DRV(EDGPU_GEM_INFO, edgpu_gem_info_ioctl, DRM_RENDER_ALLOW),
	DRM_IOCTL_DEF_DRV(EDGPU_SUBMIT, edgpu_gemshmem_submit_ioctl, DRM_RENDER_ALLOW),
	DRM_IOCTL_DEF_DRV(EDGPU_WAIT, edgpu_wait_ioctl, DRM_RENDER_ALLOW),
};

/* With backend=gem: TTM has no objects then. */
static const struct drm_driver edgpu_gemshmem_drm_driver = {
	EDGPU_DRM_DRIVER,
	.ioctls = edgpu_gemshmem_ioctls,
	.num_ioctls = ARRAY_SIZE(edgpu_gemshmem_ioctls),
	.driver_features = DRIVER_GEM | DRIVER_RENDER,
	.prime_handle_to_fd = edgpu_knobs_export,
};

static int edgpu_choose_backend(struct device *dev)
{
	int backend = match_string(edgpu_backend_names, EDGPU_BACKENDS, edgpu_backend);

	if (backend < 0)
		return dev_err_probe(dev, -EINVAL,
				     "backend=%s is none of shmem, backup, legacy, gem\n",
				     edgpu_backend);
	if (backend != EDGPU_BACKEND_LEGACY && backend != EDGPU_BACKEND_GEM && !EDGPU_HAS_SERIES)
		return dev_err_probe(dev, -EINVAL,
				     "this kernel has neither TTM's shmem backend nor its shrinker: use backend=legacy or gem\n");
	return backend;
}

static int edgpu_init_regs(struct edgpu_device *edgpu)
{
	struct pci_dev *pdev = edgpu->pdev;
	struct device *dev = &pdev->dev;

	edgpu->regs = pcim_iomap_region(pdev, EDGPU_BAR_REGS, "edgpu-regs");
	if (IS_ERR(edgpu->regs))
		return dev_err_probe(dev, PTR_ERR(edgpu->regs), "no registers\n");

	if (pci_resource_len(pdev, EDGPU_BAR_REGS) < EDGPU_REGS_SIZE ||
	    edgpu_read(edgpu, EDGPU_REG_ID) != EDGPU_ID)
		return dev_err_probe(dev, -ENODEV, "not an edgpu\n");
	if (edgpu_read(edgpu, EDGPU_REG_VERSION) != EDGPU_VERSION)
		return dev_err_probe(dev, -ENODEV, "version %u, not %u\n",
				     edgpu_read(edgpu, EDGPU_REG_VERSION), EDGPU_VERSION);

	edgpu->num_engines = edgpu_read(edgpu, EDGPU_REG_ENGINES);
	if (!edgpu->num_engines || edgpu->num_engines > EDGPU_MAX_ENGINES)
		return dev_err_probe(dev, -ENODEV, "%u engines\n", edgpu->num_engines);
	return 0;
}

static int edgpu_init_vram(struct edgpu_device *edgpu)
{
	struct pci_dev *pdev = edgpu->pdev;
	int ret;

	ret = pcim_request_region(pdev, EDGPU_BAR_VRAM, "edgpu-vram");
	if (ret)
		return ret;

	edgpu->vram_size = edgpu_readq(edgpu, EDGPU_REG_VRAM_SIZE);
	edgpu->aperture_size = edgpu_readq(edgpu, EDGPU_REG_APERTURE_SIZE);
	edgpu->aperture_base = pci_resource_start(pdev, EDGPU_BAR_VRAM);
	if (!PAGE_ALIGNED(edgpu->vram_size) || !PAGE_ALIGNED(edgpu->aperture_size) ||
	    !edgpu->vram_size || edgpu->aperture_size > edgpu->vram_size ||
	    edgpu->aperture_size > pci_resource_len(pdev, EDGPU_BAR_VRAM))
		return dev_err_probe(&pdev->dev, -ENODEV,
				     "VRAM of 0x%llx bytes, 0x%llx of them visible\n",
				     edgpu->vram_size, edgpu->aperture_size);

	ret = devm_arch_io_reserve_memtype_wc(&pdev->dev, edgpu->aperture_base,
					      edgpu->aperture_size);
	if (ret)
		return ret;

	edgpu->aperture = devm_ioremap_wc(&pdev->dev, edgpu->aperture_base,
					  edgpu->aperture_size);
	return edgpu->aperture ? 0 : -ENOMEM;
}

/*
 * The override is for objects. Rings stay where the device reaches them, so
 * that an override it can't cope with shows as a fault of a job.
 */
static int edgpu_init_dma(struct edgpu_device *edgpu)
{
	unsigned int device_bits = edgpu_read(edgpu, EDGPU_REG_DMA_BITS);
	struct device *dev = &edgpu->pdev->dev;
	int ret;

	if (edgpu_dma_bits &&
	    (edgpu_dma_bits < EDGPU_MIN_DMA_BITS || edgpu_dma_bits > EDGPU_MAX_DMA_BITS))
		return dev_err_probe(dev, -EINVAL, "dma_bits=%u is not 0 or %u to %u\n",
				     edgpu_dma_bits, EDGPU_MIN_DMA_BITS, EDGPU_MAX_DMA_BITS);
	if (!device_bits || device_bits > EDGPU_MAX_DMA_BITS)
		return dev_err_probe(dev, -ENODEV, "the device says %u DMA bits\n",
				     device_bits);

	dma_set_max_seg_size(dev, UINT_MAX);
	edgpu->dma_bits = edgpu_dma_bits ?: device_bits;
	ret = dma_set_mask(dev, DMA_BIT_MASK(edgpu->dma_bits));
	if (!ret)
		ret = dma_set_coherent_mask(dev, DMA_BIT_MASK(min(edgpu->dma_bits, device_bits)));
	if (ret)
		return dev_err_probe(dev, ret, "no memory reachable with %u DMA bits\n",
				     min(edgpu->dma_bits, device_bits));
	return 0;
}

static int edgpu_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	int ret, backend = edgpu_choose_backend(&pdev->dev);
	struct edgpu_device *edgpu;

	if (backend < 0)
		return backend;
	edgpu = devm_drm_dev_alloc(&pdev->dev,
				   backend == EDGPU_BACKEND_GEM ? &edgpu_gemshmem_drm_driver :
								  &edgpu_drm_driver,
				   struct edgpu_device, drm);
	if (IS_ERR(edgpu))
		return PTR_ERR(edgpu);
	edgpu->pdev = pdev;
	edgpu->backend = backend;
	init_rwsem(&edgpu->reset_sem);
	init_waitqueue_head(&edgpu->awake);
	pci_set_drvdata(pdev, edgpu);

	ret = pcim_enable_device(pdev);
	if (ret)
		return ret;
	ret = edgpu_init_regs(edgpu);
	if (ret)
		return ret;
	ret = edgpu_init_vram(edgpu);
	if (ret)
		return ret;
	ret = edgpu_init_dma(edgpu);
	if (ret)
		return ret;
	ret = edgpu_engines_init(edgpu);
	if (ret)
		return ret;
	ret = edgpu_scanout_init(edgpu);
	if (ret)
		return ret;
	ret = edgpu_ttm_init(edgpu);
	if (ret)
		return ret;
	ret = edgpu_pagemap_init(edgpu);
	if (ret)
		return ret;
	edgpu_prime_init(edgpu);
	ret = edgpu_display_init(edgpu);
	if (ret)
		return ret;
	ret = edgpu_shrinker_init(edgpu);
	if (ret)
		return ret;

	edgpu_engines_start(edgpu);

	ret = edgpu_pm_init(edgpu);
	if (ret) {
		edgpu_engines_stop(edgpu);
		edgpu_shrinker_fini(edgpu);
		return ret;
	}

	ret = drm_dev_register(&edgpu->drm, 0);
	if (ret) {
		edgpu_pm_fini(edgpu);
		edgpu_engines_stop(edgpu);
		edgpu_shrinker_fini(edgpu);
		return ret;
	}
	drm_info(&edgpu->drm, "%llu MiB of VRAM (%llu visible), %u engines, %u DMA bits, %s backend\n",
		 edgpu->vram_size >> 20, edgpu->aperture_size >> 20, edgpu->num_engines,
		 edgpu->dma_bits, edgpu_backend);
	edgpu_runtime_init(edgpu);
	drm_client_setup(&edgpu->drm, NULL);
	return 0;
}

/*
 * Open files outlive this, but no work on the device does, nor any DMA mapping
 * of theirs.
 */
static void edgpu_remove(struct pci_dev *pdev)
{
	struct edgpu_device *edgpu = pci_get_drvdata(pdev);

	edgpu_runtime_fini(edgpu);
	/* What is shown goes with those who show it. */
	edgpu_scanout_stop(edgpu);
	edgpu_pagemap_close(edgpu);
	drm_dev_unplug(&edgpu->drm);
	edgpu_display_fini(edgpu);
	edgpu_pm_fini(edgpu);
	edgpu_shrinker_fini(edgpu);
	edgpu_engines_wait_idle(edgpu);
	edgpu_engines_stop(edgpu);
	edgpu_pagemap_abandon(edgpu);
	edgpu_ttm_disconnect(edgpu);
}

static void edgpu_shutdown(struct pci_dev *pdev)
{
	edgpu_engines_stop(pci_get_drvdata(pdev));
}

static const struct pci_device_id edgpu_pci_ids[] = {
	{ PCI_DEVICE(EDGPU_PCI_VENDOR_ID, EDGPU_PCI_DEVICE_ID) },
	{ }
};
MODULE_DEVICE_TABLE(pci, edgpu_pci_ids);

static struct pci_driver edgpu_pci_driver = {
	.name = "edgpu",
	.id_table = edgpu_pci_ids,
	.probe = edgpu_probe,
	.remove = edgpu_remove,
	.shutdown = edgpu_shutdown,
	.err_handler = &edgpu_reset_handlers,
	.driver.pm = pm_ptr(&edgpu_pm_ops),
};
module_pci_driver(edgpu_pci_driver);

MODULE_DESCRIPTION("Emulated discrete GPU (edgpu)");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS("DMA_BUF");
