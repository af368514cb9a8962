/*
 * smoke: objects worth more than the memory the device reaches keep their
 * content while CPU, engines, VRAM and swap have their turn with it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bus_error.h"
#include "lib/checksum.h"
#include "lib/clock.h"
#include "lib/driver_files.h"
#include "lib/failure.h"
#include "lib/gpu.h"
#include "lib/options.h"
#include "lib/pattern.h"
#include "lib/report.h"
#include "lib/swap.h"
#include "programs/programs.h"

#define PAGE 4096
#define MAX_OBJECTS 1000000
#define ANYWHERE (EDGPU_PLACEMENT_SYSTEM | EDGPU_PLACEMENT_VRAM)
/* What objects are overwritten with between copy out and copy back. */
#define BLANK 0xDEADC0DEDEADC0DEull

struct options {
	uint64_t bytes;
	uint64_t object_size;
	uint64_t seed;
	uint64_t rounds;
	uint64_t caching;
	uint64_t pattern;
	uint64_t flip;
};

/* As many words in a row that are the same. */
static const char *const pattern_words[] = { "random", "compressible", NULL };
static const size_t pattern_repeats[] = { 1, 8 };

enum phase { PHASE_WRITE, PHASE_EVICT, PHASE_VERIFY, PHASES };

static const char *const phase_names[PHASES] = { "write", "evict", "verify" };

struct item {
	struct object object;
	uint64_t checksum;
};

struct smoke {
	struct options options;
	struct gpu gpu;
	struct item *items;
	uint64_t count;
	uint64_t round;
	struct object staging;		/* in VRAM */
	struct checksum device;
	struct swap_counts swap;
	uint64_t swapped;		/* pages of objects, when all were written */
	uint64_t bytes_verified;
	uint64_t checksums_verified;
	uint64_t longest_job_ns;	/* from its submission to its end */
	uint64_t longest_fault_ns;
	uint64_t phase_ms[PHASES];
};

/* ---- Findings ---- */

static void mismatch(const struct smoke *smoke, uint64_t index, const char *what, uint64_t found,
		     uint64_t expected, uint64_t offset)
{
	report_mismatch("round %" PRIu64 ", object %" PRIu64 ", %s: 0x%016" PRIx64
			" instead of 0x%016" PRIx64 " at offset %" PRIu64,
			smoke->round, index, what, found, expected, offset);
}

static uint64_t key_of(const struct smoke *smoke, uint64_t index)
{
	return pattern_key(smoke->options.seed, index, smoke->round);
}

/* Objects take turns with the engines. */
static unsigned int engine_of(const struct smoke *smoke, uint64_t index)
{
	return (unsigned int)(index % smoke->gpu.engines);
}

/* ---- By the engines ---- */

static void note_longest(uint64_t *longest, uint64_t start)
{
	uint64_t took = now_ns() - start;

	if (took > *longest)
		*longest = took;
}

static bool run(struct smoke *smoke, uint64_t index, struct drm_edgpu_cmd *cmds,
		unsigned int count, const struct object *last)
{
	uint64_t start = now_ns();

	if (!gpu_submit(&smoke->gpu, engine_of(smoke, index), cmds, count) ||
	    !gpu_wait(&smoke->gpu, last))
		return false;
	note_longest(&smoke->longest_job_ns, start);
	return true;
}

/* Of the object with this index, or of a copy of it. */
static bool checksum(struct smoke *smoke, uint64_t index, const struct object *object, const char *what)
{
	const struct item *item = &smoke->items[index];
	uint64_t found, start = now_ns();

	if (!checksum_of(&smoke->device, engine_of(smoke, index), object, &found))
		return false;
	note_longest(&smoke->longest_job_ns, start);
	if (found == item->checksum)
		smoke->checksums_verified++;
	else
		mismatch(smoke, index, what, found, item->checksum, 0);
	return true;
}

/* To VRAM and back as the same object. */
static bool move_there_and_back(struct smoke *smoke, uint64_t index)
{
	const struct object *object = &smoke->items[index].object;

	return gpu_move(&smoke->gpu, object, EDGPU_PLACEMENT_VRAM) &&
	       checksum(smoke, index, object, "checksum in VRAM after swap") &&
	       gpu_move(&smoke->gpu, object, EDGPU_PLACEMENT_SYSTEM);
}

/*
 * To VRAM and back between objects; blank in between, so that nothing stays by
 * doing nothing. Had all three not been done, then VRAM would not have it.
 * Whatever else goes wrong shows in the next checksum.
 */
static bool copy_there_and_back(struct smoke *smoke, uint64_t index)
{
	const struct object *object = &smoke->items[index].object;
	struct drm_edgpu_cmd cmds[] = {
		{
			.op = EDGPU_CMD_COPY,
			.src_handle = object->handle,
			.dst_handle = smoke->staging.handle,
			.len = object->size,
		},
		{
			.op = EDGPU_CMD_FILL,
			.dst_handle = object->handle,
			.len = object->size,
			.value = BLANK,
		},
		{
			.op = EDGPU_CMD_COPY,
			.src_handle = smoke->staging.handle,
			.dst_handle = object->handle,
			.len = object->size,
		},
	};

	return run(smoke, index, cmds, sizeof(cmds) / sizeof(*cmds), object) &&
	       checksum(smoke, index, &smoke->staging, "checksum of the copy in VRAM");
}

/* ---- By the CPU ---- */

/* The first access to a mapping: the object may have to be brought back for it. */
static void access_first(struct smoke *smoke, const volatile char *data)
{
	uint64_t start = now_ns();

	(void)*data;
	note_longest(&smoke->longest_fault_ns, start);
}

static bool write_object(struct smoke *smoke, uint64_t index)
{
	BUS_ERROR_GUARD;
	struct item *item = &smoke->items[index];
	uint64_t key = key_of(smoke, index);
	size_t hashed = checksum_len(&item->object);
	char *data;

	if (!gpu_map(&smoke->gpu, &item->object, (void **)&data))
		return false;
	if (bus_error())
		return fail("write to object %" PRIu64 " through mmap: SIGBUS", index);
	access_first(smoke, data);

	item->checksum = pattern_write(data, hashed, key, smoke->options.seed);
	pattern_write(data + hashed, item->object.size - hashed, pattern_word(key, hashed), 0);
	return gpu_unmap(&item->object, data);
}

static bool verify_object(struct smoke *smoke, uint64_t index)
{
	BUS_ERROR_GUARD;
	const struct object *object = &smoke->items[index].object;
	uint64_t key = key_of(smoke, index);
	size_t offset;
	void *data;

	if (!gpu_map(&smoke->gpu, object, &data))
		return false;
	if (bus_error())
		return fail("read of object %" PRIu64 " through mmap: SIGBUS", index);
	access_first(smoke, data);

	if (pattern_matches(data, object->size, key, &offset))
		smoke->bytes_verified += object->size;
	else
		mismatch(smoke, index, "content", *(uint64_t *)((char *)data + offset),
			 pattern_word(key, offset), offset);
	return gpu_unmap(object, data);
}

/* ---- Phases ---- */

static bool create_object(struct smoke *smoke, uint64_t index)
{
	return smoke->round ||
	       gpu_create(&smoke->gpu, &smoke->items[index].object, smoke->options.object_size,
			  ANYWHERE, (uint32_t)smoke->options.caching);
}

static bool write_step(struct smoke *smoke, uint64_t index)
{
	return create_object(smoke, index) && write_object(smoke, index) &&
	       checksum(smoke, index, &smoke->items[index].object, "checksum in system memory") &&
	       copy_there_and_back(smoke, index);
}

/*
 * The other way round: what was written last is still there, so that no more
 * is swapped than does not fit. From the first to the last, all would be.
 */
static bool verify_step(struct smoke *smoke, uint64_t nth)
{
	uint64_t index = smoke->count - 1 - nth;

	return move_there_and_back(smoke, index) && verify_object(smoke, index);
}

/*
 * More objects than memory are partly in swap by now. Where that is little, or
 * there is memory for all, the kernel is asked to swap an eighth of it.
 */
static bool evict(struct smoke *smoke)
{
	uint64_t goal = smoke->options.bytes / 8;
	struct swap_counts now;
	uint64_t done;

	if (!driver_evict(&smoke->gpu) || !swap_read(&now))
		return false;
	done = (now.out - smoke->swap.out) * PAGE;
	if (done < goal && !swap_reclaim(goal - done))
		return false;
	return swap_of_all(&smoke->gpu, &smoke->swapped, NULL);
}

/* A control: one bit in the middle of one object goes wrong. */
static bool flip_bit(struct smoke *smoke)
{
	BUS_ERROR_GUARD;
	const struct object *object = &smoke->items[smoke->options.flip - 1].object;
	uint64_t *data;

	if (!gpu_map(&smoke->gpu, object, (void **)&data))
		return false;
	if (bus_error())
		return fail("flip of a bit through mmap: SIGBUS");
	data[object->size / 16] ^= 1ull << smoke->options.seed % 64;
	return gpu_unmap(object, data);
}

static bool for_each_object(struct smoke *smoke, enum phase phase,
			    bool (*step)(struct smoke *smoke, uint64_t nth))
{
	uint64_t count = smoke->count;

	for (uint64_t nth = 0; nth < count; nth++) {
		if (!step(smoke, nth))
			return false;
		/* At each quarter. */
		if ((nth + 1) * 4 / count != nth * 4 / count)
			fprintf(stderr, "round %" PRIu64 "/%" PRIu64 " %s: %" PRIu64 "/%" PRIu64 " objects\n",
				smoke->round + 1, smoke->options.rounds, phase_names[phase],
				nth + 1, count);
	}
	return true;
}

static bool run_phase(struct smoke *smoke, enum phase phase)
{
	uint64_t start = now_ns();
	bool ok = false;

	switch (phase) {
	case PHASE_WRITE:
		ok = for_each_object(smoke, phase, write_step);
		break;
	case PHASE_EVICT:
		ok = evict(smoke) && (!smoke->options.flip || flip_bit(smoke));
		break;
	case PHASE_VERIFY:
		ok = for_each_object(smoke, phase, verify_step);
		break;
	case PHASES:
		break;
	}
	smoke->phase_ms[phase] += (now_ns() - start) / 1000000;
	return ok;
}

static bool set_up(struct smoke *smoke)
{
	size_t size = smoke->options.object_size;

	smoke->items = calloc(smoke->count, sizeof(*smoke->items));
	if (!smoke->items)
		return fail("calloc: %s", strerror(errno));
	if (!swap_read(&smoke->swap))
		return false;
	if (!gpu_create(&smoke->gpu, &smoke->staging, size, EDGPU_PLACEMENT_VRAM,
			EDGPU_CACHING_CACHED) ||
	    !checksum_init(&smoke->device, &smoke->gpu, smoke->options.seed))
		return false;
	return true;
}

static bool run_rounds(struct smoke *smoke)
{
	for (smoke->round = 0; smoke->round < smoke->options.rounds; smoke->round++)
		for (enum phase phase = 0; phase < PHASES; phase++)
			if (!run_phase(smoke, phase))
				return false;
	return true;
}

/* ---- Report ---- */

static enum exit_code report(const struct smoke *smoke)
{
	struct swap_counts swap = smoke->swap;

	swap_read(&swap);
	report_open();
	report_number("bytesVerified", smoke->bytes_verified);
	report_number("checksumsVerified", smoke->checksums_verified);
	report_number("objects", smoke->count);
	report_number("pagesInSwap", smoke->swapped);
	report_number("pswpout", swap.out - smoke->swap.out);
	report_number("pswpin", swap.in - smoke->swap.in);
	report_number("longestJobMs", smoke->longest_job_ns / 1000000);
	report_number("longestFaultMs", smoke->longest_fault_ns / 1000000);
	report_open_group("phasesMs");
	for (enum phase phase = 0; phase < PHASES; phase++)
		report_number(phase_names[phase], smoke->phase_ms[phase]);
	report_close_group();
	return report_close();
}

/* ---- Arguments ---- */

static bool parse_options(struct options *options, int argc, char **argv)
{
	const struct option_spec specs[] = {
		{ .name = "bytes", .value = &options->bytes },
		{ .name = "object-size", .value = &options->object_size },
		{ .name = "seed", .value = &options->seed },
		{ .name = "rounds", .value = &options->rounds, .optional = true },
		{ .name = "caching", .value = &options->caching, .words = caching_words,
		  .optional = true },
		{ .name = "pattern", .value = &options->pattern, .words = pattern_words,
		  .optional = true },
		{ .name = "flip", .value = &options->flip, .optional = true },
	};

	options->rounds = 1;
	return options_parse("smoke", specs, sizeof(specs) / sizeof(*specs), argc, argv);
}

static bool check_options(const struct options *options)
{
	if (!options->object_size || options->object_size % PAGE)
		return options_complain("smoke", "--object-size is not a multiple of 4096");
	if (!options->bytes || options->bytes % options->object_size)
		return options_complain("smoke", "--bytes is not a multiple of --object-size");
	if (options->bytes / options->object_size > MAX_OBJECTS)
		return options_complain("smoke", "--bytes is more than 1000000 objects of --object-size");
	if (!options->rounds)
		return options_complain("smoke", "--rounds is 0");
	if (options->flip > options->bytes / options->object_size)
		return options_complain("smoke", "--flip is past the last object");
	return true;
}

int smoke_main(int argc, char **argv)
{
	struct smoke smoke = { 0 };

	if (!parse_options(&smoke.options, argc, argv) || !check_options(&smoke.options))
		return EXIT_USAGE;
	smoke.count = smoke.options.bytes / smoke.options.object_size;
	pattern_repeat(pattern_repeats[smoke.options.pattern]);

	if (gpu_open(&smoke.gpu)) {
		if (smoke.options.object_size > smoke.gpu.vram_size) {
			options_complain("smoke", "--object-size is more than the VRAM");
			return EXIT_USAGE;
		}
		if (set_up(&smoke))
			run_rounds(&smoke);
	}
	return report(&smoke);
}
