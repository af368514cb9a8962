/*
 * share: PRIME. An object comes back from its own dma-buf as itself, memory of a udmabuf is used in
 * place, and an exported object is seen through its dma-buf wherever it was. With a second device
 * (--second yes), that one reads and writes the memory of an object of the first.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/failure.h"
#include "lib/gpu.h"
#include "lib/options.h"
#include "lib/pattern.h"
#include "lib/report.h"
#include "lib/udmabuf.h"
#include "programs/programs.h"

#define SIZE (256 * 1024)
#define ANYWHERE (EDGPU_PLACEMENT_SYSTEM | EDGPU_PLACEMENT_VRAM)

static bool export(struct gpu *gpu, const struct object *object, int *fd)
{
	struct drm_prime_handle args = {
		.handle = object->handle,
		.flags = DRM_CLOEXEC | DRM_RDWR,
	};

	if (ioctl(gpu->fd, DRM_IOCTL_PRIME_HANDLE_TO_FD, &args))
		return fail("PRIME_HANDLE_TO_FD: %s", strerrorname_np(errno));
	*fd = args.fd;
	return true;
}

static bool import(struct gpu *gpu, int fd, struct object *object)
{
	struct drm_prime_handle args = { .fd = fd };

	if (ioctl(gpu->fd, DRM_IOCTL_PRIME_FD_TO_HANDLE, &args))
		return fail("PRIME_FD_TO_HANDLE: %s", strerrorname_np(errno));
	*object = (struct object) { .handle = args.handle, .size = SIZE };
	return true;
}

static bool map_file(int fd, void **data)
{
	*data = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	return *data != MAP_FAILED || fail("mmap: %s", strerrorname_np(errno));
}

static bool copy(struct gpu *gpu, const struct object *src, const struct object *dst)
{
	struct drm_edgpu_cmd cmd = {
		.op = EDGPU_CMD_COPY,
		.src_handle = src->handle,
		.dst_handle = dst->handle,
		.len = SIZE,
	};

	return gpu_submit(gpu, 0, &cmd, 1) && gpu_wait(gpu, dst);
}

/* In the same file the same handle, in another file the same memory. */
static bool self_import(struct gpu *gpu)
{
	struct object object, same, other;
	void *here, *there;
	struct gpu second;
	int fd;

	if (!gpu_create(gpu, &object, SIZE, ANYWHERE, 0) || !export(gpu, &object, &fd) ||
	    !import(gpu, fd, &same) || !gpu_open(&second) || !import(&second, fd, &other) ||
	    !gpu_map(gpu, &object, &here) || !gpu_map(&second, &other, &there))
		return false;
	if (same.handle != object.handle)
		report_mismatch("a self-import is another object");
	pattern_write(here, SIZE, pattern_key(8, 0, 0), 0);
	if (memcmp(here, there, SIZE))
		report_mismatch("another file sees other content");
	return gpu_move(&second, &other, EDGPU_PLACEMENT_VRAM) &&
	       (!memcmp(here, there, SIZE) || fail("content lost in a move by another file"));
}

/* The object is read through its dma-buf in VRAM, in system memory, and after its handle is gone. */
static bool exported(struct gpu *gpu)
{
	struct drm_gem_close close_args;
	struct object object;
	void *data, *shared;
	size_t offset;
	int fd;

	if (!gpu_create(gpu, &object, SIZE, ANYWHERE, 0) || !gpu_map(gpu, &object, &data) ||
	    !export(gpu, &object, &fd) || !map_file(fd, &shared))
		return false;
	pattern_write(data, SIZE, pattern_key(8, 1, 0), 0);
	for (unsigned int i = 0; i < 4; i++) {
		if (!gpu_move(gpu, &object, i % 2 ? EDGPU_PLACEMENT_SYSTEM : EDGPU_PLACEMENT_VRAM))
			return false;
		if (!pattern_matches(shared, SIZE, pattern_key(8, 1, 0), &offset))
			report_mismatch("wrong content at %zu of a dma-buf after a move", offset);
	}
	close_args = (struct drm_gem_close) { .handle = object.handle };
	ioctl(gpu->fd, DRM_IOCTL_GEM_CLOSE, &close_args);
	gpu_unmap(&object, data);
	if (!pattern_matches(shared, SIZE, pattern_key(8, 1, 0), &offset))
		report_mismatch("wrong content at %zu of a dma-buf without a handle", offset);
	return true;
}

static bool make_udmabuf(int *fd, void **data)
{
	int memfd;

	*fd = udmabuf_create(SIZE, &memfd);
	if (*fd < 0)
		return fail("UDMABUF_CREATE: %s", strerrorname_np(errno));
	return map_file(memfd, data);
}

/* The device reads and writes the pages of a memfd. */
static bool imported(struct gpu *gpu)
{
	struct drm_edgpu_gem_rw rw = { .len = SIZE };
	struct object import_, object;
	void *data, *own, *mapped;
	size_t offset;
	int fd = -1;

	if (!make_udmabuf(&fd, &data))
		return false;
	pattern_write(data, SIZE, pattern_key(8, 2, 0), 0);
	if (!import(gpu, fd, &import_) || !gpu_map(gpu, &import_, &mapped) ||
	    !gpu_create(gpu, &object, SIZE, EDGPU_PLACEMENT_VRAM, 0) ||
	    !copy(gpu, &import_, &object) || !gpu_map(gpu, &object, &own))
		return false;
	if (!pattern_matches(own, SIZE, pattern_key(8, 2, 0), &offset))
		report_mismatch("the device read something else at %zu", offset);
	if (!pattern_matches(mapped, SIZE, pattern_key(8, 2, 0), &offset))
		report_mismatch("an import mapped is something else at %zu", offset);
	pattern_write(own, SIZE, pattern_key(8, 3, 0), 0);
	if (!copy(gpu, &object, &import_))
		return false;
	if (!pattern_matches(data, SIZE, pattern_key(8, 3, 0), &offset))
		report_mismatch("the device wrote something else at %zu", offset);
	rw.handle = import_.handle;
	rw.data = (uintptr_t)data;
	if (!ioctl(gpu->fd, DRM_IOCTL_EDGPU_GEM_PREAD, &rw) || errno != EOPNOTSUPP)
		report_mismatch("pread of an import is not refused");
	return true;
}

static bool close_object(struct gpu *gpu, const struct object *object)
{
	struct drm_gem_close args = { .handle = object->handle };

	return !ioctl(gpu->fd, DRM_IOCTL_GEM_CLOSE, &args) ||
	       fail("GEM_CLOSE: %s", strerrorname_np(errno));
}

#define PATIENCE_S 30

/* It is pinned until nobody else has it; and TTM lets go of an import some time after its last handle is gone. */
static bool moves_again(struct gpu *gpu, const struct object *object)
{
	struct drm_edgpu_gem_move args = {
		.handle = object->handle,
		.placement = EDGPU_PLACEMENT_VRAM,
	};

	for (unsigned int tries = 0; tries < PATIENCE_S * 10; tries++) {
		if (!ioctl(gpu->fd, DRM_IOCTL_EDGPU_GEM_MOVE, &args))
			return true;
		if (errno != EINVAL)
			break;
		usleep(100000);
	}
	return fail("GEM_MOVE of what was shared: %s", strerrorname_np(errno));
}

/* Out of VRAM for the other device, which copies it to its own VRAM, changes it, and lets go of it. */
static bool between(struct gpu *gpu)
{
	struct object object, import_, own;
	struct gpu second;
	void *data, *there;
	size_t offset;
	int fd;

	if (!gpu_open_unit(&second, 1) || !gpu_create(gpu, &object, SIZE, ANYWHERE, 0) ||
	    !gpu_map(gpu, &object, &data))
		return false;
	pattern_write(data, SIZE, pattern_key(8, 4, 0), 0);
	if (!gpu_move(gpu, &object, EDGPU_PLACEMENT_VRAM) || !export(gpu, &object, &fd) ||
	    !import(&second, fd, &import_) ||
	    !gpu_create(&second, &own, SIZE, EDGPU_PLACEMENT_VRAM, 0) ||
	    !gpu_map(&second, &own, &there) || !copy(&second, &import_, &own))
		return false;
	if (!pattern_matches(there, SIZE, pattern_key(8, 4, 0), &offset))
		report_mismatch("the second device read something else at %zu", offset);
	pattern_write(there, SIZE, pattern_key(8, 5, 0), 0);
	if (!copy(&second, &own, &import_))
		return false;
	if (!pattern_matches(data, SIZE, pattern_key(8, 5, 0), &offset))
		report_mismatch("the second device wrote something else at %zu", offset);
	if (!close_object(&second, &import_) || close(fd) || !moves_again(gpu, &object))
		return false;
	if (!pattern_matches(data, SIZE, pattern_key(8, 5, 0), &offset))
		report_mismatch("wrong content at %zu after the second device let go", offset);
	return true;
}

int share_main(int argc, char **argv)
{
	static const char *const words[] = { "no", "yes", NULL };
	uint64_t second = 0;
	const struct option_spec specs[] = {
		{ .name = "second", .value = &second, .words = words, .optional = true },
	};
	struct gpu gpu;

	if (!options_parse("share", specs, 1, argc, argv))
		return EXIT_USAGE;
	udmabuf_stay_low();
	if (gpu_open(&gpu)) {
		if (second)
			between(&gpu);
		else if (self_import(&gpu) && exported(&gpu))
			imported(&gpu);
	}
	report_open();
	return report_close();
}
