/* The device file: ioctls with their failures in words. */
#ifndef GPU_H
#define GPU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "edgpu_drm.h"

struct gpu {
	int fd;
	unsigned int minor;
	uint64_t vram_size;
	uint64_t aperture_size;
	uint64_t engines;
	uint64_t dma_bits;
	uint64_t vram_generation;
	uint64_t backend;
};

struct object {
	uint32_t handle;
	size_t size;
};

/* An ioctl, again if it was interrupted, or refused an allocation on purpose. Returns 0 or an errno. */
int gpu_call(struct gpu *gpu, unsigned long request, void *args);

/* All below return false on failure, and then failure() says what failed. */
/* The device that EDGPU_UNIT in the environment says, or the first. */
bool gpu_open(struct gpu *gpu);
bool gpu_open_unit(struct gpu *gpu, unsigned int unit);
bool gpu_create(struct gpu *gpu, struct object *object, size_t size, uint32_t placement,
		uint32_t caching);
/* Anything else that can be asked for. */
bool gpu_create_with(struct gpu *gpu, struct object *object, struct drm_edgpu_gem_create *args);
bool gpu_destroy(struct gpu *gpu, const struct object *object);
bool gpu_info(struct gpu *gpu, const struct object *object, struct drm_edgpu_gem_info *info);
/* Where the object is in the device file, for mmap(); and its name in the driver's debugfs. */
bool gpu_mmap_offset(struct gpu *gpu, const struct object *object, uint64_t *offset);
bool gpu_map(struct gpu *gpu, const struct object *object, void **data);
bool gpu_unmap(const struct object *object, void *data);
/* Fails, too, if the object is not there then. */
bool gpu_move(struct gpu *gpu, const struct object *object, uint32_t placement);
bool gpu_submit(struct gpu *gpu, unsigned int engine, struct drm_edgpu_cmd *cmds,
		unsigned int count);
bool gpu_pread(struct gpu *gpu, const struct object *object, uint64_t offset, void *data,
	       size_t size);
bool gpu_pwrite(struct gpu *gpu, const struct object *object, uint64_t offset, const void *data,
		size_t size);
bool gpu_wait(struct gpu *gpu, const struct object *object);

#endif
