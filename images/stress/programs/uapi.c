/*
 * uapi: the driver refuses every kind of bad argument, one at a time with all
 * else valid, and does what it is told with odd but good ones.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/mempolicy.h>
#include <linux/userfaultfd.h>
#include <sys/auxv.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "lib/bus_error.h"
#include "lib/driver_files.h"
#include "lib/failure.h"
#include "lib/gpu.h"
#include "lib/options.h"
#include "lib/pattern.h"
#include "lib/random.h"
#include "lib/report.h"
#include "lib/xxh64.h"
#include "programs/programs.h"

#define PAGE 4096
#define SIZE (16 * PAGE)
#define BAD_HANDLE 0x7ffffff0u
#define ANYWHERE (EDGPU_PLACEMENT_SYSTEM | EDGPU_PLACEMENT_VRAM)
#define RANDOM_COMMANDS 400
#define VRAM_OBJECT (1024 * 1024)
/* Of the seed: the first of those objects. */
#define VRAM_KEYS 1000
#define DISK "/dev/vda"

struct uapi {
	struct gpu gpu;
	struct object any;	/* may be anywhere */
	struct object other;	/* likewise */
	struct object system;	/* in system memory only */
	uint32_t syncobj;	/* without a fence */
	struct random random;
	uint64_t seed;
	uint64_t cases;
	char source[SIZE];	/* what is in "any", by nobody's account but the program's */
	char model[SIZE];	/* and in "other" */
};

static void expect(struct uapi *uapi, const char *what, unsigned long request, void *args,
		   int error)
{
	int ret = ioctl(uapi->gpu.fd, request, args);
	int got = ret ? errno : 0;

	uapi->cases++;
	if (got != error)
		report_mismatch("%s: %s instead of %s", what, got ? strerrorname_np(got) : "success",
				error ? strerrorname_np(error) : "success");
}

/* A call with one field set to something bad. */
#define REJECT(uapi, name, good, field, bad, error) do { \
	typeof(good) args_ = (good); \
	args_.field = (bad); \
	expect(uapi, #name " with " #field " = " #bad, DRM_IOCTL_EDGPU_##name, &args_, error); \
} while (0)

static void reject_single(struct uapi *uapi)
{
	struct drm_edgpu_get_param param = { .param = EDGPU_PARAM_ENGINES };
	struct drm_edgpu_gem_create create = { .size = SIZE, .placement = ANYWHERE };
	struct drm_edgpu_gem_mmap_offset offset = { .handle = uapi->any.handle };
	struct drm_edgpu_gem_info info = { .handle = uapi->any.handle };
	struct drm_edgpu_gem_move move = {
		.handle = uapi->any.handle,
		.placement = EDGPU_PLACEMENT_SYSTEM,
	};
	struct drm_edgpu_wait wait = { .handle = uapi->any.handle };
	struct drm_edgpu_gem_rw rw = {
		.handle = uapi->any.handle,
		.len = PAGE,
		.data = (uintptr_t)uapi,
	};

	REJECT(uapi, GET_PARAM, param, pad, 1, EINVAL);
	REJECT(uapi, GET_PARAM, param, param, 99, EINVAL);

	REJECT(uapi, GEM_CREATE, create, size, 0, EINVAL);
	REJECT(uapi, GEM_CREATE, create, size, UINT64_MAX, E2BIG);
	REJECT(uapi, GEM_CREATE, create, size, 1ull << 46, E2BIG);
	REJECT(uapi, GEM_CREATE, create, placement, 0, EINVAL);
	REJECT(uapi, GEM_CREATE, create, placement, 4, EINVAL);
	REJECT(uapi, GEM_CREATE, create, placement, UINT32_MAX, EINVAL);
	REJECT(uapi, GEM_CREATE, create, caching, 3, EINVAL);
	REJECT(uapi, GEM_CREATE, create, flags, EDGPU_CREATE_CARVEOUT, EINVAL);
	REJECT(uapi, GEM_CREATE, create, flags, 8, EINVAL);

	REJECT(uapi, GEM_MMAP_OFFSET, offset, handle, 0, ENOENT);
	REJECT(uapi, GEM_MMAP_OFFSET, offset, handle, BAD_HANDLE, ENOENT);
	REJECT(uapi, GEM_MMAP_OFFSET, offset, pad, 1, EINVAL);

	REJECT(uapi, GEM_INFO, info, handle, BAD_HANDLE, ENOENT);

	REJECT(uapi, GEM_MOVE, move, handle, BAD_HANDLE, ENOENT);
	REJECT(uapi, GEM_MOVE, move, placement, 0, EINVAL);
	REJECT(uapi, GEM_MOVE, move, placement, ANYWHERE, EINVAL);
	REJECT(uapi, GEM_MOVE, move, placement, 4, EINVAL);
	move.handle = uapi->system.handle;
	REJECT(uapi, GEM_MOVE, move, placement, EDGPU_PLACEMENT_VRAM, EINVAL);

	REJECT(uapi, GEM_PREAD, rw, handle, BAD_HANDLE, ENOENT);
	REJECT(uapi, GEM_PREAD, rw, pad, 1, EINVAL);
	REJECT(uapi, GEM_PREAD, rw, len, 0, EINVAL);
	REJECT(uapi, GEM_PREAD, rw, len, SIZE + 1, EINVAL);
	REJECT(uapi, GEM_PREAD, rw, offset, SIZE, EINVAL);
	REJECT(uapi, GEM_PREAD, rw, offset, UINT64_MAX, EINVAL);
	REJECT(uapi, GEM_PREAD, rw, data, 0, EFAULT);
	REJECT(uapi, GEM_PREAD, rw, data, UINT64_MAX, EFAULT);
	REJECT(uapi, GEM_PWRITE, rw, handle, BAD_HANDLE, ENOENT);
	REJECT(uapi, GEM_PWRITE, rw, pad, 1, EINVAL);
	REJECT(uapi, GEM_PWRITE, rw, len, UINT64_MAX, EINVAL);
	REJECT(uapi, GEM_PWRITE, rw, data, 0, EFAULT);

	REJECT(uapi, WAIT, wait, handle, BAD_HANDLE, ENOENT);
	REJECT(uapi, WAIT, wait, pad, 1, EINVAL);
}

static void reject_eviction(struct uapi *uapi)
{
	uint64_t bitmap[SIZE / PAGE / 64 + 1];
	struct drm_edgpu_gem_evict evict = { .handle = uapi->system.handle };
	struct drm_edgpu_gem_madvise madvise = { .handle = uapi->system.handle };
	struct drm_edgpu_gem_discarded discarded = {
		.handle = uapi->system.handle,
		.pages = SIZE / PAGE,
		.bitmap = (uintptr_t)bitmap,
	};

	REJECT(uapi, GEM_EVICT, evict, handle, BAD_HANDLE, ENOENT);
	REJECT(uapi, GEM_EVICT, evict, pad, 1, EINVAL);
	REJECT(uapi, GEM_EVICT, evict, size, SIZE + 1, EINVAL);
	REJECT(uapi, GEM_EVICT, evict, size, UINT64_MAX, EINVAL);

	REJECT(uapi, GEM_MADVISE, madvise, handle, BAD_HANDLE, ENOENT);
	REJECT(uapi, GEM_MADVISE, madvise, advice, 2, EINVAL);
	REJECT(uapi, GEM_MADVISE, madvise, advice, UINT32_MAX, EINVAL);
	REJECT(uapi, GEM_MADVISE, madvise, flags, EDGPU_MADVISE_RECREATE, EINVAL);
	REJECT(uapi, GEM_MADVISE, madvise, value, 1, EINVAL);
	madvise.advice = EDGPU_MADVISE_DONTNEED;
	REJECT(uapi, GEM_MADVISE, madvise, flags, 2, EINVAL);
	REJECT(uapi, GEM_MADVISE, madvise, flags, UINT32_MAX, EINVAL);
	REJECT(uapi, GEM_MADVISE, madvise, value, 1, EINVAL);

	REJECT(uapi, GEM_DISCARDED, discarded, handle, BAD_HANDLE, ENOENT);
	REJECT(uapi, GEM_DISCARDED, discarded, pad, 1, EINVAL);
	REJECT(uapi, GEM_DISCARDED, discarded, first, 1, EINVAL);
	REJECT(uapi, GEM_DISCARDED, discarded, first, 64, EINVAL);
	REJECT(uapi, GEM_DISCARDED, discarded, first, UINT64_MAX - 63, EINVAL);
	REJECT(uapi, GEM_DISCARDED, discarded, pages, 0, EINVAL);
	REJECT(uapi, GEM_DISCARDED, discarded, pages, SIZE / PAGE + 1, EINVAL);
	REJECT(uapi, GEM_DISCARDED, discarded, pages, UINT64_MAX, EINVAL);
	REJECT(uapi, GEM_DISCARDED, discarded, bitmap, 0, EFAULT);
	REJECT(uapi, GEM_DISCARDED, discarded, bitmap, UINT64_MAX - 7, EFAULT);
}

static char *private_memory(int protection)
{
	char *memory = mmap(NULL, SIZE, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory != MAP_FAILED)
		return memory;
	fail("mmap: %s", strerror(errno));
	return NULL;
}

static void expect_to_vram(struct uapi *uapi, const char *what, const void *memory, uint64_t size, int error)
{
	struct drm_edgpu_svm_to_vram svm = { .addr = (uintptr_t)memory, .len = size };

	expect(uapi, what, DRM_IOCTL_EDGPU_SVM_TO_VRAM, &svm, error);
}

static void expect_content(struct uapi *uapi, const char *what, const char *memory, uint64_t index)
{
	if (!pattern_matches(memory, SIZE, pattern_key(uapi->seed, index, 0), &(size_t){ 0 }))
		report_mismatch("wrong content after SVM_TO_VRAM of %s", what);
}

/* Pages that a pipe has can't be moved as long as it has them. */
static bool svm_of_pipe(struct uapi *uapi)
{
	char *memory = private_memory(PROT_READ | PROT_WRITE), *read_back = malloc(SIZE);
	struct iovec part = { .iov_base = memory, .iov_len = SIZE };
	int fds[2];

	if (!memory || !read_back || pipe2(fds, O_CLOEXEC))
		return fail("pipe: %s", strerror(errno));
	pattern_write(memory, SIZE, pattern_key(uapi->seed, 4, 0), 0);
	if (vmsplice(fds[1], &part, 1, 0) != SIZE)
		return fail("vmsplice: %s", strerror(errno));
	expect_to_vram(uapi, "SVM_TO_VRAM of pages in a pipe", memory, SIZE, EBUSY);
	if (read(fds[0], read_back, SIZE) != SIZE)
		return fail("read: %s", strerror(errno));
	expect_content(uapi, "what is read from a pipe", read_back, 4);
	expect_to_vram(uapi, "SVM_TO_VRAM of pages that were in a pipe", memory, SIZE, 0);
	expect_content(uapi, "pages that were in a pipe", memory, 4);
	close(fds[0]);
	close(fds[1]);
	free(read_back);
	return !munmap(memory, SIZE);
}

/* Whoever has asked for SIGBUS instead of empty pages gets no pages from the driver either. */
static bool svm_of_userfault(struct uapi *uapi)
{
	char *memory = private_memory(PROT_READ | PROT_WRITE);
	struct uffdio_api api = { .api = UFFD_API, .features = UFFD_FEATURE_SIGBUS };
	struct uffdio_register area = {
		.range = { .start = (uintptr_t)memory, .len = SIZE },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);

	if (!memory || fd < 0)
		return fail("userfaultfd: %s", strerror(errno));
	memory[0] = 1;
	if (ioctl(fd, UFFDIO_API, &api) || ioctl(fd, UFFDIO_REGISTER, &area))
		return fail("UFFDIO_REGISTER: %s", strerror(errno));
	expect_to_vram(uapi, "SVM_TO_VRAM of a page of userfaultfd's", memory, PAGE, 0);
	expect_to_vram(uapi, "SVM_TO_VRAM of pages that userfaultfd misses", memory, SIZE, EFAULT);
	if (memory[0] != 1)
		report_mismatch("wrong content after SVM_TO_VRAM of a page of userfaultfd's");
	close(fd);
	return !munmap(memory, SIZE);
}

/* Private memory that is not just written. */
static bool svm_of_odd_memory(struct uapi *uapi)
{
	char stack[SIZE + PAGE], *on_stack = stack + -(uintptr_t)stack % PAGE;
	char *locked = private_memory(PROT_READ | PROT_WRITE), *empty = private_memory(PROT_READ);
	char *write_only = private_memory(PROT_WRITE), *hole = private_memory(PROT_READ);

	if (!locked || !empty || !write_only || !hole || mlock(locked, SIZE))
		return fail("mlock: %s", strerror(errno));
	pattern_write(locked, SIZE, pattern_key(uapi->seed, 5, 0), 0);
	pattern_write(on_stack, SIZE, pattern_key(uapi->seed, 6, 0), 0);
	expect_to_vram(uapi, "SVM_TO_VRAM of locked memory", locked, SIZE, 0);
	expect_to_vram(uapi, "SVM_TO_VRAM of the stack", on_stack, SIZE, 0);
	expect_content(uapi, "locked memory", locked, 5);
	expect_content(uapi, "the stack", on_stack, 6);
	/* With the page of zeroes that everybody has. */
	if (empty[0])
		report_mismatch("new memory is not empty");
	expect_to_vram(uapi, "SVM_TO_VRAM of read-only memory", empty, SIZE, 0);
	for (size_t i = 0; i < SIZE; i++)
		if (empty[i]) {
			report_mismatch("read-only memory is not empty after SVM_TO_VRAM");
			break;
		}
	expect_to_vram(uapi, "SVM_TO_VRAM of write-only memory", write_only, SIZE, EACCES);
	expect_to_vram(uapi, "SVM_TO_VRAM of the kernel's own page", (void *)getauxval(AT_SYSINFO_EHDR), PAGE, EINVAL);
	if (munmap(write_only, SIZE) || munmap(hole, SIZE))
		return fail("munmap: %s", strerror(errno));
	expect_to_vram(uapi, "SVM_TO_VRAM of all that is above, from a hole on", hole, 0x7ffffffff000 - (uintptr_t)hole,
		       EFAULT);
	/* It goes from there. */
	expect_to_vram(uapi, "SVM_TO_VRAM of locked memory", locked, SIZE, 0);
	return !munmap(locked, SIZE) && !munmap(empty, SIZE);
}

/* Memory of the process: what is asked for, and what is there. */
static bool reject_svm(struct uapi *uapi)
{
	char *memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *shared = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	char *hidden = mmap(NULL, SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	char *file = mmap(NULL, SIZE, PROT_READ, MAP_PRIVATE, fd, 0);
	struct drm_edgpu_svm_to_vram svm = { .addr = (uintptr_t)memory, .len = SIZE };
	void *object;

	close(fd);
	if (memory == MAP_FAILED || shared == MAP_FAILED || hidden == MAP_FAILED || file == MAP_FAILED)
		return fail("mmap: %s", strerror(errno));
	if (!gpu_map(&uapi->gpu, &uapi->any, &object))
		return false;
	REJECT(uapi, SVM_TO_VRAM, svm, flags, 1, EINVAL);
	REJECT(uapi, SVM_TO_VRAM, svm, pad, 1, EINVAL);
	REJECT(uapi, SVM_TO_VRAM, svm, len, 0, EINVAL);
	REJECT(uapi, SVM_TO_VRAM, svm, len, SIZE - 1, EINVAL);
	REJECT(uapi, SVM_TO_VRAM, svm, len, 1ull << 63, EINVAL);
	REJECT(uapi, SVM_TO_VRAM, svm, len, -(uint64_t)PAGE, EINVAL);
	REJECT(uapi, SVM_TO_VRAM, svm, addr, (uintptr_t)memory + 1, EINVAL);
	REJECT(uapi, SVM_TO_VRAM, svm, addr, 1ull << 56, EINVAL);
	REJECT(uapi, SVM_TO_VRAM, svm, addr, 0xffff800000000000, EINVAL);
	REJECT(uapi, SVM_TO_VRAM, svm, addr, 0, EFAULT);
	REJECT(uapi, SVM_TO_VRAM, svm, addr, (uintptr_t)object, EINVAL);
	REJECT(uapi, SVM_TO_VRAM, svm, addr, (uintptr_t)shared, EOPNOTSUPP);
	REJECT(uapi, SVM_TO_VRAM, svm, addr, (uintptr_t)file, EOPNOTSUPP);
	REJECT(uapi, SVM_TO_VRAM, svm, addr, (uintptr_t)hidden, EACCES);
	if (munmap(memory + PAGE, PAGE))
		return fail("munmap: %s", strerror(errno));
	pattern_write(memory, PAGE, pattern_key(uapi->seed, 3, 0), 0);
	expect(uapi, "SVM_TO_VRAM of two pages, of which there is one", DRM_IOCTL_EDGPU_SVM_TO_VRAM, &svm, EFAULT);
	if (svm.moved != PAGE)
		report_mismatch("SVM_TO_VRAM has moved %" PRIu64 " bytes up to a hole", (uint64_t)svm.moved);
	if (!pattern_matches(memory, PAGE, pattern_key(uapi->seed, 3, 0), &(size_t){ 0 }))
		report_mismatch("wrong content after SVM_TO_VRAM");
	/* Even what the call itself is read from. */
	*(struct drm_edgpu_svm_to_vram *)memory = (struct drm_edgpu_svm_to_vram) {
		.addr = (uintptr_t)memory,
		.len = PAGE,
	};
	expect(uapi, "SVM_TO_VRAM of its arguments", DRM_IOCTL_EDGPU_SVM_TO_VRAM, memory, 0);
	return gpu_unmap(&uapi->any, object) && !munmap(memory, SIZE) && !munmap(shared, SIZE) &&
	       !munmap(hidden, SIZE) && !munmap(file, SIZE);
}

static void reject_submit(struct uapi *uapi)
{
	struct drm_edgpu_cmd fill = {
		.op = EDGPU_CMD_FILL,
		.dst_handle = uapi->any.handle,
		.len = SIZE,
	};
	struct drm_edgpu_submit submit = { .cmds = (uintptr_t)&fill, .num_cmds = 1 };

	REJECT(uapi, SUBMIT, submit, cmds, 0, EFAULT);
	REJECT(uapi, SUBMIT, submit, cmds, UINT64_MAX, EFAULT);
	REJECT(uapi, SUBMIT, submit, num_cmds, 0, EINVAL);
	REJECT(uapi, SUBMIT, submit, num_cmds, EDGPU_MAX_CMDS + 1, EINVAL);
	REJECT(uapi, SUBMIT, submit, num_cmds, UINT32_MAX, EINVAL);
	REJECT(uapi, SUBMIT, submit, engine, uapi->gpu.engines, EINVAL);
	REJECT(uapi, SUBMIT, submit, engine, UINT32_MAX, EINVAL);
	REJECT(uapi, SUBMIT, submit, flags, 1, EINVAL);
	REJECT(uapi, SUBMIT, submit, pad, 1, EINVAL);
	REJECT(uapi, SUBMIT, submit, in_syncobj, BAD_HANDLE, ENOENT);
	REJECT(uapi, SUBMIT, submit, in_syncobj, uapi->syncobj, EINVAL);
	REJECT(uapi, SUBMIT, submit, in_point, 1, EINVAL);
	REJECT(uapi, SUBMIT, submit, out_syncobj, BAD_HANDLE, ENOENT);
	REJECT(uapi, SUBMIT, submit, out_point, 1, EINVAL);
}

static void expect_cmd(struct uapi *uapi, const char *what, struct drm_edgpu_cmd *cmd, int error)
{
	struct drm_edgpu_submit submit = { .cmds = (uintptr_t)cmd, .num_cmds = 1 };

	expect(uapi, what, DRM_IOCTL_EDGPU_SUBMIT, &submit, error);
}

#define REJECT_CMD(uapi, good, field, bad, error) do { \
	struct drm_edgpu_cmd cmd_ = (good); \
	cmd_.field = (bad); \
	expect_cmd(uapi, #good " with " #field " = " #bad, &cmd_, error); \
} while (0)

static void reject_copy(struct uapi *uapi)
{
	struct drm_edgpu_cmd copy = {
		.op = EDGPU_CMD_COPY,
		.src_handle = uapi->any.handle,
		.dst_handle = uapi->other.handle,
		.src_offset = PAGE,
		.dst_offset = PAGE,
		.len = PAGE,
	};

	REJECT_CMD(uapi, copy, op, 0, EINVAL);
	REJECT_CMD(uapi, copy, op, 4, EINVAL);
	REJECT_CMD(uapi, copy, op, UINT32_MAX, EINVAL);
	REJECT_CMD(uapi, copy, pad, 1, EINVAL);
	REJECT_CMD(uapi, copy, value, 1, EINVAL);
	REJECT_CMD(uapi, copy, src_handle, BAD_HANDLE, ENOENT);
	REJECT_CMD(uapi, copy, dst_handle, BAD_HANDLE, ENOENT);
	REJECT_CMD(uapi, copy, len, 0, EINVAL);
	REJECT_CMD(uapi, copy, len, SIZE - PAGE + 1, EINVAL);
	REJECT_CMD(uapi, copy, len, UINT64_MAX, EINVAL);
	REJECT_CMD(uapi, copy, src_offset, SIZE - PAGE + 1, EINVAL);
	REJECT_CMD(uapi, copy, src_offset, UINT64_MAX - PAGE + 1, EINVAL);
	REJECT_CMD(uapi, copy, dst_offset, SIZE - PAGE + 1, EINVAL);
	REJECT_CMD(uapi, copy, dst_offset, UINT64_MAX, EINVAL);
	/* Onto itself, by all, and by a byte at either end. */
	copy.dst_handle = copy.src_handle;
	REJECT_CMD(uapi, copy, dst_offset, PAGE, EINVAL);
	REJECT_CMD(uapi, copy, dst_offset, 1, EINVAL);
	REJECT_CMD(uapi, copy, dst_offset, 2 * PAGE - 1, EINVAL);
}

static void reject_fill_and_checksum(struct uapi *uapi)
{
	struct drm_edgpu_cmd fill = {
		.op = EDGPU_CMD_FILL,
		.dst_handle = uapi->any.handle,
		.len = PAGE,
	};
	struct drm_edgpu_cmd checksum = {
		.op = EDGPU_CMD_CHECKSUM,
		.src_handle = uapi->any.handle,
		.dst_handle = uapi->other.handle,
		.len = SIZE,
	};

	REJECT_CMD(uapi, fill, src_handle, uapi->other.handle, EINVAL);
	REJECT_CMD(uapi, fill, src_offset, 8, EINVAL);
	REJECT_CMD(uapi, fill, dst_offset, 4, EINVAL);
	REJECT_CMD(uapi, fill, len, PAGE + 4, EINVAL);
	REJECT_CMD(uapi, fill, len, SIZE + 8, EINVAL);

	REJECT_CMD(uapi, checksum, src_offset, 1, EINVAL);
	REJECT_CMD(uapi, checksum, len, EDGPU_MAX_CHECKSUM_LEN + 1, EINVAL);
	REJECT_CMD(uapi, checksum, dst_offset, 4, EINVAL);
	REJECT_CMD(uapi, checksum, dst_offset, SIZE, EINVAL);
	REJECT_CMD(uapi, checksum, dst_handle, 0, ENOENT);
}

static void expect_no_mmap(struct uapi *uapi, const char *what, off_t offset, int flags)
{
	void *data = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, flags, uapi->gpu.fd, offset);

	uapi->cases++;
	if (data != MAP_FAILED) {
		munmap(data, SIZE);
		report_mismatch("%s: succeeded", what);
	}
}

static bool reject_other(struct uapi *uapi)
{
	uint64_t offset;
	int unknown = 0;

	expect(uapi, "unknown ioctl", DRM_IOWR(DRM_COMMAND_BASE + 0x20, int), &unknown, EINVAL);
	if (!gpu_mmap_offset(&uapi->gpu, &uapi->any, &offset))
		return false;
	expect_no_mmap(uapi, "mmap of no object", 0, MAP_SHARED);
	expect_no_mmap(uapi, "mmap past the end", (off_t)offset + PAGE, MAP_SHARED);
	expect_no_mmap(uapi, "private mmap", (off_t)offset, MAP_PRIVATE);
	return true;
}

/* ---- Good commands, against a model ---- */

/* Now and then, an object changes its place, or all leave memory. */
static bool shuffle(struct uapi *uapi, const struct object *object)
{
	if (!random_below(&uapi->random, 16) && !driver_evict(&uapi->gpu))
		return false;
	switch (random_below(&uapi->random, 4)) {
	case 0:
		return gpu_move(&uapi->gpu, object, EDGPU_PLACEMENT_VRAM);
	case 1:
		return gpu_move(&uapi->gpu, object, EDGPU_PLACEMENT_SYSTEM);
	default:
		return true;
	}
}

static void make_command(struct uapi *uapi, struct drm_edgpu_cmd *cmd)
{
	*cmd = (struct drm_edgpu_cmd) {
		.op = EDGPU_CMD_COPY + (uint32_t)random_below(&uapi->random, 3),
		.src_handle = uapi->any.handle,
		.dst_handle = uapi->other.handle,
	};
	switch (cmd->op) {
	case EDGPU_CMD_COPY:
		cmd->len = 1 + random_below(&uapi->random, SIZE);
		cmd->src_offset = random_below(&uapi->random, SIZE - cmd->len + 1);
		cmd->dst_offset = random_below(&uapi->random, SIZE - cmd->len + 1);
		break;
	case EDGPU_CMD_FILL:
		cmd->src_handle = 0;
		cmd->len = 8 + random_below(&uapi->random, SIZE / 8) * 8;
		cmd->dst_offset = random_below(&uapi->random, (SIZE - cmd->len) / 8 + 1) * 8;
		cmd->value = random_next(&uapi->random);
		break;
	case EDGPU_CMD_CHECKSUM:
		cmd->len = XXH64_STRIPE + random_below(&uapi->random, SIZE / XXH64_STRIPE) * XXH64_STRIPE;
		cmd->src_offset = random_below(&uapi->random, SIZE - cmd->len + 1);
		cmd->dst_offset = random_below(&uapi->random, SIZE / 8) * 8;
		cmd->value = random_next(&uapi->random);
		break;
	}
}

static uint64_t checksum_of(const char *data, uint64_t len, uint64_t seed)
{
	struct xxh64 hash;
	uint64_t word;

	xxh64_init(&hash, seed);
	for (uint64_t at = 0; at < len; at += 8) {
		memcpy(&word, data + at, 8);
		hash.lane[at / 8 % 4] = xxh64_round(hash.lane[at / 8 % 4], word);
	}
	hash.bytes = len;
	return xxh64_digest(&hash);
}

static void model_command(const struct drm_edgpu_cmd *cmd, const char *src, char *dst)
{
	uint64_t sum;

	switch (cmd->op) {
	case EDGPU_CMD_COPY:
		memcpy(dst + cmd->dst_offset, src + cmd->src_offset, cmd->len);
		break;
	case EDGPU_CMD_FILL:
		for (uint64_t at = 0; at < cmd->len; at += 8)
			memcpy(dst + cmd->dst_offset + at, &cmd->value, 8);
		break;
	case EDGPU_CMD_CHECKSUM:
		sum = checksum_of(src + cmd->src_offset, cmd->len, cmd->value);
		memcpy(dst + cmd->dst_offset, &sum, 8);
		break;
	}
}

/* Whether the driver's object is as the model has it. */
static bool compare(const struct object *object, const char *data, const char *model, const char *what,
		    unsigned int after)
{
	BUS_ERROR_GUARD;

	if (bus_error())
		return fail("SIGBUS at the %s of random commands", what);
	if (memcmp(data, model, object->size))
		report_mismatch("after %u random commands the %s is wrong", after, what);
	return true;
}

static bool run_commands(struct uapi *uapi, const char *src, const char *dst)
{
	for (unsigned int i = 0; i < RANDOM_COMMANDS; i++) {
		unsigned int engine = (unsigned int)random_below(&uapi->random, uapi->gpu.engines);
		struct drm_edgpu_cmd cmd;

		make_command(uapi, &cmd);
		model_command(&cmd, uapi->source, uapi->model);
		if (!shuffle(uapi, &uapi->any) || !shuffle(uapi, &uapi->other) ||
		    !gpu_submit(&uapi->gpu, engine, &cmd, 1))
			return false;
		uapi->cases++;
		/* Not every time, so that engines have to wait for each other. */
		if (random_below(&uapi->random, 3))
			continue;
		if (!gpu_wait(&uapi->gpu, &uapi->other) ||
		    !compare(&uapi->other, dst, uapi->model, "destination", i + 1))
			return false;
		if (report_mismatches())
			return true;
	}
	return gpu_wait(&uapi->gpu, &uapi->other) &&
	       compare(&uapi->other, dst, uapi->model, "destination", RANDOM_COMMANDS) &&
	       compare(&uapi->any, src, uapi->source, "source", RANDOM_COMMANDS);
}

/* With a fresh destination of the given caching, and new content of the source. */
static bool random_commands(struct uapi *uapi, uint32_t caching)
{
	void *src, *dst;

	memset(uapi->model, 0, SIZE);
	pattern_write(uapi->source, SIZE, pattern_key(uapi->seed, 1, caching), 0);
	return gpu_create(&uapi->gpu, &uapi->other, SIZE, ANYWHERE, caching) &&
	       gpu_map(&uapi->gpu, &uapi->any, &src) && gpu_map(&uapi->gpu, &uapi->other, &dst) &&
	       gpu_pwrite(&uapi->gpu, &uapi->any, 0, uapi->source, SIZE) &&
	       compare(&uapi->other, dst, uapi->model, "new destination", 0) &&
	       run_commands(uapi, src, dst);
}

static bool info(struct uapi *uapi)
{
	struct drm_edgpu_gem_info vram, there, gone;

	if (!gpu_move(&uapi->gpu, &uapi->any, EDGPU_PLACEMENT_VRAM) ||
	    !gpu_info(&uapi->gpu, &uapi->any, &vram) ||
	    !gpu_move(&uapi->gpu, &uapi->any, EDGPU_PLACEMENT_SYSTEM) ||
	    !gpu_info(&uapi->gpu, &uapi->any, &there) || !driver_evict(&uapi->gpu) ||
	    !gpu_info(&uapi->gpu, &uapi->any, &gone))
		return false;

	uapi->cases += 3;
	if (vram.placement != EDGPU_PLACEMENT_VRAM || vram.size != SIZE || !vram.populated)
		report_mismatch("GEM_INFO of an object in VRAM");
	if (there.placement != EDGPU_PLACEMENT_SYSTEM || !there.populated)
		report_mismatch("GEM_INFO of an object in system memory");
	if (gone.placement != EDGPU_PLACEMENT_SYSTEM || gone.populated)
		report_mismatch("GEM_INFO of an object swapped out");
	return true;
}

static void expect_read(struct uapi *uapi, const char *what, int disk, void *data, int error)
{
	ssize_t len = pread(disk, data, PAGE, 0);
	int got = len < 0 ? errno : 0;

	uapi->cases++;
	if (got != error || (!error && len != PAGE))
		report_mismatch("%s: %zd bytes (%s)", what, len, strerrorname_np(got));
}

/*
 * A disk transfers to struct pages. A mapping of an object has page frames instead, so that O_DIRECT
 * is refused, wherever the object is, and reading by way of the page cache is not.
 */
static bool direct_io(struct uapi *uapi)
{
	static const uint32_t placements[] = { EDGPU_PLACEMENT_SYSTEM, EDGPU_PLACEMENT_VRAM };
	static _Alignas(PAGE) char page[PAGE];
	int direct = open(DISK, O_RDONLY | O_DIRECT | O_CLOEXEC);
	int cached = open(DISK, O_RDONLY | O_CLOEXEC);
	void *data;

	/* Not every machine has a disk. */
	if (direct < 0 || cached < 0)
		return errno == ENOENT || fail("open " DISK ": %s", strerrorname_np(errno));
	expect_read(uapi, "O_DIRECT into ordinary memory", direct, page, 0);
	if (!gpu_map(&uapi->gpu, &uapi->any, &data))
		return false;
	for (unsigned int i = 0; i < 2; i++) {
		if (!gpu_move(&uapi->gpu, &uapi->any, placements[i]))
			return false;
		memset(data, ~page[0], PAGE);
		expect_read(uapi, "O_DIRECT into a mapping", direct, data, EFAULT);
		expect_read(uapi, "read into a mapping", cached, data, 0);
		if (memcmp(data, page, PAGE))
			report_mismatch("a mapping has not what was read into it");
	}
	close(direct);
	close(cached);
	return gpu_unmap(&uapi->any, data);
}

static void expect_move(struct uapi *uapi, const char *what, void *data, int error)
{
	int node = 0, status = -EINTR;

	if (syscall(SYS_move_pages, 0, 1ul, &data, &node, &status, MPOL_MF_MOVE))
		report_mismatch("move_pages() of %s: %s", what, strerrorname_np(errno));
	else if (status < 0 ? -status != error : error)
		report_mismatch("move_pages() of %s: status %d", what, status);
	uapi->cases++;
}

/* Nor do those find pages there who would move them to a place of their own choice. */
static bool migration(struct uapi *uapi)
{
	static _Alignas(PAGE) char memory[PAGE];
	char *data;

	memset(memory, 1, PAGE);
	expect_move(uapi, "ordinary memory", memory, 0);
	if (!gpu_move(&uapi->gpu, &uapi->any, EDGPU_PLACEMENT_SYSTEM) ||
	    !gpu_map(&uapi->gpu, &uapi->any, (void **)&data))
		return false;
	memset(data, 1, SIZE);
	expect_move(uapi, "a mapping", data, EFAULT);
	return gpu_unmap(&uapi->any, data);
}

/* What is evicted comes back; what is not needed, and is needed again before anybody wanted its memory, was kept. */
static bool eviction(struct uapi *uapi)
{
	bool can = uapi->gpu.backend == EDGPU_PARAM_BACKEND_SHMEM;
	uint64_t bitmap = 0;
	struct drm_edgpu_gem_evict evict = { .handle = uapi->system.handle, .size = PAGE };
	struct drm_edgpu_gem_madvise madvise = {
		.handle = uapi->system.handle,
		.advice = EDGPU_MADVISE_DONTNEED,
		.flags = EDGPU_MADVISE_RECREATE,
		.value = UINT64_MAX,
	};
	struct drm_edgpu_gem_discarded discarded = {
		.handle = uapi->system.handle,
		.pages = SIZE / PAGE,
		.bitmap = (uintptr_t)&bitmap,
	};
	char data[SIZE];
	size_t offset;

	pattern_write(data, SIZE, pattern_key(uapi->seed, 2, 0), 0);
	if (!gpu_pwrite(&uapi->gpu, &uapi->system, 0, data, SIZE))
		return false;
	expect(uapi, "GEM_EVICT of a page", DRM_IOCTL_EDGPU_GEM_EVICT, &evict, can ? 0 : EOPNOTSUPP);
	if (can && (!evict.size || evict.evicted < evict.size || evict.evicted > SIZE))
		report_mismatch("GEM_EVICT: %" PRIu64 " bytes, %" PRIu64 " in all",
		       (uint64_t)evict.size, (uint64_t)evict.evicted);
	memset(data, 0, SIZE);
	if (!gpu_pread(&uapi->gpu, &uapi->system, 0, data, SIZE))
		return false;
	if (!pattern_matches(data, SIZE, pattern_key(uapi->seed, 2, 0), &offset))
		report_mismatch("wrong content at offset %zu after GEM_EVICT", offset);

	expect(uapi, "GEM_MADVISE dontneed", DRM_IOCTL_EDGPU_GEM_MADVISE, &madvise,
	       can ? 0 : EOPNOTSUPP);
	madvise = (struct drm_edgpu_gem_madvise) { .handle = uapi->system.handle };
	expect(uapi, "GEM_MADVISE willneed", DRM_IOCTL_EDGPU_GEM_MADVISE, &madvise,
	       can ? 0 : EOPNOTSUPP);
	expect(uapi, "GEM_DISCARDED", DRM_IOCTL_EDGPU_GEM_DISCARDED, &discarded, 0);
	if ((can && !madvise.retained) || discarded.discarded || bitmap)
		report_mismatch("pages are lost that nobody wanted");
	return true;
}

static bool syncobjs(struct uapi *uapi)
{
	struct drm_edgpu_cmd fill = {
		.op = EDGPU_CMD_FILL,
		.dst_handle = uapi->any.handle,
		.len = SIZE,
	};
	struct drm_edgpu_submit submit = { .cmds = (uintptr_t)&fill, .num_cmds = 1 };
	struct drm_syncobj_wait wait = {
		.handles = (uintptr_t)&uapi->syncobj,
		.count_handles = 1,
		.timeout_nsec = INT64_MAX,
	};

	submit.out_syncobj = uapi->syncobj;
	expect(uapi, "out_syncobj", DRM_IOCTL_EDGPU_SUBMIT, &submit, 0);
	expect(uapi, "wait for out_syncobj", DRM_IOCTL_SYNCOBJ_WAIT, &wait, 0);
	submit.in_syncobj = uapi->syncobj;
	submit.out_point = 7;
	expect(uapi, "in_syncobj and a timeline", DRM_IOCTL_EDGPU_SUBMIT, &submit, 0);
	submit.in_point = 7;
	submit.out_point = 8;
	expect(uapi, "in_point", DRM_IOCTL_EDGPU_SUBMIT, &submit, 0);
	return true;
}

static bool with_vram_object(struct uapi *uapi, const struct object *object, uint64_t index,
			     bool write)
{
	BUS_ERROR_GUARD;
	uint64_t key = pattern_key(uapi->seed, VRAM_KEYS + index, 0);
	size_t offset;
	void *data;

	if (!gpu_map(&uapi->gpu, object, &data))
		return false;
	uapi->cases++;
	if (bus_error())
		return fail("VRAM object %" PRIu64 ": SIGBUS", index);
	if (write)
		pattern_write(data, object->size, key, 0);
	else if (!pattern_matches(data, object->size, key, &offset))
		report_mismatch("VRAM object %" PRIu64 ": wrong content at offset %zu", index, offset);
	return gpu_unmap(object, data);
}

/* Half as much again as there is VRAM: most of it where the CPU does not see it, or evicted. */
static bool crowded_vram(struct uapi *uapi)
{
	uint64_t count = uapi->gpu.vram_size / VRAM_OBJECT * 3 / 2;
	struct object *objects = calloc(count, sizeof(*objects));
	bool ok = objects || fail("calloc: %s", strerror(errno));

	for (uint64_t i = 0; ok && i < count; i++)
		ok = gpu_create(&uapi->gpu, &objects[i], VRAM_OBJECT, EDGPU_PLACEMENT_VRAM,
				EDGPU_CACHING_CACHED) &&
		     with_vram_object(uapi, &objects[i], i, true);
	for (uint64_t i = 0; ok && i < count; i++)
		ok = gpu_move(&uapi->gpu, &objects[i], EDGPU_PLACEMENT_VRAM) &&
		     with_vram_object(uapi, &objects[i], i, false);
	free(objects);
	return ok;
}

static bool set_up(struct uapi *uapi)
{
	struct drm_syncobj_create create = { 0 };

	if (!gpu_open(&uapi->gpu) ||
	    !gpu_create(&uapi->gpu, &uapi->any, SIZE, ANYWHERE, EDGPU_CACHING_CACHED) ||
	    !gpu_create(&uapi->gpu, &uapi->other, SIZE, ANYWHERE, EDGPU_CACHING_CACHED) ||
	    !gpu_create(&uapi->gpu, &uapi->system, SIZE, EDGPU_PLACEMENT_SYSTEM,
			EDGPU_CACHING_CACHED))
		return false;
	if (ioctl(uapi->gpu.fd, DRM_IOCTL_SYNCOBJ_CREATE, &create))
		return fail("SYNCOBJ_CREATE: %s", strerror(errno));
	uapi->syncobj = create.handle;
	return true;
}

static bool run(struct uapi *uapi)
{
	if (!set_up(uapi))
		return false;
	reject_single(uapi);
	reject_eviction(uapi);
	reject_submit(uapi);
	reject_copy(uapi);
	reject_fill_and_checksum(uapi);
	if (!reject_svm(uapi) || !svm_of_odd_memory(uapi) || !svm_of_pipe(uapi) || !svm_of_userfault(uapi) ||
	    !reject_other(uapi) || !info(uapi) || !direct_io(uapi) ||
	    !migration(uapi) || !eviction(uapi) || !random_commands(uapi, EDGPU_CACHING_CACHED) ||
	    !random_commands(uapi, EDGPU_CACHING_WRITE_COMBINED) ||
	    !random_commands(uapi, EDGPU_CACHING_UNCACHED) || !syncobjs(uapi))
		return false;
	/* Long, and of no more use once something is wrong. */
	return report_mismatches() || crowded_vram(uapi);
}

int uapi_main(int argc, char **argv)
{
	static struct uapi uapi;
	const struct option_spec specs[] = {
		{ .name = "seed", .value = &uapi.seed },
	};

	if (!options_parse("uapi", specs, 1, argc, argv))
		return EXIT_USAGE;
	uapi.random = random_seeded(uapi.seed, 0);
	run(&uapi);
	report_open();
	report_number("cases", uapi.cases);
	return report_close();
}
