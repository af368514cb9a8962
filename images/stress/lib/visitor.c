#define _GNU_SOURCE
#include "lib/visitor.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/bus_error.h"
#include "lib/failure.h"
#include "lib/report.h"
#include "lib/thread.h"

#define PAGE 4096
#define PAGES 64
#define PAUSE_US 10000
#define DETACH_TRIES 3000

static int again(int fd, unsigned long request, void *args)
{
	int ret;

	do {
		ret = ioctl(fd, request, args);
	} while (ret && (errno == EINTR || errno == EAGAIN));
	return ret;
}

/* What was attached is pinned until a worker of the kernel's has detached it. */
static bool back_to_vram(struct visitor *visitor)
{
	struct drm_edgpu_gem_move move = {
		.handle = visitor->object.handle,
		.placement = EDGPU_PLACEMENT_VRAM,
	};

	for (unsigned int tries = 0; again(visitor->gpu->fd, DRM_IOCTL_EDGPU_GEM_MOVE, &move); tries++) {
		if (errno != EINVAL || tries == DETACH_TRIES)
			return fail("GEM_MOVE: %s", strerrorname_np(errno));
		usleep(PAUSE_US);
	}
	return true;
}

static bool attach_once(struct visitor *visitor)
{
	struct drm_prime_handle exported = { .handle = visitor->object.handle, .flags = DRM_CLOEXEC };
	struct drm_prime_handle imported = { 0 };
	struct object other;

	if (!back_to_vram(visitor))
		return false;
	if (again(visitor->gpu->fd, DRM_IOCTL_PRIME_HANDLE_TO_FD, &exported))
		return fail("PRIME_HANDLE_TO_FD: %s", strerrorname_np(errno));
	imported.fd = exported.fd;
	if (again(visitor->second->fd, DRM_IOCTL_PRIME_FD_TO_HANDLE, &imported)) {
		close(exported.fd);
		return fail("PRIME_FD_TO_HANDLE: %s", strerrorname_np(errno));
	}
	close(exported.fd);
	other = (struct object){ .handle = imported.handle, .size = visitor->object.size };
	return gpu_destroy(visitor->second, &other);
}

/* A word of each page in turn, which has to be there the next time. */
static bool debug_once(struct visitor *visitor, int fd)
{
	volatile uint64_t *word = visitor->words + visitor->rounds % PAGES * (PAGE / 8);
	uint64_t old = visitor->rounds < PAGES ? 0 : visitor->rounds - PAGES + 1;
	uint64_t found, new = visitor->rounds + 1;
	off_t where = (off_t)(uintptr_t)word;

	if (pread(fd, &found, sizeof(found), where) != sizeof(found) ||
	    pwrite(fd, &new, sizeof(new), where) != sizeof(new))
		return fail("/proc/self/mem: %s", strerrorname_np(errno));
	if (found != old)
		return fail("a debugger reads %" PRIu64 " instead of %" PRIu64, found, old);
	return *word == new || fail("what a debugger has written is not there");
}

static bool file_once(struct visitor *visitor, int fd)
{
	volatile uint64_t *words = visitor->words + visitor->rounds % PAGES * (PAGE / 8);
	uint64_t found[PAGE / 8];
	struct stat stat;

	words[0] = visitor->rounds;
	if (fstat(fd, &stat) || pwrite(fd, (const void *)words, PAGE, stat.st_size - PAGE) != PAGE ||
	    pread(fd, found, PAGE, stat.st_size - PAGE) != PAGE)
		return fail("%s: %s", VISITOR_FILE, strerrorname_np(errno));
	return found[0] == visitor->rounds ||
	       fail("%s has %" PRIu64 " instead of %" PRIu64, VISITOR_FILE, found[0], visitor->rounds);
}

static bool visit_once(struct visitor *visitor, int fd)
{
	switch (visitor->kind) {
	case VISITOR_ATTACHES:
		return attach_once(visitor);
	case VISITOR_DEBUGS:
		return debug_once(visitor, fd);
	default:
		return file_once(visitor, fd);
	}
}

static void *visit(void *argument)
{
	static const char *const files[VISITOR_KINDS] = {
		[VISITOR_ATTACHES] = "/dev/null",
		[VISITOR_DEBUGS] = "/proc/self/mem",
		[VISITOR_FILES] = VISITOR_FILE,
	};
	struct visitor *visitor = argument;
	int fd = open(files[visitor->kind], O_RDWR | O_CLOEXEC);

	if (fd < 0) {
		report_mismatch("%s: %s", files[visitor->kind], strerrorname_np(errno));
		return NULL;
	}
	BUS_ERROR_GUARD;

	if (bus_error()) {
		report_mismatch("%s: SIGBUS in round %" PRIu64, files[visitor->kind], visitor->rounds);
		return NULL;
	}
	for (; !atomic_load(visitor->stop); visitor->rounds++) {
		if (!visit_once(visitor, fd)) {
			report_mismatch("visitor, round %" PRIu64 ": %s", visitor->rounds, failure());
			break;
		}
		usleep(PAUSE_US);
	}
	close(fd);
	return NULL;
}

bool visitor_start(struct visitor *visitor)
{
	if (!gpu_create(visitor->gpu, &visitor->object, (size_t)PAGES * PAGE,
			EDGPU_PLACEMENT_VRAM | EDGPU_PLACEMENT_SYSTEM, 0) ||
	    !gpu_move(visitor->gpu, &visitor->object, EDGPU_PLACEMENT_VRAM) ||
	    !gpu_map(visitor->gpu, &visitor->object, (void **)&visitor->words))
		return false;
	return thread_start(&visitor->thread, visit, visitor);
}

void visitor_join(struct visitor *visitor)
{
	if (visitor->thread)
		pthread_join(visitor->thread, NULL);
}
