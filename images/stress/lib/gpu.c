#define _GNU_SOURCE
#include "gpu.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "clock.h"
#include "failure.h"
#include "faults.h"

#define RENDER_MINOR_FIRST 128
#define RENDER_MINOR_LAST 191
#define WAIT_SECONDS 60
/* Signals and locks may get in the way of a call, but not for ever. */
#define MAX_TRIES 10000

int gpu_call(struct gpu *gpu, unsigned long request, void *args)
{
	unsigned int tries = 0;
	bool again;
	int error;

	do {
		faults_arm();
		error = ioctl(gpu->fd, request, args) ? errno : 0;
		again = (error == EINTR || error == EAGAIN) && ++tries < MAX_TRIES;
		if (faults_disarm() && (error == ENOMEM || error == EFAULT))
			again = true;
	} while (again);
	return error;
}

static bool call(struct gpu *gpu, unsigned long request, void *args, const char *name)
{
	int error = gpu_call(gpu, request, args);

	return !error || fail("%s: %s (%s)", name, strerrorname_np(error), strerror(error));
}

#define CALL(gpu, name, args) call(gpu, DRM_IOCTL_EDGPU_##name, args, #name)

static bool get_param(struct gpu *gpu, uint32_t param, uint64_t *value)
{
	struct drm_edgpu_get_param args = { .param = param };

	if (!CALL(gpu, GET_PARAM, &args))
		return false;
	*value = args.value;
	return true;
}

static bool is_edgpu(int fd)
{
	char name[16] = "";
	struct drm_version version = { .name = name, .name_len = sizeof(name) - 1 };

	return !ioctl(fd, DRM_IOCTL_VERSION, &version) && !strcmp(name, "edgpu");
}

static bool open_minor(struct gpu *gpu, unsigned int minor)
{
	char path[32];

	snprintf(path, sizeof(path), "/dev/dri/renderD%u", minor);
	gpu->fd = open(path, O_RDWR | O_CLOEXEC);
	if (gpu->fd < 0)
		return false;
	if (!is_edgpu(gpu->fd)) {
		close(gpu->fd);
		return false;
	}
	gpu->minor = minor;
	return true;
}

static bool open_unit(struct gpu *gpu, unsigned int unit)
{
	unsigned int minor, found = 0;

	for (minor = RENDER_MINOR_FIRST; minor <= RENDER_MINOR_LAST; minor++) {
		if (!open_minor(gpu, minor))
			continue;
		if (found++ == unit)
			return true;
		close(gpu->fd);
	}
	if (found)
		return fail("there are %u devices, so none with number %u", found, unit);
	return fail("no render node in /dev/dri belongs to edgpu: is the driver loaded?");
}

bool gpu_open_unit(struct gpu *gpu, unsigned int unit)
{
	if (!open_unit(gpu, unit))
		return false;

	return get_param(gpu, EDGPU_PARAM_VRAM_SIZE, &gpu->vram_size) &&
	       get_param(gpu, EDGPU_PARAM_APERTURE_SIZE, &gpu->aperture_size) &&
	       get_param(gpu, EDGPU_PARAM_ENGINES, &gpu->engines) &&
	       get_param(gpu, EDGPU_PARAM_DMA_BITS, &gpu->dma_bits) &&
	       get_param(gpu, EDGPU_PARAM_VRAM_GENERATION, &gpu->vram_generation) &&
	       get_param(gpu, EDGPU_PARAM_BACKEND, &gpu->backend);
}

bool gpu_open(struct gpu *gpu)
{
	const char *unit = getenv("EDGPU_UNIT");

	return gpu_open_unit(gpu, unit ? (unsigned int)strtoul(unit, NULL, 10) : 0);
}

bool gpu_create(struct gpu *gpu, struct object *object, size_t size, uint32_t placement,
		uint32_t caching)
{
	struct drm_edgpu_gem_create args = {
		.size = size,
		.placement = placement,
		.caching = caching,
		.flags = EDGPU_CREATE_PREFER_SYSTEM,
	};

	return gpu_create_with(gpu, object, &args);
}

bool gpu_create_with(struct gpu *gpu, struct object *object, struct drm_edgpu_gem_create *args)
{
	if (!CALL(gpu, GEM_CREATE, args))
		return false;
	object->handle = args->handle;
	object->size = args->size;
	return true;
}

bool gpu_destroy(struct gpu *gpu, const struct object *object)
{
	struct drm_gem_close args = { .handle = object->handle };

	return call(gpu, DRM_IOCTL_GEM_CLOSE, &args, "GEM_CLOSE");
}

bool gpu_info(struct gpu *gpu, const struct object *object, struct drm_edgpu_gem_info *info)
{
	*info = (struct drm_edgpu_gem_info) { .handle = object->handle };
	return CALL(gpu, GEM_INFO, info);
}

bool gpu_mmap_offset(struct gpu *gpu, const struct object *object, uint64_t *offset)
{
	struct drm_edgpu_gem_mmap_offset args = { .handle = object->handle };

	if (!CALL(gpu, GEM_MMAP_OFFSET, &args))
		return false;
	*offset = args.offset;
	return true;
}

bool gpu_map(struct gpu *gpu, const struct object *object, void **data)
{
	uint64_t offset;

	if (!gpu_mmap_offset(gpu, object, &offset))
		return false;

	*data = mmap(NULL, object->size, PROT_READ | PROT_WRITE, MAP_SHARED, gpu->fd,
		     (off_t)offset);
	return *data != MAP_FAILED ||
	       fail("mmap: %s (%s)", strerrorname_np(errno), strerror(errno));
}

bool gpu_unmap(const struct object *object, void *data)
{
	return !munmap(data, object->size) ||
	       fail("munmap: %s (%s)", strerrorname_np(errno), strerror(errno));
}

bool gpu_move(struct gpu *gpu, const struct object *object, uint32_t placement)
{
	struct drm_edgpu_gem_move args = {
		.handle = object->handle,
		.placement = placement,
	};
	struct drm_edgpu_gem_info info;

	if (!CALL(gpu, GEM_MOVE, &args) || !gpu_info(gpu, object, &info))
		return false;
	return info.placement == placement || fail("GEM_MOVE is done, and the object is not there");
}

bool gpu_submit(struct gpu *gpu, unsigned int engine, struct drm_edgpu_cmd *cmds,
		unsigned int count)
{
	struct drm_edgpu_submit args = {
		.cmds = (uintptr_t)cmds,
		.num_cmds = count,
		.engine = engine,
	};

	return CALL(gpu, SUBMIT, &args);
}

bool gpu_pread(struct gpu *gpu, const struct object *object, uint64_t offset, void *data,
	       size_t size)
{
	struct drm_edgpu_gem_rw args = {
		.handle = object->handle,
		.offset = offset,
		.len = size,
		.data = (uintptr_t)data,
	};

	return CALL(gpu, GEM_PREAD, &args);
}

bool gpu_pwrite(struct gpu *gpu, const struct object *object, uint64_t offset, const void *data,
		size_t size)
{
	struct drm_edgpu_gem_rw args = {
		.handle = object->handle,
		.offset = offset,
		.len = size,
		.data = (uintptr_t)data,
	};

	return CALL(gpu, GEM_PWRITE, &args);
}

bool gpu_wait(struct gpu *gpu, const struct object *object)
{
	struct drm_edgpu_wait args = {
		.handle = object->handle,
		.timeout_ns = (int64_t)now_ns() + WAIT_SECONDS * 1000000000ll,
	};

	return CALL(gpu, WAIT, &args);
}
