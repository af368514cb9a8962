/*
 * fuzz: hostile callers. Many processes at once, some on the same open file, call everything the
 * driver offers with arguments that are right, nearly right, or nonsense. What they do to each
 * other's objects is of no interest; a bystander's must not change, nor may memory of their own,
 * and the kernel must not mind.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/bus_error.h"
#include "lib/checksum.h"
#include "lib/clock.h"
#include "lib/failure.h"
#include "lib/gpu.h"
#include "lib/options.h"
#include "lib/pattern.h"
#include "lib/random.h"
#include "lib/report.h"
#include "lib/udmabuf.h"
#include "programs/programs.h"

#define PAGE 4096
#define MAX_PROCESSES 64
#define HANDLES 24
#define FILES 6
#define SYNCOBJS 4
#define CMDS 8
/* Now and then an object is larger, and closed at once. */
#define USUAL_SIZE (256 * 1024)
#define CANARIES 4
#define CANARY_SIZE (512 * 1024)
#define WAIT_NS 20000000
/* Memory of all kinds, where nothing is mapped by chance: what is unmapped there stays a hole. */
#define REGION ((char *)0x1000000000)
#define REGION_PAGES 64
/* In a page of it; a word of its own is at the beginning of each. */
#define LENT_AT 256
#define LENT_MAX 2048

enum kind { KIND_HOLE, KIND_OWN, KIND_READ_ONLY, KIND_NO_ACCESS, KIND_SHARED, KIND_FILE, KIND_OBJECT, KINDS };

struct fuzz {
	struct gpu gpu;
	struct random random;
	uint32_t handles[HANDLES];
	uint32_t syncobjs[SYNCOBJS];
	int files[FILES];
	uint8_t kinds[REGION_PAGES];
	uint64_t words[REGION_PAGES];
	uint64_t calls;
	uint64_t accepted;
	uint64_t changed;	/* words of its own that somebody else has written, or lost */
};

/* What the processes tell their parent, in memory they share. */
struct tally {
	uint64_t calls;
	uint64_t accepted;
	uint64_t changed;
};

static uint64_t below(struct fuzz *fuzz, uint64_t limit)
{
	return random_below(&fuzz->random, limit);
}

static bool one_in(struct fuzz *fuzz, uint64_t n)
{
	return random_one_in(&fuzz->random, n);
}

/* A number that code gets wrong. */
static uint64_t evil(struct fuzz *fuzz)
{
	static const uint64_t edges[] = {
		0, 1, 4, 7, 8, PAGE - 1, PAGE, PAGE + 1, USUAL_SIZE, INT_MAX, UINT_MAX,
		1ull << 32, 1ull << 40, 1ull << 46, INT64_MAX, 1ull << 63, UINT64_MAX - PAGE,
		UINT64_MAX - 7, UINT64_MAX,
	};

	if (one_in(fuzz, 3))
		return random_next(&fuzz->random);
	return edges[below(fuzz, sizeof(edges) / sizeof(*edges))] + below(fuzz, 3) - 1;
}

/* Mostly good. */
static uint64_t number(struct fuzz *fuzz, uint64_t good)
{
	return one_in(fuzz, 12) ? evil(fuzz) : good;
}

static uint32_t handle(struct fuzz *fuzz)
{
	return (uint32_t)number(fuzz, fuzz->handles[below(fuzz, HANDLES)]);
}

static void *somewhere(struct fuzz *fuzz, void *good)
{
	if (!one_in(fuzz, 16))
		return good;
	return (void *)(uintptr_t)evil(fuzz);
}

static bool call(struct fuzz *fuzz, unsigned long request, void *args)
{
	bool ok = !ioctl(fuzz->gpu.fd, request, args);

	fuzz->calls++;
	fuzz->accepted += ok;
	return ok;
}

/* ---- Memory of its own ---- */

static void *map_kind(struct fuzz *fuzz, enum kind kind, char *at, size_t size)
{
	static const int access[KINDS] = {
		[KIND_OWN] = PROT_READ | PROT_WRITE,
		[KIND_READ_ONLY] = PROT_READ,
		[KIND_SHARED] = PROT_READ | PROT_WRITE,
		[KIND_FILE] = PROT_READ,
		[KIND_OBJECT] = PROT_READ | PROT_WRITE,
	};
	struct drm_edgpu_gem_mmap_offset object = { .handle = fuzz->handles[below(fuzz, HANDLES)] };
	int flags = MAP_FIXED | (kind == KIND_SHARED || kind == KIND_OBJECT ? MAP_SHARED : MAP_PRIVATE);
	void *data;
	int fd;

	if (kind == KIND_HOLE || (kind == KIND_OBJECT && !call(fuzz, DRM_IOCTL_EDGPU_GEM_MMAP_OFFSET, &object)))
		return MAP_FAILED;
	if (kind == KIND_OBJECT)
		return mmap(at, size, access[kind], flags, fuzz->gpu.fd, (off_t)object.offset);
	if (kind != KIND_FILE)
		return mmap(at, size, access[kind], flags | MAP_ANONYMOUS, -1, 0);
	fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	data = mmap(at, size, access[kind], flags, fd, 0);
	close(fd);
	return data;
}

/* A few pages become memory of another kind, mostly such as can be moved. */
static void change_kind(struct fuzz *fuzz)
{
	uint64_t first = below(fuzz, REGION_PAGES), pages = 1 + below(fuzz, REGION_PAGES - first);
	enum kind kind = one_in(fuzz, 2) ? KIND_OWN : (enum kind)below(fuzz, KINDS);
	char *at = REGION + first * PAGE;

	munmap(at, pages * PAGE);
	if (map_kind(fuzz, kind, at, pages * PAGE) == MAP_FAILED)
		kind = KIND_HOLE;
	for (uint64_t i = first; i < first + pages; i++) {
		fuzz->kinds[i] = (uint8_t)kind;
		fuzz->words[i] = 0;
	}
}

/* It has its word as it was, and gets another one. If it can't come back, for want of memory, it stays in VRAM. */
static bool use_page(struct fuzz *fuzz, uint64_t page)
{
	BUS_ERROR_GUARD;
	volatile uint64_t *word = (uint64_t *)(REGION + page * PAGE);

	if (bus_error())
		return false;
	if (*word != fuzz->words[page])
		fuzz->changed++;
	fuzz->words[page] = random_next(&fuzz->random);
	*word = fuzz->words[page];
	return true;
}

static bool to_vram(struct fuzz *fuzz, uint64_t addr, uint64_t len)
{
	struct drm_edgpu_svm_to_vram args = {
		.addr = addr,
		.len = len,
		.flags = (uint32_t)number(fuzz, 0),
		.pad = (uint32_t)number(fuzz, 0),
	};

	return call(fuzz, DRM_IOCTL_EDGPU_SVM_TO_VRAM, &args);
}

/* What the kernel is to read, or to write, now and then in VRAM by then: up to LENT_MAX bytes. */
static void *lend(struct fuzz *fuzz, void *data, size_t size)
{
	BUS_ERROR_GUARD;
	uint64_t page = below(fuzz, REGION_PAGES);
	char *place = REGION + page * PAGE + LENT_AT;

	if (fuzz->kinds[page] != KIND_OWN || !use_page(fuzz, page))
		return data;
	if (bus_error())
		return data;
	memcpy(place, data, size);
	to_vram(fuzz, (uintptr_t)REGION + page * PAGE, PAGE);
	return place;
}

/* ---- What it does ---- */

static void close_handle(struct fuzz *fuzz, uint32_t *place)
{
	struct drm_gem_close args = { .handle = *place };

	call(fuzz, DRM_IOCTL_GEM_CLOSE, &args);
	*place = 0;
}

static void keep_handle(struct fuzz *fuzz, uint32_t value)
{
	uint32_t *place = &fuzz->handles[below(fuzz, HANDLES)];

	close_handle(fuzz, place);
	*place = value;
}

static void do_create(struct fuzz *fuzz)
{
	struct drm_edgpu_gem_create args = {
		.size = number(fuzz, 1 + below(fuzz, USUAL_SIZE)),
		.placement = (uint32_t)number(fuzz, 1 + below(fuzz, 3)),
		.caching = (uint32_t)number(fuzz, below(fuzz, 3)),
		.flags = (uint32_t)number(fuzz, below(fuzz, 2) | (one_in(fuzz, 4) ? EDGPU_CREATE_PRIVATE : 0)),
	};

	if (!call(fuzz, DRM_IOCTL_EDGPU_GEM_CREATE, &args))
		return;
	if (args.size > 2 * USUAL_SIZE)
		close_handle(fuzz, &args.handle);
	else
		keep_handle(fuzz, args.handle);
}

static void do_close(struct fuzz *fuzz)
{
	close_handle(fuzz, &fuzz->handles[below(fuzz, HANDLES)]);
}

static void touch(struct fuzz *fuzz, volatile char *data, size_t size)
{
	BUS_ERROR_GUARD;

	if (bus_error())
		return;
	for (unsigned int i = 0; i < 8; i++)
		data[below(fuzz, size)] += (char)i;
}

static void do_map(struct fuzz *fuzz)
{
	struct drm_edgpu_gem_mmap_offset args = {
		.handle = handle(fuzz),
		.pad = (uint32_t)number(fuzz, 0),
	};
	size_t size = PAGE << below(fuzz, 7);
	void *data;

	if (!call(fuzz, DRM_IOCTL_EDGPU_GEM_MMAP_OFFSET, &args))
		return;
	data = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fuzz->gpu.fd,
		    (off_t)number(fuzz, args.offset));
	if (data == MAP_FAILED)
		return;
	touch(fuzz, data, size);
	munmap(data, size);
}

static void do_info(struct fuzz *fuzz)
{
	struct drm_edgpu_gem_info args = { .handle = handle(fuzz) };

	call(fuzz, DRM_IOCTL_EDGPU_GEM_INFO, &args);
}

static void do_param(struct fuzz *fuzz)
{
	struct drm_edgpu_get_param args = {
		.param = (uint32_t)number(fuzz, below(fuzz, 8)),
		.pad = (uint32_t)number(fuzz, 0),
	};

	call(fuzz, DRM_IOCTL_EDGPU_GET_PARAM, &args);
}

static void do_move(struct fuzz *fuzz)
{
	struct drm_edgpu_gem_move args = {
		.handle = handle(fuzz),
		.placement = (uint32_t)number(fuzz, 1 + below(fuzz, 2)),
	};

	call(fuzz, DRM_IOCTL_EDGPU_GEM_MOVE, &args);
}

static void do_wait(struct fuzz *fuzz)
{
	struct drm_edgpu_wait args = {
		.handle = handle(fuzz),
		.pad = (uint32_t)number(fuzz, 0),
		.timeout_ns = (int64_t)now_ns() + WAIT_NS,
	};

	if (one_in(fuzz, 8))
		args.timeout_ns = -(int64_t)below(fuzz, INT64_MAX);
	call(fuzz, DRM_IOCTL_EDGPU_WAIT, &args);
}

static void make_cmd(struct fuzz *fuzz, struct drm_edgpu_cmd *cmd)
{
	*cmd = (struct drm_edgpu_cmd) {
		.op = (uint32_t)number(fuzz, 1 + below(fuzz, 3)),
		.pad = one_in(fuzz, 40) ? (uint32_t)evil(fuzz) : 0,
		.src_handle = handle(fuzz),
		.dst_handle = handle(fuzz),
		.src_offset = number(fuzz, below(fuzz, 4 * PAGE)),
		.dst_offset = number(fuzz, below(fuzz, 512) * 8),
		.len = number(fuzz, 8 + below(fuzz, 512) * 8),
	};
	if (cmd->op != EDGPU_CMD_COPY)
		cmd->value = random_next(&fuzz->random);
	if (cmd->op == EDGPU_CMD_FILL) {
		cmd->src_handle = (uint32_t)number(fuzz, 0);
		cmd->src_offset = 0;
	}
}

static void do_submit(struct fuzz *fuzz)
{
	struct drm_edgpu_cmd cmds[CMDS];
	struct drm_edgpu_submit args = {
		.cmds = (uintptr_t)somewhere(fuzz, cmds),
		.num_cmds = (uint32_t)number(fuzz, 1 + below(fuzz, CMDS)),
		.engine = (uint32_t)number(fuzz, below(fuzz, fuzz->gpu.engines)),
		.flags = one_in(fuzz, 40) ? (uint32_t)evil(fuzz) : 0,
		.pad = one_in(fuzz, 40) ? (uint32_t)evil(fuzz) : 0,
	};

	if (one_in(fuzz, 3)) {
		args.out_syncobj = (uint32_t)number(fuzz, fuzz->syncobjs[below(fuzz, SYNCOBJS)]);
		args.out_point = one_in(fuzz, 2) ? number(fuzz, below(fuzz, 100)) : 0;
	}
	if (one_in(fuzz, 4)) {
		args.in_syncobj = (uint32_t)number(fuzz, fuzz->syncobjs[below(fuzz, SYNCOBJS)]);
		args.in_point = one_in(fuzz, 2) ? number(fuzz, below(fuzz, 100)) : 0;
	}
	for (unsigned int i = 0; i < CMDS; i++)
		make_cmd(fuzz, &cmds[i]);
	if (args.cmds == (uintptr_t)cmds)
		args.cmds = (uintptr_t)lend(fuzz, cmds, sizeof(cmds));
	call(fuzz, DRM_IOCTL_EDGPU_SUBMIT, &args);
}

static void do_rw(struct fuzz *fuzz)
{
	char data[2 * PAGE];
	struct drm_edgpu_gem_rw args = {
		.handle = handle(fuzz),
		.pad = (uint32_t)number(fuzz, 0),
		.offset = number(fuzz, below(fuzz, 8 * PAGE)),
		.len = one_in(fuzz, 8) ? evil(fuzz) : 1 + below(fuzz, sizeof(data)),
		.data = (uintptr_t)data,
	};
	bool write = one_in(fuzz, 2);

	/* The kernel must not be lent more than there is. */
	if (args.len > sizeof(data) || one_in(fuzz, 12))
		args.data = write ? evil(fuzz) : UINT64_MAX - below(fuzz, PAGE);
	memset(data, (int)below(fuzz, 256), sizeof(data));
	if (args.data == (uintptr_t)data && args.len <= LENT_MAX)
		args.data = (uintptr_t)lend(fuzz, data, args.len);
	call(fuzz, write ? DRM_IOCTL_EDGPU_GEM_PWRITE : DRM_IOCTL_EDGPU_GEM_PREAD, &args);
}

static void do_evict(struct fuzz *fuzz)
{
	struct drm_edgpu_gem_evict args = {
		.handle = handle(fuzz),
		.pad = (uint32_t)number(fuzz, 0),
		.size = number(fuzz, below(fuzz, 16) * PAGE),
	};

	call(fuzz, DRM_IOCTL_EDGPU_GEM_EVICT, &args);
}

static void do_madvise(struct fuzz *fuzz)
{
	bool recreate = one_in(fuzz, 2);
	struct drm_edgpu_gem_madvise args = {
		.handle = handle(fuzz),
		.advice = (uint32_t)number(fuzz, recreate || one_in(fuzz, 2)),
		.flags = (uint32_t)number(fuzz, recreate),
		.value = recreate || one_in(fuzz, 12) ? evil(fuzz) : 0,
	};

	call(fuzz, DRM_IOCTL_EDGPU_GEM_MADVISE, &args);
}

static void do_discarded(struct fuzz *fuzz)
{
	/* For as many pages as an object has that is kept. */
	uint64_t bitmap[2 * USUAL_SIZE / PAGE / 64];
	struct drm_edgpu_gem_discarded args = {
		.handle = handle(fuzz),
		.pad = (uint32_t)number(fuzz, 0),
		.first = number(fuzz, 0),
		.pages = number(fuzz, 1 + below(fuzz, 16)),
		.bitmap = (uintptr_t)bitmap,
	};

	/* The kernel must not be lent more than there is. */
	if (args.pages > 64 * sizeof(bitmap) / 8 || one_in(fuzz, 12))
		args.bitmap = UINT64_MAX - below(fuzz, PAGE);
	call(fuzz, DRM_IOCTL_EDGPU_GEM_DISCARDED, &args);
}

/* Its own memory, of any kind, and then some of what it may use. */
static void do_svm(struct fuzz *fuzz)
{
	uint64_t first = below(fuzz, REGION_PAGES), page = below(fuzz, REGION_PAGES);

	if (one_in(fuzz, 4))
		change_kind(fuzz);
	to_vram(fuzz, number(fuzz, (uintptr_t)REGION + first * PAGE),
		number(fuzz, (1 + below(fuzz, REGION_PAGES - first)) * PAGE));
	if (fuzz->kinds[page] == KIND_OWN)
		use_page(fuzz, page);
}

/* Its own memory is locked or unlocked, in VRAM as well. */
static void do_lock(struct fuzz *fuzz)
{
	uint64_t first = below(fuzz, REGION_PAGES), pages = 1 + below(fuzz, REGION_PAGES - first);
	char *at = REGION + first * PAGE;

	if (one_in(fuzz, 2))
		munlock(at, pages * PAGE);
	else
		mlock2(at, pages * PAGE, one_in(fuzz, 4) ? 0 : MLOCK_ONFAULT);
}

/* Even what the call itself is read from, and told in. */
static void do_svm_of_arguments(struct fuzz *fuzz)
{
	BUS_ERROR_GUARD;
	struct drm_edgpu_svm_to_vram args = { .len = PAGE }, *lent = lend(fuzz, &args, sizeof(args));

	if (lent == &args || bus_error())
		return;
	lent->addr = (uintptr_t)lent & -PAGE;
	call(fuzz, DRM_IOCTL_EDGPU_SVM_TO_VRAM, lent);
}

static void do_syncobj(struct fuzz *fuzz)
{
	uint32_t *place = &fuzz->syncobjs[below(fuzz, SYNCOBJS)];
	struct drm_syncobj_destroy destroy = { .handle = *place };
	struct drm_syncobj_create create = { .flags = (uint32_t)below(fuzz, 2) };

	call(fuzz, DRM_IOCTL_SYNCOBJ_DESTROY, &destroy);
	*place = call(fuzz, DRM_IOCTL_SYNCOBJ_CREATE, &create) ? create.handle : 0;
}

static void keep_file(struct fuzz *fuzz, int fd)
{
	int *place = &fuzz->files[below(fuzz, FILES)];

	if (*place >= 0)
		close(*place);
	*place = fd;
}

static void do_export(struct fuzz *fuzz)
{
	struct drm_prime_handle args = {
		.handle = handle(fuzz),
		.flags = one_in(fuzz, 12) ? (uint32_t)evil(fuzz) : DRM_CLOEXEC | DRM_RDWR,
	};

	if (call(fuzz, DRM_IOCTL_PRIME_HANDLE_TO_FD, &args))
		keep_file(fuzz, args.fd);
}

static void do_import(struct fuzz *fuzz)
{
	struct drm_prime_handle args = {
		.fd = one_in(fuzz, 12) ? (int)evil(fuzz) : fuzz->files[below(fuzz, FILES)],
	};

	if (call(fuzz, DRM_IOCTL_PRIME_FD_TO_HANDLE, &args))
		keep_handle(fuzz, args.handle);
}

/* Memory of this process, to be imported. */
static void do_udmabuf(struct fuzz *fuzz)
{
	int fd = udmabuf_create(PAGE << below(fuzz, 4), NULL);

	if (fd >= 0)
		keep_file(fuzz, fd);
}

static void do_map_file(struct fuzz *fuzz)
{
	void *data = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED,
			  fuzz->files[below(fuzz, FILES)], 0);

	if (data == MAP_FAILED)
		return;
	touch(fuzz, data, PAGE);
	munmap(data, PAGE);
}

/* Any number, any size, any direction, any content. */
static void do_nonsense(struct fuzz *fuzz)
{
	uint64_t args[32];

	for (unsigned int i = 0; i < 32; i++)
		args[i] = one_in(fuzz, 2) ? handle(fuzz) : evil(fuzz);
	call(fuzz, _IOC(below(fuzz, 4), DRM_IOCTL_BASE, DRM_COMMAND_BASE + below(fuzz, 16),
			below(fuzz, sizeof(args))), somewhere(fuzz, args));
}

static void forget(struct fuzz *fuzz)
{
	memset(fuzz->handles, 0, sizeof(fuzz->handles));
	memset(fuzz->syncobjs, 0, sizeof(fuzz->syncobjs));
}

/* With all that it held. */
static void do_reopen(struct fuzz *fuzz)
{
	struct gpu gpu;

	if (!one_in(fuzz, 20) || !gpu_open(&gpu))
		return;
	close(fuzz->gpu.fd);
	fuzz->gpu = gpu;
	forget(fuzz);
}

static void (*const actions[])(struct fuzz *fuzz) = {
	do_create, do_create, do_close, do_map, do_map, do_info, do_param, do_move, do_move,
	do_wait, do_submit, do_submit, do_submit, do_submit, do_rw, do_rw, do_evict, do_madvise,
	do_discarded, do_svm, do_svm, do_lock, do_svm_of_arguments, do_syncobj, do_export,
	do_import, do_udmabuf, do_map_file, do_nonsense, do_reopen,
};

static void fuzz_until(struct fuzz *fuzz, uint64_t end_ns)
{
	do {
		for (unsigned int i = 0; i < 64; i++)
			actions[below(fuzz, sizeof(actions) / sizeof(*actions))](fuzz);
	} while (now_ns() < end_ns);
}

static void fuzz_child(const struct gpu *shared, uint64_t seed, uint64_t number, uint64_t end_ns,
		       struct tally *tally)
{
	struct fuzz fuzz = { .gpu = *shared, .random = random_seeded(seed, number) };

	/* Every other one shares its parent's file, and everybody's handles with it. */
	for (unsigned int i = 0; i < FILES; i++)
		fuzz.files[i] = -1;
	if (number % 2 && !gpu_open(&fuzz.gpu))
		_exit(EXIT_SYSTEM);
	fuzz_until(&fuzz, end_ns);
	tally->calls = fuzz.calls;
	tally->accepted = fuzz.accepted;
	tally->changed = fuzz.changed;
	_exit(EXIT_PASS);
}

struct bystander {
	struct gpu gpu;
	struct checksum checksum;
	struct canary {
		struct object object;
		void *data;
		uint64_t sum;
	} canaries[CANARIES];
	uint64_t seed;
};

/* Its objects, on a file of its own. */
static bool set_up_bystander(struct bystander *bystander)
{
	static char data[CANARY_SIZE];

	if (!gpu_open(&bystander->gpu) ||
	    !checksum_init(&bystander->checksum, &bystander->gpu, bystander->seed))
		return false;
	for (unsigned int i = 0; i < CANARIES; i++) {
		struct canary *canary = &bystander->canaries[i];
		uint32_t placement = i % 2 ? EDGPU_PLACEMENT_VRAM : EDGPU_PLACEMENT_SYSTEM;

		canary->sum = pattern_write(data, CANARY_SIZE, pattern_key(bystander->seed, i, 0),
					    bystander->seed);
		if (!gpu_create(&bystander->gpu, &canary->object, CANARY_SIZE, placement, 0) ||
		    !gpu_map(&bystander->gpu, &canary->object, &canary->data) ||
		    !gpu_pwrite(&bystander->gpu, &canary->object, 0, data, CANARY_SIZE))
			return false;
	}
	return true;
}

/* By the driver, by a mapping, and by the device. */
static bool check_canary(struct bystander *bystander, unsigned int i)
{
	BUS_ERROR_GUARD;
	static char data[CANARY_SIZE];
	struct canary *canary = &bystander->canaries[i];
	uint64_t key = pattern_key(bystander->seed, i, 0);
	size_t offset;
	uint64_t sum;

	if (!gpu_pread(&bystander->gpu, &canary->object, 0, data, CANARY_SIZE) ||
	    !checksum_of(&bystander->checksum, 0, &canary->object, &sum))
		return false;
	if (!pattern_matches(data, CANARY_SIZE, key, &offset))
		report_mismatch("bystander's object %u changed at offset %zu", i, offset);
	if (sum != canary->sum)
		report_mismatch("bystander's object %u: checksum", i);
	if (bus_error())
		return fail("bystander's object %u: SIGBUS", i);
	if (!pattern_matches(canary->data, CANARY_SIZE, key, &offset))
		report_mismatch("bystander's object %u, mapped, changed at offset %zu", i, offset);
	return true;
}

static bool check_bystander(struct bystander *bystander)
{
	for (unsigned int i = 0; i < CANARIES; i++)
		if (!check_canary(bystander, i))
			return false;
	return true;
}

static bool run_children(const struct gpu *shared, uint64_t seed, uint64_t processes, uint64_t end_ns,
			 struct tally *tallies)
{
	pid_t children[MAX_PROCESSES];
	uint64_t started;
	bool ok = true;
	int status;

	for (started = 0; started < processes; started++) {
		children[started] = fork();
		if (!children[started])
			fuzz_child(shared, seed, started, end_ns, &tallies[started]);
		if (children[started] < 0) {
			ok = fail("fork: %s", strerror(errno));
			break;
		}
	}
	for (uint64_t i = 0; i < started; i++)
		if (waitpid(children[i], &status, 0) < 0)
			ok = fail("waitpid: %s", strerror(errno));
		else if (status)
			ok = fail("process %u ended with status %#x", (unsigned int)i, status);
	return ok;
}

static bool fuzz_all(uint64_t seconds, uint64_t seed, uint64_t processes, struct tally *sum)
{
	struct tally *tallies = mmap(NULL, MAX_PROCESSES * sizeof(*tallies), PROT_READ | PROT_WRITE,
				     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct bystander bystander = { .seed = seed };
	struct gpu shared;

	if (tallies == MAP_FAILED)
		return fail("mmap: %s", strerror(errno));
	if (!set_up_bystander(&bystander) || !gpu_open(&shared))
		return false;
	if (!run_children(&shared, seed, processes, now_ns() + seconds * 1000000000, tallies) ||
	    !check_bystander(&bystander))
		return false;
	for (uint64_t i = 0; i < processes; i++) {
		sum->calls += tallies[i].calls;
		sum->accepted += tallies[i].accepted;
		if (tallies[i].changed)
			report_mismatch("process %" PRIu64 ": %" PRIu64 " words of its own memory changed", i,
					tallies[i].changed);
	}
	return true;
}

int fuzz_main(int argc, char **argv)
{
	uint64_t seconds, seed, processes = 4;
	const struct option_spec specs[] = {
		{ .name = "seconds", .value = &seconds },
		{ .name = "seed", .value = &seed },
		{ .name = "processes", .value = &processes, .optional = true },
	};
	struct tally sum = { 0 };

	udmabuf_stay_low();
	if (!options_parse("fuzz", specs, sizeof(specs) / sizeof(*specs), argc, argv))
		return EXIT_USAGE;
	if (!processes || processes > MAX_PROCESSES) {
		options_complain("fuzz", "--processes is 1 to %u", MAX_PROCESSES);
		return EXIT_USAGE;
	}
	fuzz_all(seconds, seed, processes, &sum);
	report_open();
	report_number("calls", sum.calls);
	report_number("accepted", sum.accepted);
	return report_close();
}
