/*
 * nth: each thing that the driver can be asked for, with its first allocation
 * refused, then with its second, and so on until none was left to refuse. It may
 * fail then, for want of memory, and must leave everything as it was: the content
 * of the object, and no page held that was not.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/bus_error.h"
#include "lib/checksum.h"
#include "lib/driver_files.h"
#include "lib/failure.h"
#include "lib/faults.h"
#include "lib/gpu.h"
#include "lib/options.h"
#include "lib/pattern.h"
#include "lib/report.h"
#include "lib/swap.h"
#include "lib/udmabuf.h"
#include "programs/programs.h"

#define PAGE 4096
#define SIZE (12 * PAGE)
#define PART (4 * PAGE)
#define ANYWHERE (EDGPU_PLACEMENT_SYSTEM | EDGPU_PLACEMENT_VRAM)
#define RECREATED 0x5a5a5a5a5a5a5a5aULL
/* More allocations than anything here makes: one that never gets by is an error. */
#define MOST 4096
#define RECLAIM "/sys/fs/cgroup/memory.reclaim"

/* What has become of the object before the attempt. */
enum state {
	NEW,		/* no page yet */
	RESIDENT,	/* written to */
	PARTIAL,	/* and the first chunk let go of */
	EVICTED,	/* all of it */
	SWAPPED,	/* and gone to swap */
	IN_VRAM,
	DISCARDED,	/* not needed, and some lost */
	STATES
};

struct nth;

struct operation {
	const char *name;
	enum state state;
	/* The attempt: 0 or what errno says. */
	int (*act)(struct nth *nth);
	/* Of what it made, whether or not it worked. */
	bool (*undo)(struct nth *nth);
	/* Another object is in the way, in all of VRAM. */
	bool crowded;
};

struct nth {
	struct {
		uint64_t caching;
		uint64_t chunk;
		uint64_t lose;	/* control: a bit changes after a failure */
		uint64_t spare;	/* control: nothing is refused */
		uint64_t seed;
	} options;
	struct gpu gpu;
	struct checksum checksum;
	struct object object;
	char *data;
	uint64_t key;		/* of its content: each attempt has one of its own */
	uint64_t attempts;
	uint64_t expected;	/* checksum */
	uint64_t zeroes;	/* of nothing but zeroes */
	struct object crowd;
	uint32_t handle;	/* that an attempt made */
	int fd;
	uint32_t next_handle;	/* what it will be given, if it makes one */
	int next_fd;
	void *mapping;
	uint32_t in, out;	/* syncobjs; the first has signalled */
	int udmabuf;
	int reclaim;
	int evict;
	uint64_t base_pages;	/* that objects may hold after an attempt: those that stay */
	uint64_t refused;
	uint64_t failed;
	uint64_t verified;
	uint64_t untold;
	uint64_t discarded;	/* a bit for each page, as the driver has it now */
	uint64_t lost;		/* and before the attempt */
	char buffer[SIZE];
};

/* ---- What attempts make ---- */

/*
 * The kernel has done what it was asked for when it copies the answer, and if that
 * is what fails, EFAULT is all that the caller is told of a handle that is his.
 * The lowest free number it is.
 */
static bool foresee(struct nth *nth)
{
	struct object object;

	if (!gpu_create(&nth->gpu, &object, PAGE, EDGPU_PLACEMENT_SYSTEM, 0) ||
	    !gpu_destroy(&nth->gpu, &object))
		return false;
	nth->next_handle = object.handle;
	nth->next_fd = dup(nth->gpu.fd);
	return nth->next_fd >= 0 ? !close(nth->next_fd) :
				   fail("dup: %s", strerror(errno));
}

static uint32_t made_handle(struct nth *nth, int error, uint32_t told)
{
	struct drm_edgpu_gem_info args = { .handle = nth->next_handle };

	if (!error)
		return told;
	if (error != EFAULT || ioctl(nth->gpu.fd, DRM_IOCTL_EDGPU_GEM_INFO, &args))
		return 0;
	nth->untold++;
	return nth->next_handle;
}

static int made_fd(struct nth *nth, int error, int told)
{
	if (!error)
		return told;
	if (error != EFAULT || fcntl(nth->next_fd, F_GETFD) < 0)
		return -1;
	nth->untold++;
	return nth->next_fd;
}

/* ---- The attempts: raw, for they may fail ---- */

static int call(struct nth *nth, unsigned long request, void *args)
{
	return ioctl(nth->gpu.fd, request, args) ? errno : 0;
}

static int create_in(struct nth *nth, uint32_t placement)
{
	struct drm_edgpu_gem_create args = {
		.size = SIZE,
		.placement = placement,
		.caching = (uint32_t)nth->options.caching,
	};
	int error = call(nth, DRM_IOCTL_EDGPU_GEM_CREATE, &args);

	nth->handle = made_handle(nth, error, args.handle);
	return error;
}

static int create(struct nth *nth)
{
	return create_in(nth, EDGPU_PLACEMENT_SYSTEM);
}

static int create_vram(struct nth *nth)
{
	return create_in(nth, EDGPU_PLACEMENT_VRAM);
}

static int mmap_offset(struct nth *nth)
{
	struct drm_edgpu_gem_mmap_offset args = { .handle = nth->object.handle };

	return call(nth, DRM_IOCTL_EDGPU_GEM_MMAP_OFFSET, &args);
}

static int map(struct nth *nth)
{
	struct drm_edgpu_gem_mmap_offset args = { .handle = nth->object.handle };
	int error = call(nth, DRM_IOCTL_EDGPU_GEM_MMAP_OFFSET, &args);

	if (error)
		return error;
	nth->mapping = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, nth->gpu.fd,
			    (off_t)args.offset);
	if (nth->mapping != MAP_FAILED)
		return 0;
	nth->mapping = NULL;
	return errno;
}

/* A SIGBUS is the only way to say it. */
static int touch(struct nth *nth)
{
	BUS_ERROR_GUARD;

	if (bus_error())
		return ENOMEM;
	for (size_t at = 0; at < SIZE; at += PAGE)
		*(volatile char *)(nth->data + at);
	return 0;
}

static int rw(struct nth *nth, unsigned long request)
{
	struct drm_edgpu_gem_rw args = {
		.handle = nth->object.handle,
		.len = SIZE,
		.data = (uintptr_t)nth->buffer,
	};

	return call(nth, request, &args);
}

static int pread_all(struct nth *nth)
{
	return rw(nth, DRM_IOCTL_EDGPU_GEM_PREAD);
}

/* What is there already: so the content is the same however far it got. */
static int pwrite_all(struct nth *nth)
{
	pattern_write(nth->buffer, SIZE, nth->key, 0);
	return rw(nth, DRM_IOCTL_EDGPU_GEM_PWRITE);
}

static int submit_with(struct nth *nth, uint32_t in, uint32_t out)
{
	struct drm_edgpu_cmd cmd = {
		.op = EDGPU_CMD_CHECKSUM,
		.src_handle = nth->object.handle,
		.dst_handle = nth->checksum.results.handle,
		.len = SIZE,
	};
	struct drm_edgpu_submit args = {
		.cmds = (uintptr_t)&cmd,
		.num_cmds = 1,
		.in_syncobj = in,
		.out_syncobj = out,
	};

	return call(nth, DRM_IOCTL_EDGPU_SUBMIT, &args);
}

static int submit(struct nth *nth)
{
	return submit_with(nth, 0, 0);
}

static int submit_synced(struct nth *nth)
{
	return submit_with(nth, nth->in, nth->out);
}

static int wait_idle(struct nth *nth)
{
	struct drm_edgpu_wait args = { .handle = nth->object.handle, .timeout_ns = INT64_MAX };

	return call(nth, DRM_IOCTL_EDGPU_WAIT, &args);
}

static int info(struct nth *nth)
{
	struct drm_edgpu_gem_info args = { .handle = nth->object.handle };

	return call(nth, DRM_IOCTL_EDGPU_GEM_INFO, &args);
}

static int move(struct nth *nth, uint32_t placement)
{
	struct drm_edgpu_gem_move args = { .handle = nth->object.handle, .placement = placement };

	return call(nth, DRM_IOCTL_EDGPU_GEM_MOVE, &args);
}

static int move_in(struct nth *nth)
{
	return move(nth, EDGPU_PLACEMENT_VRAM);
}

static int move_out(struct nth *nth)
{
	return move(nth, EDGPU_PLACEMENT_SYSTEM);
}

static int evict(struct nth *nth)
{
	struct drm_edgpu_gem_evict args = { .handle = nth->object.handle, .size = SIZE };

	return call(nth, DRM_IOCTL_EDGPU_GEM_EVICT, &args);
}

static int evict_chunk(struct nth *nth)
{
	struct drm_edgpu_gem_evict args = { .handle = nth->object.handle, .size = PART };

	return call(nth, DRM_IOCTL_EDGPU_GEM_EVICT, &args);
}

static int evict_all(struct nth *nth)
{
	return write(nth->evict, "1", 1) < 0 ? errno : 0;
}

static int reclaim(struct nth *nth)
{
	char text[64];
	int len = snprintf(text, sizeof(text), "%d swappiness=max", 4 * SIZE);

	/* Less than that could be reclaimed: no failure. */
	return write(nth->reclaim, text, (size_t)len) < 0 && errno != EAGAIN ? errno : 0;
}

static int advise(struct nth *nth, uint32_t advice)
{
	struct drm_edgpu_gem_madvise args = {
		.handle = nth->object.handle,
		.advice = advice,
	};

	if (advice == EDGPU_MADVISE_DONTNEED) {
		args.flags = EDGPU_MADVISE_RECREATE;
		args.value = RECREATED;
	}
	return call(nth, DRM_IOCTL_EDGPU_GEM_MADVISE, &args);
}

static int dont_need(struct nth *nth)
{
	return advise(nth, EDGPU_MADVISE_DONTNEED);
}

static int will_need(struct nth *nth)
{
	return advise(nth, EDGPU_MADVISE_WILLNEED);
}

static int which_discarded(struct nth *nth)
{
	struct drm_edgpu_gem_discarded args = {
		.handle = nth->object.handle,
		.pages = SIZE / PAGE,
		.bitmap = (uintptr_t)&nth->discarded,
	};

	return call(nth, DRM_IOCTL_EDGPU_GEM_DISCARDED, &args);
}

static int export(struct nth *nth)
{
	struct drm_prime_handle args = { .handle = nth->object.handle, .flags = DRM_CLOEXEC };
	int error = call(nth, DRM_IOCTL_PRIME_HANDLE_TO_FD, &args);

	nth->fd = made_fd(nth, error, args.fd);
	return error;
}

static int import(struct nth *nth)
{
	struct drm_prime_handle args = { .fd = nth->udmabuf };
	int error = call(nth, DRM_IOCTL_PRIME_FD_TO_HANDLE, &args);

	nth->handle = made_handle(nth, error, args.handle);
	return error;
}

static int open_file(struct nth *nth)
{
	char path[32];

	snprintf(path, sizeof(path), "/dev/dri/renderD%u", nth->gpu.minor);
	nth->fd = open(path, O_RDWR | O_CLOEXEC);
	return nth->fd < 0 ? errno : 0;
}

/* ---- Undoing them ---- */

static bool undo_handle(struct nth *nth)
{
	const struct object made = { .handle = nth->handle };

	nth->handle = 0;
	return !made.handle || gpu_destroy(&nth->gpu, &made);
}

static bool undo_fd(struct nth *nth)
{
	if (nth->fd >= 0)
		close(nth->fd);
	nth->fd = -1;
	return true;
}

static bool undo_map(struct nth *nth)
{
	void *mapping = nth->mapping;

	nth->mapping = NULL;
	return !mapping || gpu_unmap(&nth->object, mapping);
}

/* ---- States ---- */

static bool sum_of(struct nth *nth, uint64_t *sum)
{
	return checksum_of(&nth->checksum, 0, &nth->object, sum);
}

static bool write_content(struct nth *nth)
{
	BUS_ERROR_GUARD;

	if (bus_error())
		return fail("SIGBUS with no allocation refused");
	nth->expected = pattern_write(nth->data, SIZE, nth->key, nth->options.seed);
	return true;
}

static bool must(const char *what, int error)
{
	return !error || fail("%s, with no allocation refused: %s", what,
				  strerrorname_np(error));
}

static bool discard(struct nth *nth)
{
	if (!must("GEM_MADVISE", dont_need(nth)) || !must("GEM_EVICT", evict_chunk(nth)) ||
	    !must("GEM_DISCARDED", which_discarded(nth)))
		return false;
	/* The driver says so until it has recreated them. */
	nth->lost = nth->discarded;
	return nth->lost || fail("nothing of what nobody needs was discarded");
}

/* Or it would not be in the state that the attempt is for. */
static bool is_let_go(struct nth *nth)
{
	struct drm_edgpu_gem_info info;

	return gpu_info(&nth->gpu, &nth->object, &info) &&
	       (!info.populated || fail("an object that was evicted has all of its pages"));
}

static bool enter(struct nth *nth, enum state state)
{
	nth->expected = nth->zeroes;
	if (state == NEW)
		return true;
	if (!write_content(nth))
		return false;
	switch (state) {
	case PARTIAL:
		return must("GEM_EVICT", evict_chunk(nth)) && is_let_go(nth);
	case EVICTED:
		return must("GEM_EVICT", evict(nth)) && is_let_go(nth);
	case SWAPPED:
		return must("GEM_EVICT", evict(nth)) && swap_out(&nth->gpu, &nth->object, SIZE);
	case IN_VRAM:
		return gpu_move(&nth->gpu, &nth->object, EDGPU_PLACEMENT_VRAM);
	case DISCARDED:
		return discard(nth);
	default:
		return true;
	}
}

static bool set_up(struct nth *nth, const struct operation *operation)
{
	nth->key = pattern_key(nth->options.seed, 0, ++nth->attempts);
	if (operation->crowded &&
	    !gpu_move(&nth->gpu, &nth->crowd, EDGPU_PLACEMENT_VRAM))
		return false;
	return gpu_create(&nth->gpu, &nth->object, SIZE, ANYWHERE,
			  (uint32_t)nth->options.caching) &&
	       gpu_map(&nth->gpu, &nth->object, (void **)&nth->data) &&
	       enter(nth, operation->state);
}

static bool tear_down(struct nth *nth)
{
	return gpu_unmap(&nth->object, nth->data) && gpu_destroy(&nth->gpu, &nth->object);
}

/* ---- Looking ---- */

/* Objects in which a job was interested go when that is done. */
static bool nothing_left(struct nth *nth, const struct operation *operation, uint64_t at)
{
	uint64_t pages = 0;

	for (int tries = 0; tries < 30000; tries++) {
		if (!driver_stat(&nth->gpu, "pinned_pages", &pages))
			return false;
		if (pages <= nth->base_pages)
			return true;
		usleep(1000);
	}
	report_mismatch("%s, allocation %" PRIu64 " refused: %" PRIu64 " pages stay behind",
			operation->name, at, pages - nth->base_pages);
	/* Told once. */
	nth->base_pages = pages;
	return true;
}

static bool flip_bit(struct nth *nth)
{
	uint64_t word;

	return gpu_pread(&nth->gpu, &nth->object, 0, &word, sizeof(word)) &&
	       (word ^= 1, gpu_pwrite(&nth->gpu, &nth->object, 0, &word, sizeof(word)));
}

/* Page by page: what is said to be lost is recreated, and all else is as it was. */
static bool check_discarded(struct nth *nth, const struct operation *operation, uint64_t at)
{
	const char *data = nth->buffer;
	uint64_t word;

	nth->discarded = 0;
	if (!must("GEM_DISCARDED", which_discarded(nth)) ||
	    !gpu_pread(&nth->gpu, &nth->object, 0, nth->buffer, SIZE))
		return false;
	for (size_t offset = 0; offset < SIZE; offset += sizeof(word)) {
		bool lost = (nth->lost | nth->discarded) >> offset / PAGE & 1;

		memcpy(&word, data + offset, sizeof(word));
		if (word != (lost ? RECREATED : pattern_word(nth->key, offset))) {
			report_mismatch("%s, allocation %" PRIu64 ": %s at %zu", operation->name, at,
					lost ? "lost, and not recreated" : "not kept", offset);
			break;
		}
	}
	nth->verified++;
	return true;
}

static bool check_content(struct nth *nth, const struct operation *operation, uint64_t at)
{
	uint64_t found;

	if (operation->state == DISCARDED)
		return check_discarded(nth, operation, at);
	if (!sum_of(nth, &found))
		return false;
	if (found != nth->expected)
		report_mismatch("%s, allocation %" PRIu64 " refused: content", operation->name, at);
	nth->verified++;
	return true;
}

/* Who can't have memory is told so; or can't be told, for want of memory to put that in. */
static bool is_sane(int error)
{
	return !error || error == ENOMEM || error == EFAULT;
}

/* ---- */

static bool attempt(struct nth *nth, const struct operation *operation, uint64_t at, bool *hit)
{
	int error;

	if (!set_up(nth, operation) || !foresee(nth) ||
	    (!nth->options.spare && !faults_at(at)))
		return false;
	error = operation->act(nth);
	*hit = !nth->options.spare && faults_end();
	if (*hit)
		nth->refused++;
	if (error)
		nth->failed++;
	if (!is_sane(error) || (error && !*hit))
		report_mismatch("%s, allocation %" PRIu64 "%s: %s", operation->name, at,
				*hit ? " refused" : "", strerrorname_np(error));
	if (operation->undo && !operation->undo(nth))
		return false;
	if (error && nth->options.lose && !flip_bit(nth))
		return false;
	return check_content(nth, operation, at) && tear_down(nth) &&
	       nothing_left(nth, operation, at);
}

static bool try_all(struct nth *nth, const struct operation *operation)
{
	uint64_t at = 0;
	bool hit;

	/* That page is there from here on, if the last operation took it away. */
	if (!bus_error_store(nth->checksum.result, 0) ||
	    !driver_stat(&nth->gpu, "pinned_pages", &nth->base_pages))
		return false;
	if (operation->crowded)
		nth->base_pages += nth->gpu.vram_size / PAGE;
	do {
		if (++at > MOST)
			return fail("%s never gets by", operation->name);
		if (!attempt(nth, operation, at, &hit))
			return false;
	} while (hit);
	return true;
}

static const struct operation operations[] = {
	{ .name = "open", .state = NEW, .act = open_file, .undo = undo_fd },
	{ .name = "create", .state = NEW, .act = create, .undo = undo_handle },
	{ .name = "createInVram", .state = NEW, .act = create_vram, .undo = undo_handle },
	{ .name = "mmapOffset", .state = NEW, .act = mmap_offset },
	{ .name = "info", .state = RESIDENT, .act = info },
	{ .name = "mmap", .state = NEW, .act = map, .undo = undo_map },
	{ .name = "touchNew", .state = NEW, .act = touch },
	{ .name = "touchPartial", .state = PARTIAL, .act = touch },
	{ .name = "touchSwapped", .state = SWAPPED, .act = touch },
	{ .name = "touchInVram", .state = IN_VRAM, .act = touch },
	{ .name = "readNew", .state = NEW, .act = pread_all },
	{ .name = "readPartial", .state = PARTIAL, .act = pread_all },
	{ .name = "readEvicted", .state = EVICTED, .act = pread_all },
	{ .name = "readSwapped", .state = SWAPPED, .act = pread_all },
	{ .name = "readInVram", .state = IN_VRAM, .act = pread_all },
	{ .name = "write", .state = RESIDENT, .act = pwrite_all },
	{ .name = "writeSwapped", .state = SWAPPED, .act = pwrite_all },
	{ .name = "submitNew", .state = NEW, .act = submit },
	{ .name = "submitResident", .state = RESIDENT, .act = submit_synced },
	{ .name = "submitPartial", .state = PARTIAL, .act = submit },
	{ .name = "submitSwapped", .state = SWAPPED, .act = submit },
	{ .name = "wait", .state = RESIDENT, .act = wait_idle },
	{ .name = "moveNew", .state = NEW, .act = move_in },
	{ .name = "moveResident", .state = RESIDENT, .act = move_in },
	{ .name = "movePartial", .state = PARTIAL, .act = move_in },
	{ .name = "moveEvicted", .state = EVICTED, .act = move_in },
	{ .name = "moveSwapped", .state = SWAPPED, .act = move_in },
	{ .name = "moveOut", .state = IN_VRAM, .act = move_out },
	{ .name = "moveIntoCrowd", .state = RESIDENT, .act = move_in, .crowded = true },
	{ .name = "createInCrowd", .state = NEW, .act = create_vram,
	  .undo = undo_handle, .crowded = true },
	{ .name = "evict", .state = RESIDENT, .act = evict },
	{ .name = "evictChunk", .state = RESIDENT, .act = evict_chunk },
	{ .name = "evictRest", .state = PARTIAL, .act = evict },
	{ .name = "evictAll", .state = RESIDENT, .act = evict_all },
	{ .name = "reclaim", .state = RESIDENT, .act = reclaim },
	{ .name = "swapOut", .state = EVICTED, .act = reclaim },
	{ .name = "dontNeed", .state = RESIDENT, .act = dont_need },
	{ .name = "discard", .state = DISCARDED, .act = evict },
	{ .name = "willNeed", .state = DISCARDED, .act = will_need },
	{ .name = "whichDiscarded", .state = DISCARDED, .act = which_discarded },
	{ .name = "recreate", .state = DISCARDED, .act = pread_all },
	{ .name = "export", .state = RESIDENT, .act = export, .undo = undo_fd },
	{ .name = "import", .state = NEW, .act = import, .undo = undo_handle },
};

#define OPERATIONS (sizeof(operations) / sizeof(*operations))

static uint64_t refusals[OPERATIONS];

static bool set_chunk(struct nth *nth)
{
	return !nth->options.chunk ||
	       driver_file_set(&nth->gpu, "chunk_pages", nth->options.chunk);
}

static bool make_syncobj(struct nth *nth, uint32_t flags, uint32_t *handle)
{
	struct drm_syncobj_create args = { .flags = flags };

	*handle = 0;
	if (call(nth, DRM_IOCTL_SYNCOBJ_CREATE, &args))
		return fail("SYNCOBJ_CREATE: %s", strerrorname_np(errno));
	*handle = args.handle;
	return true;
}

static bool open_witnesses(struct nth *nth)
{
	char path[DRIVER_FILE_PATH_MAX];

	/* Has it mounted, too. */
	if (!swap_reclaim(PAGE) || !driver_evict(&nth->gpu))
		return false;
	nth->reclaim = open(RECLAIM, O_WRONLY | O_CLOEXEC);
	driver_file_path(&nth->gpu, "evict", path);
	nth->evict = open(path, O_WRONLY | O_CLOEXEC);
	if (nth->reclaim < 0 || nth->evict < 0)
		return fail("open: %s", strerror(errno));
	return true;
}

static bool prepare(struct nth *nth)
{
	udmabuf_stay_low();
	nth->fd = -1;
	nth->udmabuf = udmabuf_create(SIZE, NULL);
	if (nth->udmabuf < 0)
		return fail("udmabuf: %s", strerror(errno));
	memset(nth->buffer, 0, sizeof(nth->buffer));
	return gpu_open(&nth->gpu) && set_chunk(nth) && open_witnesses(nth) &&
	       checksum_init(&nth->checksum, &nth->gpu, nth->options.seed) &&
	       make_syncobj(nth, DRM_SYNCOBJ_CREATE_SIGNALED, &nth->in) &&
	       make_syncobj(nth, 0, &nth->out) &&
	       gpu_create(&nth->gpu, &nth->crowd, nth->gpu.vram_size, ANYWHERE, 0) &&
	       (nth->options.spare || faults_hold_memory());
}

static bool run(struct nth *nth)
{
	if (!prepare(nth))
		return false;
	nth->zeroes = checksum_expected(&nth->checksum, nth->buffer, SIZE);
	for (size_t i = 0; i < OPERATIONS; i++) {
		uint64_t before = nth->refused;

		if (!try_all(nth, &operations[i]))
			return false;
		refusals[i] = nth->refused - before;
	}
	return true;
}

int nth_main(int argc, char **argv)
{
	static const char *const words[] = { "no", "yes", NULL };
	static struct nth nth;
	const struct option_spec specs[] = {
		{ .name = "caching", .value = &nth.options.caching, .words = caching_words },
		{ .name = "seed", .value = &nth.options.seed },
		{ .name = "chunk", .value = &nth.options.chunk, .optional = true },
		{ .name = "lose", .value = &nth.options.lose, .words = words, .optional = true },
		{ .name = "spare", .value = &nth.options.spare, .words = words, .optional = true },
	};

	if (!options_parse("nth", specs, sizeof(specs) / sizeof(*specs), argc, argv))
		return EXIT_USAGE;
	run(&nth);
	report_open();
	report_number("refused", nth.refused);
	report_number("failed", nth.failed);
	report_number("verified", nth.verified);
	report_number("untold", nth.untold);
	report_open_group("operations");
	for (size_t i = 0; i < OPERATIONS; i++)
		report_number(operations[i].name, refusals[i]);
	report_close_group();
	return report_close();
}
