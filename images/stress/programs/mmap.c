/*
 * mmap: four threads write to objects through mappings while the objects move
 * between VRAM, system memory and swap. Each word belongs to one thread, which
 * knows what it last wrote there, and looks for it through a second mapping
 * before it writes again. At the end the device looks, too.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/bus_error.h"
#include "lib/checksum.h"
#include "lib/driver_files.h"
#include "lib/failure.h"
#include "lib/gpu.h"
#include "lib/options.h"
#include "lib/random.h"
#include "lib/report.h"
#include "lib/swap.h"
#include "lib/thread.h"
#include "programs/programs.h"

#define PAGE 4096
#define WRITERS 4
/* Words of its own that a writer visits one after the other. */
#define RUN 32
/* Each writer writes at least so often between two moves. */
#define WRITES_BETWEEN_MOVES (4 * RUN)
#define ANYWHERE (EDGPU_PLACEMENT_SYSTEM | EDGPU_PLACEMENT_VRAM)

enum move { MOVE_VRAM, MOVE_SYSTEM, MOVE_EVICT, MOVE_RECLAIM, MOVE_SWAP, MOVES };

static const char *const move_names[MOVES] = { "vram", "system", "evict", "reclaim", "swap" };

struct item {
	struct object object;
	volatile uint64_t *write_view;
	volatile uint64_t *read_view;
	uint64_t *expected;
};

struct mmap_test;

struct writer {
	struct mmap_test *test;
	pthread_t thread;
	unsigned int id;
	struct random random;
	uint64_t writes;	/* read by the mover */
	bool waits;		/* read by the mover */
	uint64_t to_lose;
};

struct mmap_test {
	struct {
		uint64_t objects;
		uint64_t object_size;
		uint64_t rounds;
		uint64_t caching;
		uint64_t seed;
		uint64_t lose;
	} options;
	struct gpu gpu;
	struct checksum checksum;
	struct item *items;
	struct writer writers[WRITERS];
	unsigned int started;
	bool stop;
	bool hold;		/* writers wait as long as it is set */
	struct random random;	/* of the mover */
	uint64_t moves[MOVES];
	uint64_t most_swapped;	/* pages of the objects' own, at a time */
	uint64_t most_copied;	/* of their copies */
	uint64_t bytes_verified;
	uint64_t checksums_verified;
	struct swap_counts swap;
};

static uint64_t words(const struct mmap_test *test)
{
	return test->options.object_size / sizeof(uint64_t);
}

/* ---- Writers ---- */

static bool stopped(const struct mmap_test *test)
{
	return __atomic_load_n(&test->stop, __ATOMIC_RELAXED);
}

static void visit(struct writer *writer, uint64_t index, uint64_t word)
{
	struct item *item = &writer->test->items[index];
	uint64_t found = item->read_view[word];
	uint64_t value = (writer->writes + 1) * WRITERS + writer->id;

	if (found != item->expected[word])
		report_mismatch("object %" PRIu64 ", word %" PRIu64 ": 0x%" PRIx64 " instead of 0x%"
				PRIx64 ", after %" PRIu64 " writes", index, word, found,
				item->expected[word], writer->writes);

	item->write_view[word] = value;
	item->expected[word] = value;
	__atomic_store_n(&writer->writes, writer->writes + 1, __ATOMIC_RELAXED);
}

/* The deliberate fault: the writer is sure that it has written. */
static void lose_writes(struct writer *writer)
{
	for (uint64_t i = 0; i < writer->to_lose; i++)
		writer->test->items[0].expected[i * WRITERS + writer->id] ^= 1;
}

static void wait_while_held(struct writer *writer)
{
	while (__atomic_load_n(&writer->test->hold, __ATOMIC_ACQUIRE) && !stopped(writer->test)) {
		__atomic_store_n(&writer->waits, true, __ATOMIC_RELEASE);
		usleep(100);
	}
	__atomic_store_n(&writer->waits, false, __ATOMIC_RELEASE);
}

static void *write_until_stopped(void *data)
{
	BUS_ERROR_GUARD;
	struct writer *writer = data;
	struct mmap_test *test = writer->test;

	if (bus_error()) {
		fail("writer %u: SIGBUS after %" PRIu64 " writes", writer->id, writer->writes);
		__atomic_store_n(&test->stop, true, __ATOMIC_RELAXED);
		return NULL;
	}
	while (!stopped(test)) {
		uint64_t index = random_below(&writer->random, test->options.objects);
		uint64_t start = random_below(&writer->random, words(test) / WRITERS);

		wait_while_held(writer);
		for (uint64_t i = start; i < start + RUN && i < words(test) / WRITERS; i++)
			visit(writer, index, i * WRITERS + writer->id);
	}
	lose_writes(writer);
	return NULL;
}

static bool start_writers(struct mmap_test *test)
{
	for (unsigned int i = 0; i < WRITERS; i++) {
		struct writer *writer = &test->writers[i];

		*writer = (struct writer) {
			.test = test,
			.id = i,
			.random = random_seeded(test->options.seed, 1 + i),
			.to_lose = i ? 0 : test->options.lose,
		};
		if (!thread_start(&writer->thread, write_until_stopped, writer))
			return false;
		test->started++;
	}
	return true;
}

static void stop_writers(struct mmap_test *test)
{
	__atomic_store_n(&test->stop, true, __ATOMIC_RELAXED);
	for (unsigned int i = 0; i < test->started; i++)
		pthread_join(test->writers[i].thread, NULL);
}

/* ---- The mover ---- */

static bool count_swapped(struct mmap_test *test)
{
	uint64_t pages, copied;

	if (!swap_of_all(&test->gpu, &pages, &copied))
		return false;
	if (pages - copied > test->most_swapped)
		test->most_swapped = pages - copied;
	if (copied > test->most_copied)
		test->most_copied = copied;
	return true;
}

/* No writer is within a run of writes when it returns. */
static void hold_writers(struct mmap_test *test)
{
	__atomic_store_n(&test->hold, true, __ATOMIC_RELEASE);
	for (int i = 0; i < WRITERS; i++)
		while (!__atomic_load_n(&test->writers[i].waits, __ATOMIC_ACQUIRE) && !stopped(test))
			usleep(100);
}

/*
 * All of an object goes to swap, while the writers wait: otherwise they bring
 * back what is taken before it can be counted. They find it there afterwards.
 */
static bool swap_object(struct mmap_test *test, const struct object *object)
{
	bool swapped;

	hold_writers(test);
	swapped = gpu_move(&test->gpu, object, EDGPU_PLACEMENT_SYSTEM) && driver_evict(&test->gpu) &&
		  swap_out(&test->gpu, object, object->size) && count_swapped(test);
	__atomic_store_n(&test->hold, false, __ATOMIC_RELEASE);
	return swapped;
}

static bool move(struct mmap_test *test, enum move kind)
{
	const struct object *object =
		&test->items[random_below(&test->random, test->options.objects)].object;

	test->moves[kind]++;
	switch (kind) {
	case MOVE_VRAM:
		return gpu_move(&test->gpu, object, EDGPU_PLACEMENT_VRAM);
	case MOVE_SYSTEM:
		return gpu_move(&test->gpu, object, EDGPU_PLACEMENT_SYSTEM);
	case MOVE_EVICT:
		return driver_evict(&test->gpu);
	case MOVE_RECLAIM:
		/* No more: the writers bring back what is taken, so that it takes long. */
		return swap_reclaim(test->options.object_size);
	case MOVE_SWAP:
		return swap_object(test, object);
	case MOVES:
		break;
	}
	return false;
}

/* A write between moves shows what the move before it left behind. */
static void let_write(struct mmap_test *test)
{
	uint64_t goal[WRITERS];

	for (int i = 0; i < WRITERS; i++)
		goal[i] = __atomic_load_n(&test->writers[i].writes, __ATOMIC_RELAXED) +
			  WRITES_BETWEEN_MOVES;
	for (int i = 0; i < WRITERS; i++)
		while (__atomic_load_n(&test->writers[i].writes, __ATOMIC_RELAXED) < goal[i] &&
		       !stopped(test))
			usleep(100);
}

static bool move_objects(struct mmap_test *test)
{
	/* What has to win against the writers takes long. */
	static const enum move often[] = {
		MOVE_VRAM, MOVE_SYSTEM, MOVE_VRAM, MOVE_SYSTEM, MOVE_EVICT, MOVE_RECLAIM,
		MOVE_VRAM, MOVE_SYSTEM, MOVE_SWAP,
	};

	for (uint64_t round = 0; round < test->options.rounds && !stopped(test); round++) {
		enum move kind = often[random_below(&test->random, sizeof(often) / sizeof(*often))];

		/* Each kind once, whatever the seed is. */
		if (round < MOVES)
			kind = (enum move)round;
		if (!move(test, kind))
			return false;
		let_write(test);
	}
	return true;
}

/* ---- Afterwards ---- */

static bool verify_item(struct mmap_test *test, uint64_t index)
{
	BUS_ERROR_GUARD;
	struct item *item = &test->items[index];
	size_t size = item->object.size;
	uint64_t found, expected = checksum_expected(&test->checksum, item->expected, size);
	bool right = true;

	if (!checksum_of(&test->checksum, (unsigned int)(index % test->gpu.engines), &item->object,
			 &found))
		return false;
	if (found == expected)
		test->checksums_verified++;
	else
		report_mismatch("object %" PRIu64 ", checksum: 0x%016" PRIx64 " instead of 0x%016"
				PRIx64, index, found, expected);

	if (bus_error())
		return fail("read of object %" PRIu64 ": SIGBUS", index);
	for (uint64_t word = 0; word < words(test); word++) {
		if (item->read_view[word] == item->expected[word])
			continue;
		right = false;
		report_mismatch("object %" PRIu64 ", word %" PRIu64 " at the end: 0x%" PRIx64
				" instead of 0x%" PRIx64, index, word, item->read_view[word],
				item->expected[word]);
	}
	test->bytes_verified += right ? size : 0;
	return true;
}

static bool create_item(struct mmap_test *test, uint64_t index)
{
	struct item *item = &test->items[index];
	size_t size = test->options.object_size;

	item->expected = calloc(1, size);
	if (!item->expected)
		return fail("calloc: %s", strerror(errno));
	return gpu_create(&test->gpu, &item->object, size, ANYWHERE,
			  (uint32_t)test->options.caching) &&
	       gpu_map(&test->gpu, &item->object, (void **)&item->write_view) &&
	       gpu_map(&test->gpu, &item->object, (void **)&item->read_view);
}

static bool for_each(struct mmap_test *test, bool (*step)(struct mmap_test *test, uint64_t index))
{
	for (uint64_t i = 0; i < test->options.objects; i++)
		if (!step(test, i))
			return false;
	return true;
}

static bool run(struct mmap_test *test)
{
	bool moved;

	test->random = random_seeded(test->options.seed, 0);
	test->items = calloc(test->options.objects, sizeof(*test->items));
	if (!test->items)
		return fail("calloc: %s", strerror(errno));
	if (!swap_read(&test->swap) || !gpu_open(&test->gpu) ||
	    !checksum_init(&test->checksum, &test->gpu, test->options.seed) ||
	    !for_each(test, create_item))
		return false;
	moved = start_writers(test) && move_objects(test);
	stop_writers(test);
	return moved && for_each(test, verify_item);
}

static enum exit_code tell(const struct mmap_test *test)
{
	struct swap_counts swap = test->swap;
	uint64_t writes = 0;

	swap_read(&swap);
	for (int i = 0; i < WRITERS; i++)
		writes += test->writers[i].writes;
	report_open();
	report_number("writes", writes);
	report_number("bytesVerified", test->bytes_verified);
	report_number("checksumsVerified", test->checksums_verified);
	report_number("mostPagesInSwap", test->most_swapped);
	report_number("mostCopiesInSwap", test->most_copied);
	report_number("pswpout", swap.out - test->swap.out);
	report_number("pswpin", swap.in - test->swap.in);
	report_open_group("moves");
	for (enum move kind = 0; kind < MOVES; kind++)
		report_number(move_names[kind], test->moves[kind]);
	report_close_group();
	return report_close();
}

int mmap_main(int argc, char **argv)
{
	struct mmap_test test = { 0 };
	const struct option_spec specs[] = {
		{ .name = "objects", .value = &test.options.objects },
		{ .name = "object-size", .value = &test.options.object_size },
		{ .name = "rounds", .value = &test.options.rounds },
		{ .name = "seed", .value = &test.options.seed },
		{ .name = "caching", .value = &test.options.caching, .words = caching_words,
		  .optional = true },
		{ .name = "lose", .value = &test.options.lose, .optional = true },
	};

	if (!options_parse("mmap", specs, sizeof(specs) / sizeof(*specs), argc, argv))
		return EXIT_USAGE;
	if (test.options.lose > words(&test) / WRITERS) {
		options_complain("mmap", "--lose is more than a writer's words");
		return EXIT_USAGE;
	}
	if (!test.options.objects || !test.options.object_size || test.options.object_size % PAGE) {
		options_complain("mmap", "there must be objects, and --object-size is of pages");
		return EXIT_USAGE;
	}
	run(&test);
	return tell(&test);
}
