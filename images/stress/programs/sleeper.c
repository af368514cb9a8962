/*
 * sleeper: what a desktop has open when the lid is closed. Objects in VRAM and in system memory, perhaps engines at
 * work on them and threads that write to them through mmap, or have a system call write there, over any number of
 * suspends, until SIGTERM. At each SIGUSR1, and at the end, everything is verified: content by CPU and by device, and
 * that each object is where it was. Those that nobody needs (--purgeable) may be lost, as long as that is said.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "lib/bus_error.h"
#include "lib/checksum.h"
#include "lib/failure.h"
#include "lib/gpu.h"
#include "lib/options.h"
#include "lib/pattern.h"
#include "lib/process_name.h"
#include "lib/report.h"
#include "lib/thread.h"
#include "lib/visitor.h"
#include "programs/programs.h"

#define PAGE 4096
#define MAX_OBJECTS 4096
#define MAX_WRITERS 8
#define MAX_PURGEABLE 64

struct item {
	struct object object;
	uint64_t checksum;
	uint64_t generation;	/* of the content: each verification is of a new one */
	uint32_t placement;
	/* As the second device knows it, which has it pinned. */
	struct object pinned;
};

struct writer {
	struct sleeper *sleeper;
	pthread_t thread;
	struct object object;
	/* Reads and writes of whole words, as the hardware does them. */
	volatile uint64_t *words;
	uint64_t rounds;
	unsigned int index;
};

/* One thread writes to a pipe, another reads from there to VRAM: a page at a time, by the number of the page. */
struct courier {
	struct sleeper *sleeper;
	pthread_t sender;
	pthread_t receiver;
	struct object object;
	volatile uint64_t *words;
	int ends[2];
	uint64_t pages;
};

struct sleeper {
	uint64_t vram;
	uint64_t system;
	uint64_t object_size;
	uint64_t seed;
	uint64_t caching;
	uint64_t busy;
	uint64_t num_writers;
	uint64_t exported;
	uint64_t pinned;
	uint64_t num_purgeable;
	uint64_t overcommitted;	/* others may have taken the VRAM: whoever started it looks at where objects are */
	uint64_t pipe;
	uint64_t visited[VISITOR_KINDS];

	struct gpu gpu;
	struct checksum device;
	struct gpu second;
	struct checksum second_device;
	struct object purgeable[MAX_PURGEABLE];
	uint64_t purgeable_generation[MAX_PURGEABLE];
	uint64_t discarded;
	uint64_t retained;
	struct item *items;
	uint64_t count;
	struct object scratch;
	struct writer writers[MAX_WRITERS];
	struct courier courier;
	struct visitor visitors[VISITOR_KINDS];
	atomic_bool stop;
	uint64_t jobs;
	uint64_t verified;
};

static const char *const yes_words[] = { "no", "yes", NULL };

static volatile sig_atomic_t told_to_end;
static volatile sig_atomic_t told_to_verify;

static void on_signal(int signal)
{
	if (signal == SIGTERM)
		told_to_end = 1;
	else
		told_to_verify++;
}

static uint64_t key_of(const struct sleeper *sleeper, uint64_t index)
{
	return pattern_key(sleeper->seed, index, sleeper->items[index].generation);
}

static uint64_t purgeable_key(const struct sleeper *sleeper, unsigned int index)
{
	return pattern_key(sleeper->seed, MAX_OBJECTS + index, sleeper->purgeable_generation[index]);
}

/* ---- Objects ---- */

static bool export_object(struct sleeper *sleeper, const struct object *object, int *fd)
{
	struct drm_prime_handle prime = { .handle = object->handle, .flags = DRM_CLOEXEC | DRM_RDWR };

	/* Open until the end. */
	if (ioctl(sleeper->gpu.fd, DRM_IOCTL_PRIME_HANDLE_TO_FD, &prime))
		return fail("PRIME_HANDLE_TO_FD: %s", strerror(errno));
	*fd = prime.fd;
	return true;
}

/* As long as the second device has it, the first can't move it. */
static bool pin_object(struct sleeper *sleeper, struct item *item, int fd)
{
	struct drm_prime_handle prime = { .fd = fd };

	if (ioctl(sleeper->second.fd, DRM_IOCTL_PRIME_FD_TO_HANDLE, &prime))
		return fail("PRIME_FD_TO_HANDLE: %s", strerror(errno));
	item->pinned = (struct object){ .handle = prime.handle, .size = item->object.size };
	return true;
}

static bool share_item(struct sleeper *sleeper, struct item *item, bool vram)
{
	int fd = -1;

	if (!sleeper->exported && !(sleeper->pinned && !vram))
		return true;
	return export_object(sleeper, &item->object, &fd) &&
	       (!sleeper->pinned || vram || pin_object(sleeper, item, fd));
}

/* With the key of its generation. */
static bool write_item(struct sleeper *sleeper, uint64_t index)
{
	BUS_ERROR_GUARD;
	struct item *item = &sleeper->items[index];
	void *data;

	if (!gpu_map(&sleeper->gpu, &item->object, &data))
		return false;
	if (bus_error())
		return fail("write to object %" PRIu64 ": SIGBUS", index);
	item->checksum = pattern_write(data, item->object.size, key_of(sleeper, index), sleeper->seed);
	return gpu_unmap(&item->object, data);
}

static bool make_item(struct sleeper *sleeper, uint64_t index)
{
	struct item *item = &sleeper->items[index];
	bool vram = index < sleeper->vram;
	struct drm_edgpu_gem_info info;

	if (!gpu_create(&sleeper->gpu, &item->object, sleeper->object_size,
			EDGPU_PLACEMENT_VRAM | EDGPU_PLACEMENT_SYSTEM, (uint32_t)sleeper->caching) ||
	    !write_item(sleeper, index) ||
	    !gpu_move(&sleeper->gpu, &item->object,
		      vram ? EDGPU_PLACEMENT_VRAM : EDGPU_PLACEMENT_SYSTEM) ||
	    !share_item(sleeper, item, vram) ||
	    !gpu_info(&sleeper->gpu, &item->object, &info))
		return false;
	item->placement = info.placement;
	return true;
}

static void verify_by_cpu(struct sleeper *sleeper, uint64_t index)
{
	BUS_ERROR_GUARD;
	struct item *item = &sleeper->items[index];
	size_t offset;
	void *data;

	if (!gpu_map(&sleeper->gpu, &item->object, &data)) {
		report_mismatch("object %" PRIu64 ": %s", index, failure());
		return;
	}
	if (bus_error())
		report_mismatch("object %" PRIu64 ": SIGBUS", index);
	else if (!pattern_matches(data, item->object.size, key_of(sleeper, index), &offset))
		report_mismatch("object %" PRIu64 " at 0x%zx: 0x%016" PRIx64 " instead of 0x%016" PRIx64, index,
				offset, *(uint64_t *)((char *)data + offset),
				pattern_word(key_of(sleeper, index), offset));
	if (!gpu_unmap(&item->object, data))
		report_mismatch("object %" PRIu64 ": %s", index, failure());
}

static void verify_by_device(struct sleeper *sleeper, uint64_t index)
{
	struct item *item = &sleeper->items[index];
	unsigned int engine = (unsigned int)(sleeper->jobs++ % sleeper->gpu.engines);
	uint64_t found;

	if (!checksum_of(&sleeper->device, engine, &item->object, &found))
		report_mismatch("object %" PRIu64 ": %s", index, failure());
	else if (found != item->checksum)
		report_mismatch("object %" PRIu64 ": checksum 0x%016" PRIx64 " instead of 0x%016" PRIx64, index,
				found, item->checksum);
}

/* By the device that has it pinned. */
static void verify_by_second(struct sleeper *sleeper, uint64_t index)
{
	struct item *item = &sleeper->items[index];
	uint64_t found;

	if (!item->pinned.handle)
		return;
	if (!checksum_of(&sleeper->second_device, 0, &item->pinned, &found))
		report_mismatch("object %" PRIu64 " by the second device: %s", index, failure());
	else if (found != item->checksum)
		report_mismatch("object %" PRIu64 " by the second device: checksum 0x%016" PRIx64
				" instead of 0x%016" PRIx64, index, found, item->checksum);
}

static bool advise(struct sleeper *sleeper, unsigned int index, uint32_t advice, bool *retained)
{
	struct drm_edgpu_gem_madvise args = { .handle = sleeper->purgeable[index].handle, .advice = advice };
	int error = gpu_call(&sleeper->gpu, DRM_IOCTL_EDGPU_GEM_MADVISE, &args);

	*retained = args.retained;
	return !error || fail("GEM_MADVISE: %s", strerrorname_np(error));
}

/* In VRAM, with content, which nobody needs from then on. */
static bool offer_purgeable(struct sleeper *sleeper, unsigned int index)
{
	BUS_ERROR_GUARD;
	struct object *object = &sleeper->purgeable[index];
	bool retained;
	void *data;

	if (!gpu_map(&sleeper->gpu, object, &data))
		return false;
	if (bus_error())
		return fail("write to purgeable object %u: SIGBUS", index);
	sleeper->purgeable_generation[index]++;
	pattern_write(data, object->size, purgeable_key(sleeper, index), sleeper->seed);
	return gpu_unmap(object, data) && gpu_move(&sleeper->gpu, object, EDGPU_PLACEMENT_VRAM) &&
	       advise(sleeper, index, EDGPU_MADVISE_DONTNEED, &retained);
}

/* Either it was lost, and the driver says so, or it is as it was. */
static void verify_purgeable(struct sleeper *sleeper, unsigned int index)
{
	BUS_ERROR_GUARD;
	struct object *object = &sleeper->purgeable[index];
	bool retained;
	size_t offset;
	void *data;

	if (!advise(sleeper, index, EDGPU_MADVISE_WILLNEED, &retained)) {
		report_mismatch("purgeable object %u: %s", index, failure());
		return;
	}
	*(retained ? &sleeper->retained : &sleeper->discarded) += 1;
	if (retained && !gpu_map(&sleeper->gpu, object, &data)) {
		report_mismatch("purgeable object %u: %s", index, failure());
	} else if (retained) {
		if (bus_error())
			report_mismatch("purgeable object %u: SIGBUS", index);
		else if (!pattern_matches(data, object->size, purgeable_key(sleeper, index), &offset))
			report_mismatch("purgeable object %u is said to be whole, and is not at 0x%zx", index, offset);
		gpu_unmap(object, data);
	}
	if (!offer_purgeable(sleeper, index))
		report_mismatch("purgeable object %u: %s", index, failure());
}

static void verify_placement(struct sleeper *sleeper, uint64_t index)
{
	struct item *item = &sleeper->items[index];
	struct drm_edgpu_gem_info info;

	if (!gpu_info(&sleeper->gpu, &item->object, &info))
		report_mismatch("object %" PRIu64 ": %s", index, failure());
	else if (info.placement != item->placement)
		report_mismatch("object %" PRIu64 " is in %s", index,
				info.placement == EDGPU_PLACEMENT_VRAM ? "VRAM" : "system memory");
}

/*
 * The device may use those that it can have in either place from VRAM: they go
 * back. And all get new content, so that what was saved before is of no use any more.
 */
static bool prepare_next(struct sleeper *sleeper)
{
	for (uint64_t i = 0; i < sleeper->count; i++) {
		struct item *item = &sleeper->items[i];

		if (i >= sleeper->vram && !gpu_move(&sleeper->gpu, &item->object, EDGPU_PLACEMENT_SYSTEM))
			return false;
		item->generation++;
		if (!write_item(sleeper, i))
			return false;
	}
	return true;
}

static void verify_all(struct sleeper *sleeper)
{
	/* First where it is: who uses an object may move it. */
	for (uint64_t i = 0; i < sleeper->count && !sleeper->overcommitted; i++)
		verify_placement(sleeper, i);
	for (uint64_t i = 0; i < sleeper->count; i++) {
		verify_by_cpu(sleeper, i);
		verify_by_device(sleeper, i);
		verify_by_second(sleeper, i);
	}
	for (unsigned int i = 0; i < sleeper->num_purgeable; i++)
		verify_purgeable(sleeper, i);
	/* Once something is wrong, nothing that comes is worth more. */
	if (!told_to_end && !report_mismatches() && !prepare_next(sleeper))
		report_mismatch("%s", failure());
	sleeper->verified++;
	printf("verified %" PRIu64 " mismatches %" PRIu64 " jobs %" PRIu64 "\n", sleeper->verified,
	       report_mismatches(), sleeper->jobs);
	fflush(stdout);
}

/* ---- Engines and writers ---- */

static void copy_and_checksum(struct sleeper *sleeper, uint64_t index)
{
	struct item *item = &sleeper->items[index];
	unsigned int engine = (unsigned int)(sleeper->jobs++ % sleeper->gpu.engines);
	struct drm_edgpu_cmd cmd = {
		.op = EDGPU_CMD_COPY,
		.src_handle = item->object.handle,
		.dst_handle = sleeper->scratch.handle,
		.len = item->object.size,
	};
	uint64_t found;

	if (!gpu_submit(&sleeper->gpu, engine, &cmd, 1) ||
	    !checksum_of(&sleeper->device, engine, &sleeper->scratch, &found))
		report_mismatch("copy of object %" PRIu64 ": %s", index, failure());
	else if (found != item->checksum)
		report_mismatch("copy of object %" PRIu64 ": checksum 0x%016" PRIx64 " instead of 0x%016" PRIx64,
				index, found, item->checksum);
}

/* Each round adds one to a word of each page, if it is still what the last round made of it. */
static void *write_words(void *argument)
{
	BUS_ERROR_GUARD;
	struct writer *writer = argument;
	size_t pages = writer->object.size / PAGE;

	if (bus_error()) {
		report_mismatch("writer %u: SIGBUS in round %" PRIu64, writer->index, writer->rounds);
		return NULL;
	}
	while (!atomic_load(&writer->sleeper->stop)) {
		for (size_t page = 0; page < pages; page++) {
			volatile uint64_t *word = &writer->words[page * (PAGE / 8) + page % (PAGE / 8)];
			uint64_t found = *word;

			if (found != writer->rounds) {
				report_mismatch("writer %u, page %zu: %" PRIu64 " instead of %" PRIu64,
						writer->index, page, found, writer->rounds);
				return NULL;
			}
			*word = found + 1;
		}
		writer->rounds++;
	}
	return NULL;
}

static bool start_writer(struct sleeper *sleeper, unsigned int index)
{
	struct writer *writer = &sleeper->writers[index];

	writer->sleeper = sleeper;
	writer->index = index;
	if (!gpu_create(&sleeper->gpu, &writer->object, sleeper->object_size,
			EDGPU_PLACEMENT_VRAM | EDGPU_PLACEMENT_SYSTEM, (uint32_t)sleeper->caching) ||
	    !gpu_move(&sleeper->gpu, &writer->object, EDGPU_PLACEMENT_VRAM) ||
	    !gpu_map(&sleeper->gpu, &writer->object, (void **)&writer->words))
		return false;
	return thread_start(&writer->thread, write_words, writer);
}

static void *send_pages(void *argument)
{
	struct courier *courier = argument;
	uint64_t page[PAGE / 8] = { 0 };

	for (; !atomic_load(&courier->sleeper->stop); page[0]++)
		if (write(courier->ends[1], page, PAGE) != PAGE) {
			report_mismatch("write to the pipe: %s", strerror(errno));
			break;
		}
	close(courier->ends[1]);
	return NULL;
}

/* The kernel writes to VRAM here, and has the pipe locked while it does. */
static void *receive_pages(void *argument)
{
	BUS_ERROR_GUARD;
	struct courier *courier = argument;
	uint64_t places = courier->object.size / PAGE;
	ssize_t got;

	if (bus_error()) {
		report_mismatch("pipe: SIGBUS at page %" PRIu64, courier->pages);
		return NULL;
	}
	for (;; courier->pages++) {
		volatile uint64_t *words = courier->words + courier->pages % places * (PAGE / 8);

		got = read(courier->ends[0], (void *)words, PAGE);
		if (got != PAGE)
			break;
		if (words[0] != courier->pages)
			report_mismatch("pipe: page %" PRIu64 " instead of %" PRIu64, words[0], courier->pages);
	}
	if (got)
		report_mismatch("read from the pipe: %s", got < 0 ? strerror(errno) : "part of a page");
	return NULL;
}

static bool start_courier(struct sleeper *sleeper)
{
	struct courier *courier = &sleeper->courier;

	courier->sleeper = sleeper;
	if (!gpu_create(&sleeper->gpu, &courier->object, sleeper->object_size, EDGPU_PLACEMENT_VRAM, 0) ||
	    !gpu_map(&sleeper->gpu, &courier->object, (void **)&courier->words))
		return false;
	if (pipe2(courier->ends, O_CLOEXEC))
		return fail("pipe: %s", strerror(errno));
	if (!thread_start(&courier->receiver, receive_pages, courier))
		return false;
	if (thread_start(&courier->sender, send_pages, courier))
		return true;
	/* Where nobody can write, the receiver comes to the end of the pipe. */
	close(courier->ends[1]);
	return false;
}

static bool start_visitors(struct sleeper *sleeper)
{
	for (unsigned int kind = 0; kind < VISITOR_KINDS; kind++) {
		struct visitor *visitor = &sleeper->visitors[kind];

		*visitor = (struct visitor){
			.kind = kind,
			.gpu = &sleeper->gpu,
			.second = &sleeper->second,
			.stop = &sleeper->stop,
		};
		if (sleeper->visited[kind] && !visitor_start(visitor))
			return false;
	}
	return true;
}

/* ---- Life ---- */

static bool catch_signals(void)
{
	struct sigaction action = { .sa_handler = on_signal };

	return (!sigaction(SIGTERM, &action, NULL) && !sigaction(SIGUSR1, &action, NULL)) ||
	       fail("sigaction: %s", strerror(errno));
}

static bool set_up(struct sleeper *sleeper)
{
	sleeper->items = calloc(sleeper->count ? sleeper->count : 1, sizeof(*sleeper->items));
	if (!sleeper->items)
		return fail("calloc: %s", strerror(errno));
	if (!catch_signals() || !gpu_open(&sleeper->gpu) ||
	    !checksum_init(&sleeper->device, &sleeper->gpu, sleeper->seed))
		return false;
	if (sleeper->pinned && (!gpu_open_unit(&sleeper->second, 1) ||
				!checksum_init(&sleeper->second_device, &sleeper->second, sleeper->seed)))
		return false;
	if (sleeper->busy && !gpu_create(&sleeper->gpu, &sleeper->scratch, sleeper->object_size,
					 EDGPU_PLACEMENT_VRAM, 0))
		return false;
	for (uint64_t i = 0; i < sleeper->count; i++)
		if (!make_item(sleeper, i))
			return false;
	for (unsigned int i = 0; i < sleeper->num_purgeable; i++)
		if (!gpu_create(&sleeper->gpu, &sleeper->purgeable[i], sleeper->object_size,
				EDGPU_PLACEMENT_VRAM | EDGPU_PLACEMENT_SYSTEM, (uint32_t)sleeper->caching) ||
		    !offer_purgeable(sleeper, i))
			return false;
	for (unsigned int i = 0; i < sleeper->num_writers; i++)
		if (!start_writer(sleeper, i))
			return false;
	return (!sleeper->pipe || start_courier(sleeper)) && start_visitors(sleeper);
}

static void live(struct sleeper *sleeper)
{
	sig_atomic_t verified = 0;
	uint64_t turn = 0;

	printf("holding\n");
	fflush(stdout);
	while (!told_to_end) {
		if (verified != told_to_verify) {
			verified++;
			verify_all(sleeper);
		} else if (sleeper->busy && sleeper->vram) {
			copy_and_checksum(sleeper, turn++ % sleeper->vram);
		} else {
			usleep(10000);
		}
	}
}

static uint64_t end_writers(struct sleeper *sleeper, uint64_t *visits)
{
	uint64_t rounds = 0;

	atomic_store(&sleeper->stop, true);
	for (unsigned int i = 0; i < sleeper->num_writers; i++) {
		if (!sleeper->writers[i].thread)
			continue;
		pthread_join(sleeper->writers[i].thread, NULL);
		rounds += sleeper->writers[i].rounds;
	}
	if (sleeper->courier.sender)
		pthread_join(sleeper->courier.sender, NULL);
	if (sleeper->courier.receiver)
		pthread_join(sleeper->courier.receiver, NULL);
	for (unsigned int kind = 0; kind < VISITOR_KINDS; kind++) {
		visitor_join(&sleeper->visitors[kind]);
		*visits += sleeper->visitors[kind].rounds;
	}
	return rounds;
}

int sleeper_main(int argc, char **argv)
{
	struct sleeper sleeper = { 0 };
	const struct option_spec specs[] = {
		{ .name = "vram", .value = &sleeper.vram },
		{ .name = "system", .value = &sleeper.system },
		{ .name = "object-size", .value = &sleeper.object_size },
		{ .name = "seed", .value = &sleeper.seed },
		{ .name = "caching", .value = &sleeper.caching, .words = caching_words, .optional = true },
		{ .name = "busy", .value = &sleeper.busy, .words = yes_words, .optional = true },
		{ .name = "writers", .value = &sleeper.num_writers, .optional = true },
		{ .name = "exported", .value = &sleeper.exported, .words = yes_words, .optional = true },
		{ .name = "pinned", .value = &sleeper.pinned, .words = yes_words, .optional = true },
		{ .name = "purgeable", .value = &sleeper.num_purgeable, .optional = true },
		{ .name = "overcommitted", .value = &sleeper.overcommitted, .words = yes_words, .optional = true },
		{ .name = "pipe", .value = &sleeper.pipe, .words = yes_words, .optional = true },
		{ .name = "attached", .value = &sleeper.visited[VISITOR_ATTACHES], .words = yes_words,
		  .optional = true },
		{ .name = "debugged", .value = &sleeper.visited[VISITOR_DEBUGS], .words = yes_words,
		  .optional = true },
		{ .name = "filed", .value = &sleeper.visited[VISITOR_FILES], .words = yes_words,
		  .optional = true },
	};
	uint64_t rounds, visits = 0;

	if (!options_parse("sleeper", specs, sizeof(specs) / sizeof(*specs), argc, argv))
		return EXIT_USAGE;
	sleeper.count = sleeper.vram + sleeper.system;
	if (!sleeper.object_size || sleeper.object_size % PAGE || sleeper.count > MAX_OBJECTS ||
	    sleeper.num_writers > MAX_WRITERS || sleeper.num_purgeable > MAX_PURGEABLE) {
		options_complain("sleeper", "--object-size is not in pages, or there are too many objects or writers");
		return EXIT_USAGE;
	}
	if (process_name("sleeper") && set_up(&sleeper)) {
		live(&sleeper);
		verify_all(&sleeper);
	}
	rounds = end_writers(&sleeper, &visits);
	report_open();
	report_number("verified", sleeper.verified);
	report_number("jobs", sleeper.jobs);
	report_number("writes", rounds);
	report_number("pages", sleeper.courier.pages);
	report_number("visits", visits);
	report_number("discarded", sleeper.discarded);
	report_number("retained", sleeper.retained);
	return report_close();
}
