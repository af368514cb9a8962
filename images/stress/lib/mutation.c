#include "mutation.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "edgpu_drm.h"
#include "failure.h"

#define PAGE 4096
#define MAX_HANDLES 4096
/* Of an object: enough for those of the controls. */
#define MAX_CONTENT (4 * 1024 * 1024)

int __real_ioctl(int fd, unsigned long request, ...);
int __wrap_ioctl(int fd, unsigned long request, ...);

static int (*mutated)(int fd, unsigned long request, void *args);
/* The only one that is concerned, or 0 for all. */
static uint32_t chosen;

static bool concerns(uint32_t handle)
{
	return !chosen || chosen == handle;
}

/* ---- Jobs that are done without having been run ---- */

static int submit_without(int fd, unsigned long request, void *args, uint32_t op)
{
	struct drm_edgpu_submit submit;
	struct drm_edgpu_cmd cmds[EDGPU_MAX_CMDS];
	const struct drm_edgpu_cmd *from;
	uint32_t kept = 0;

	if (request != DRM_IOCTL_EDGPU_SUBMIT)
		return __real_ioctl(fd, request, args);
	submit = *(struct drm_edgpu_submit *)args;
	from = (const struct drm_edgpu_cmd *)(uintptr_t)submit.cmds;
	for (uint32_t i = 0; i < submit.num_cmds; i++)
		if (from[i].op != op)
			cmds[kept++] = from[i];
	submit.cmds = (uintptr_t)cmds;
	submit.num_cmds = kept;
	return kept ? __real_ioctl(fd, request, &submit) : 0;
}

static int no_copy(int fd, unsigned long request, void *args)
{
	return submit_without(fd, request, args, EDGPU_CMD_COPY);
}

static int no_fill(int fd, unsigned long request, void *args)
{
	return submit_without(fd, request, args, EDGPU_CMD_FILL);
}

static int no_checksum(int fd, unsigned long request, void *args)
{
	return submit_without(fd, request, args, EDGPU_CMD_CHECKSUM);
}

static int no_job(int fd, unsigned long request, void *args)
{
	return request == DRM_IOCTL_EDGPU_SUBMIT ? 0 : __real_ioctl(fd, request, args);
}

/*
 * An object of which the memory is recycled, and then not filled: what the first one with its handle was filled with.
 */
static int stale_fill(int fd, unsigned long request, void *args)
{
	static uint64_t values[MAX_HANDLES];
	static bool filled[MAX_HANDLES];
	struct drm_edgpu_submit *submit = args;
	struct drm_edgpu_cmd *cmds;

	if (request != DRM_IOCTL_EDGPU_SUBMIT)
		return __real_ioctl(fd, request, args);
	cmds = (struct drm_edgpu_cmd *)(uintptr_t)submit->cmds;
	for (uint32_t i = 0; i < submit->num_cmds; i++) {
		uint32_t handle = cmds[i].dst_handle;

		if (cmds[i].op != EDGPU_CMD_FILL || handle >= MAX_HANDLES)
			continue;
		if (filled[handle])
			cmds[i].value = values[handle];
		filled[handle] = true;
		values[handle] = cmds[i].value;
	}
	return __real_ioctl(fd, request, args);
}

/* ---- Content that is lost, or comes back from the past ---- */

static int rw(int fd, unsigned long request, uint32_t handle, void *data, uint64_t offset, uint64_t len)
{
	struct drm_edgpu_gem_rw args = {
		.handle = handle,
		.offset = offset,
		.len = len,
		.data = (uintptr_t)data,
	};

	return __real_ioctl(fd, request, &args);
}

static uint64_t size_of(int fd, uint32_t handle)
{
	struct drm_edgpu_gem_info info = { .handle = handle };

	return __real_ioctl(fd, DRM_IOCTL_EDGPU_GEM_INFO, &info) ? 0 : info.size;
}

/* Every structure of these begins with the handle. */
static uint32_t handle_of(unsigned long request, const void *args)
{
	switch (request) {
	case DRM_IOCTL_EDGPU_GEM_MOVE:
	case DRM_IOCTL_EDGPU_GEM_INFO:
	case DRM_IOCTL_EDGPU_GEM_EVICT:
		return *(const uint32_t *)args;
	default:
		return 0;
	}
}

/* What an object had when GEM_INFO was asked for the last time: as if a mapping, or a copy, had been kept. */
static int stale(int fd, unsigned long request, void *args)
{
	static char *kept[MAX_HANDLES];
	uint32_t handle = request == DRM_IOCTL_EDGPU_GEM_INFO ? handle_of(request, args) : 0;
	uint64_t size = handle && handle < MAX_HANDLES && concerns(handle) ? size_of(fd, handle) : 0;
	char *now;
	int ret;

	if (!size || size > MAX_CONTENT)
		return __real_ioctl(fd, request, args);
	now = malloc(size);
	if (!now || rw(fd, DRM_IOCTL_EDGPU_GEM_PREAD, handle, now, 0, size)) {
		free(now);
		return __real_ioctl(fd, request, args);
	}
	ret = __real_ioctl(fd, request, args);
	if (kept[handle])
		rw(fd, DRM_IOCTL_EDGPU_GEM_PWRITE, handle, kept[handle], 0, size);
	free(kept[handle]);
	kept[handle] = now;
	return ret;
}

/* A page comes back as zeroes. */
static int lost_page(int fd, unsigned long request, void *args)
{
	static char zeroes[PAGE];
	uint32_t handle = handle_of(request, args);
	int ret = __real_ioctl(fd, request, args);
	uint64_t size;

	if (ret || !handle || !concerns(handle))
		return ret;
	size = size_of(fd, handle);
	rw(fd, DRM_IOCTL_EDGPU_GEM_PWRITE, handle, zeroes, size / PAGE / 2 * PAGE, PAGE);
	return ret;
}

static int wrong_read(int fd, unsigned long request, void *args)
{
	int ret = __real_ioctl(fd, request, args);
	const struct drm_edgpu_gem_rw *read = args;

	if (request == DRM_IOCTL_EDGPU_GEM_PREAD && !ret)
		*(char *)(uintptr_t)read->data ^= 1;
	return ret;
}

/* ---- Answers that are not true ---- */

static int no_move(int fd, unsigned long request, void *args)
{
	return request == DRM_IOCTL_EDGPU_GEM_MOVE ? 0 : __real_ioctl(fd, request, args);
}

static int no_evict(int fd, unsigned long request, void *args)
{
	static uint64_t evicted[MAX_HANDLES];
	struct drm_edgpu_gem_evict *evict = args;
	uint64_t left, size;

	if (request != DRM_IOCTL_EDGPU_GEM_EVICT || evict->handle >= MAX_HANDLES)
		return __real_ioctl(fd, request, args);
	size = size_of(fd, evict->handle);
	if (evicted[evict->handle] == size)
		evicted[evict->handle] = 0;
	left = size - evicted[evict->handle];
	if (!evict->size || evict->size > left)
		evict->size = left < size / 16 || evict->size ? left : size / 16;
	evict->evicted = evicted[evict->handle] += evict->size;
	return 0;
}

static int nothing_discarded(int fd, unsigned long request, void *args)
{
	int ret = __real_ioctl(fd, request, args);
	struct drm_edgpu_gem_discarded *discarded = args;

	if (request == DRM_IOCTL_EDGPU_GEM_DISCARDED && !ret) {
		memset((void *)(uintptr_t)discarded->bitmap, 0, (discarded->pages + 63) / 64 * 8);
		discarded->discarded = 0;
	}
	return ret;
}

static int again(int fd, unsigned long request, void *args)
{
	if (request != DRM_IOCTL_EDGPU_GEM_MOVE)
		return __real_ioctl(fd, request, args);
	errno = EAGAIN;
	return -1;
}

/* Whatever the arguments are, they are fine. */
static int lenient(int fd, unsigned long request, void *args)
{
	int ret = __real_ioctl(fd, request, args);

	return ret && errno == EINVAL ? 0 : ret;
}

/* ---- */

static const struct {
	const char *name;
	int (*ioctl)(int fd, unsigned long request, void *args);
} mutations[] = {
	{ "no-job", no_job },
	{ "no-copy", no_copy },
	{ "no-fill", no_fill },
	{ "no-checksum", no_checksum },
	{ "stale-fill", stale_fill },
	{ "stale", stale },
	{ "lost-page", lost_page },
	{ "wrong-read", wrong_read },
	{ "no-move", no_move },
	{ "no-evict", no_evict },
	{ "nothing-discarded", nothing_discarded },
	{ "again", again },
	{ "lenient", lenient },
};

bool mutation_init(void)
{
	const char *name = getenv("EDGPU_STRESS_MUTATION");
	size_t len;

	if (!name)
		return true;
	len = strcspn(name, ":");
	if (name[len])
		chosen = (uint32_t)strtoul(name + len + 1, NULL, 10);
	for (size_t i = 0; i < sizeof(mutations) / sizeof(*mutations); i++)
		if (strlen(mutations[i].name) == len && !strncmp(mutations[i].name, name, len))
			mutated = mutations[i].ioctl;
	return mutated || fail("EDGPU_STRESS_MUTATION: there is no mutation %s", name);
}

int __wrap_ioctl(int fd, unsigned long request, ...)
{
	void *args;
	va_list rest;

	va_start(rest, request);
	args = va_arg(rest, void *);
	va_end(rest);
	return mutated ? mutated(fd, request, args) : __real_ioctl(fd, request, args);
}
