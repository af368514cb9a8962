/*
 * share: PRIME. An object comes back from its own dma-buf as itself, memory of a udmabuf is used in
 * place, and an exported object is seen through its dma-buf wherever it was. With a second device
 * (--second yes), that one reads and writes the memory of an object of the first. With --pins N it
 * can pin just N objects of the first, and one more for each that it lets go of.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/bus_error.h"
#include "lib/failure.h"
#include "lib/gpu.h"
#include "lib/options.h"
#include "lib/pattern.h"
#include "lib/report.h"
#include "lib/udmabuf.h"
#include "programs/programs.h"

#define SIZE (256 * 1024)
#define ANYWHERE (EDGPU_PLACEMENT_SYSTEM | EDGPU_PLACEMENT_VRAM)

struct share {
	struct gpu gpu;
	uint64_t seed;
	uint64_t keys;		/* so many contents were written */
	uint64_t key;		/* of the last one */
};

static bool export(struct gpu *gpu, const struct object *object, int *fd)
{
	struct drm_prime_handle args = {
		.handle = object->handle,
		.flags = DRM_CLOEXEC | DRM_RDWR,
	};
	int error = gpu_call(gpu, DRM_IOCTL_PRIME_HANDLE_TO_FD, &args);

	*fd = args.fd;
	return !error || fail("PRIME_HANDLE_TO_FD: %s", strerrorname_np(error));
}

static bool import(struct gpu *gpu, int fd, struct object *object)
{
	struct drm_prime_handle args = { .fd = fd };
	int error = gpu_call(gpu, DRM_IOCTL_PRIME_FD_TO_HANDLE, &args);

	*object = (struct object) { .handle = args.handle, .size = SIZE };
	return !error || fail("PRIME_FD_TO_HANDLE: %s", strerrorname_np(error));
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

static bool write_new(struct share *share, void *data)
{
	BUS_ERROR_GUARD;

	if (bus_error())
		return fail("write of new content: SIGBUS");
	share->key = pattern_key(share->seed, 0, ++share->keys);
	pattern_write(data, SIZE, share->key, 0);
	return true;
}

/* What was written last, by whomever, is there. */
static bool expect_last(struct share *share, const void *data, const char *what)
{
	BUS_ERROR_GUARD;
	size_t offset;

	if (bus_error())
		return fail("%s: SIGBUS", what);
	if (!pattern_matches(data, SIZE, share->key, &offset))
		report_mismatch("%s: wrong content at %zu", what, offset);
	return true;
}

/* New content by one of two mappings of an object is what the other one shows. */
static bool pass(struct share *share, void *from, const void *to, const char *what)
{
	return write_new(share, from) && expect_last(share, to, what);
}

/* What was there is seen by both mappings after a move, and so is what each of them writes from then on. */
static bool pass_after_move(struct share *share, void *one, void *other, const char *what)
{
	return expect_last(share, other, what) && expect_last(share, one, what) &&
	       pass(share, one, other, what) && pass(share, other, one, what);
}

/* In the same file the same handle, in another file the same memory. */
static bool self_import(struct share *share)
{
	struct object object, same, other;
	struct gpu *gpu = &share->gpu;
	void *here, *there;
	struct gpu second;
	int fd;

	if (!gpu_create(gpu, &object, SIZE, ANYWHERE, 0) || !export(gpu, &object, &fd) ||
	    !import(gpu, fd, &same) || !gpu_open(&second) || !import(&second, fd, &other) ||
	    !gpu_map(gpu, &object, &here) || !gpu_map(&second, &other, &there))
		return false;
	if (same.handle != object.handle)
		report_mismatch("a self-import is another object");
	return pass(share, here, there, "in another file") &&
	       gpu_move(&second, &other, EDGPU_PLACEMENT_VRAM) &&
	       pass_after_move(share, here, there, "in another file, in VRAM") &&
	       gpu_move(gpu, &object, EDGPU_PLACEMENT_SYSTEM) &&
	       pass_after_move(share, there, here, "in another file, back in memory");
}

/* The object is seen through its dma-buf in VRAM, in system memory, and after its handle is gone. */
static bool exported(struct share *share)
{
	struct gpu *gpu = &share->gpu;
	struct object object;
	void *data, *shared;
	int fd;

	if (!gpu_create(gpu, &object, SIZE, ANYWHERE, 0) || !gpu_map(gpu, &object, &data) ||
	    !export(gpu, &object, &fd) || !map_file(fd, &shared) ||
	    !pass(share, data, shared, "dma-buf"))
		return false;
	for (unsigned int i = 0; i < 4; i++)
		if (!gpu_move(gpu, &object, i % 2 ? EDGPU_PLACEMENT_SYSTEM : EDGPU_PLACEMENT_VRAM) ||
		    !pass_after_move(share, data, shared, "dma-buf after a move"))
			return false;
	return gpu_destroy(gpu, &object) && gpu_unmap(&object, data) &&
	       expect_last(share, shared, "dma-buf without a handle");
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
static bool imported(struct share *share)
{
	struct drm_edgpu_gem_rw rw = { .len = SIZE };
	struct gpu *gpu = &share->gpu;
	struct object import_, object;
	void *data, *own, *mapped;
	int fd = -1;

	if (!make_udmabuf(&fd, &data) || !import(gpu, fd, &import_) ||
	    !gpu_map(gpu, &import_, &mapped) || !pass(share, data, mapped, "import, mapped") ||
	    !gpu_create(gpu, &object, SIZE, EDGPU_PLACEMENT_VRAM, 0) ||
	    !copy(gpu, &import_, &object) || !gpu_map(gpu, &object, &own) ||
	    !expect_last(share, own, "read by the device") ||
	    !write_new(share, own) || !copy(gpu, &object, &import_) ||
	    !expect_last(share, data, "written by the device"))
		return false;
	rw.handle = import_.handle;
	rw.data = (uintptr_t)data;
	if (gpu_call(gpu, DRM_IOCTL_EDGPU_GEM_PREAD, &rw) != EOPNOTSUPP)
		report_mismatch("pread of an import is not refused");
	return true;
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
		int error = gpu_call(gpu, DRM_IOCTL_EDGPU_GEM_MOVE, &args);

		if (!error)
			return true;
		if (error != EINVAL)
			return fail("GEM_MOVE of what was shared: %s", strerrorname_np(error));
		usleep(100000);
	}
	return fail("what was shared can't be moved again");
}

/* Out of VRAM for the other device, which copies it to its own VRAM, changes it, and lets go of it. */
static bool between(struct share *share)
{
	struct object object, import_, own;
	struct gpu *gpu = &share->gpu;
	struct gpu second;
	void *data, *there;
	int fd;

	return gpu_open_unit(&second, 1) && gpu_create(gpu, &object, SIZE, ANYWHERE, 0) &&
	       gpu_map(gpu, &object, &data) && write_new(share, data) &&
	       gpu_move(gpu, &object, EDGPU_PLACEMENT_VRAM) && export(gpu, &object, &fd) &&
	       import(&second, fd, &import_) &&
	       gpu_create(&second, &own, SIZE, EDGPU_PLACEMENT_VRAM, 0) &&
	       gpu_map(&second, &own, &there) && copy(&second, &import_, &own) &&
	       expect_last(share, there, "read by the second device") &&
	       write_new(share, there) && copy(&second, &own, &import_) &&
	       expect_last(share, data, "written by the second device") &&
	       gpu_destroy(&second, &import_) && !close(fd) && moves_again(gpu, &object) &&
	       pass_after_move(share, data, data, "after the second device let go");
}

static int try_import(struct gpu *gpu, int fd, struct object *object)
{
	struct drm_prime_handle args = { .fd = fd };
	int error = gpu_call(gpu, DRM_IOCTL_PRIME_FD_TO_HANDLE, &args);

	*object = (struct object) { .handle = args.handle, .size = SIZE };
	return error;
}

/* TTM lets go of an import some time after its last handle is gone. */
static bool pins_again(struct gpu *gpu, int fd, struct object *object)
{
	for (unsigned int tries = 0; tries < PATIENCE_S * 10; tries++) {
		int error = try_import(gpu, fd, object);

		if (!error)
			return true;
		if (error != ENOMEM)
			return fail("PRIME_FD_TO_HANDLE after one is gone: %s", strerrorname_np(error));
		usleep(100000);
	}
	return fail("what is let go of does not make room for another");
}

/* Those that the second device has are pinned; the first one goes on with all of its own. */
static bool limited(struct share *share, uint64_t most)
{
	struct object object, import_, last = { 0 };
	struct gpu *gpu = &share->gpu;
	struct gpu second;
	void *data;
	int fd;

	if (!gpu_open_unit(&second, 1))
		return false;
	for (uint64_t pinned = 0;; pinned++) {
		int error;

		if (!gpu_create(gpu, &object, SIZE, ANYWHERE, 0) || !export(gpu, &object, &fd))
			return false;
		error = try_import(&second, fd, &import_);
		if (error == ENOMEM && pinned == most)
			break;
		if (error)
			return fail("import %" PRIu64 " of %" PRIu64 ": %s", pinned + 1, most,
				    strerrorname_np(error));
		if (pinned == most) {
			report_mismatch("more than %" PRIu64 " objects are pinned", most);
			return true;
		}
		last = import_;
		close(fd);
	}
	return gpu_map(gpu, &object, &data) && pass(share, data, data, "what was not pinned") &&
	       gpu_move(gpu, &object, EDGPU_PLACEMENT_VRAM) &&
	       pass_after_move(share, data, data, "what was not pinned, in VRAM") &&
	       gpu_destroy(&second, &last) && pins_again(&second, fd, &import_) &&
	       pass_after_move(share, data, data, "what is pinned after all");
}

int share_main(int argc, char **argv)
{
	static const char *const words[] = { "no", "yes", NULL };
	struct share share = { 0 };
	uint64_t second = 0, pins = 0;
	const struct option_spec specs[] = {
		{ .name = "seed", .value = &share.seed },
		{ .name = "second", .value = &second, .words = words, .optional = true },
		{ .name = "pins", .value = &pins, .optional = true },
	};

	if (!options_parse("share", specs, sizeof(specs) / sizeof(*specs), argc, argv))
		return EXIT_USAGE;
	udmabuf_stay_low();
	if (gpu_open(&share.gpu)) {
		if (pins)
			limited(&share, pins);
		else if (second)
			between(&share);
		else if (self_import(&share) && exported(&share))
			imported(&share);
	}
	report_open();
	return report_close();
}
