/*
 * objects: very many of them at a time, each with content of its own that the
 * engines write and check; how long it takes to make and to free one when there
 * are few others, and when there are all.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/bus_error.h"
#include "lib/clock.h"
#include "lib/failure.h"
#include "lib/gpu.h"
#include "lib/options.h"
#include "lib/pattern.h"
#include "lib/process_name.h"
#include "lib/report.h"
#include "lib/xxh64.h"
#include "programs/programs.h"

#define PAGE 4096
/* Freed and made again, to see how long that takes. */
#define SAMPLE 1000
#define FEW (2 * SAMPLE)

struct cost {
	uint64_t create_ns;
	uint64_t use_ns;
	uint64_t destroy_ns;
};

struct objects {
	struct gpu gpu;
	uint64_t count;
	uint64_t size;
	uint64_t seed;
	uint64_t hold;
	struct object *items;
	uint32_t *generation;		/* how often each was made: what is new has new content */
	struct object results;		/* of checksums, 8 bytes for each of a submission */
	volatile uint64_t *result;
	uint64_t verified;
	struct cost among_few;
	struct cost among_all;
};

static uint64_t value_of(const struct objects *objects, uint64_t index)
{
	return pattern_key(objects->seed, index, objects->generation[index]);
}

static uint64_t min(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* ---- Steps, each for the objects from first to end ---- */

static bool create(struct objects *objects, uint64_t first, uint64_t end)
{
	for (uint64_t i = first; i < end; i++) {
		if (!gpu_create(&objects->gpu, &objects->items[i], objects->size,
				EDGPU_PLACEMENT_SYSTEM, EDGPU_CACHING_CACHED))
			return false;
		objects->generation[i]++;
	}
	return true;
}

static bool destroy(struct objects *objects, uint64_t first, uint64_t end)
{
	for (uint64_t i = first; i < end; i++)
		if (!gpu_destroy(&objects->gpu, &objects->items[i]))
			return false;
	return true;
}

/* As many at a time as a submission may have, engine after engine. */
static bool submit_all(struct objects *objects, uint64_t first, uint64_t end,
		       void (*command)(struct objects *objects, uint64_t index,
				       struct drm_edgpu_cmd *cmd, unsigned int place),
		       bool (*done)(struct objects *objects, uint64_t first, uint64_t end))
{
	struct drm_edgpu_cmd cmds[EDGPU_MAX_CMDS];

	for (uint64_t from = first; from < end; from += EDGPU_MAX_CMDS) {
		unsigned int n = (unsigned int)min(end - from, EDGPU_MAX_CMDS);
		unsigned int engine = (unsigned int)(from / EDGPU_MAX_CMDS % objects->gpu.engines);

		memset(cmds, 0, sizeof(cmds));
		for (unsigned int i = 0; i < n; i++)
			command(objects, from + i, &cmds[i], i);
		if (!gpu_submit(&objects->gpu, engine, cmds, n) ||
		    !gpu_wait(&objects->gpu, &objects->items[from + n - 1]) ||
		    !done(objects, from, from + n))
			return false;
	}
	return true;
}

static void fill_command(struct objects *objects, uint64_t index, struct drm_edgpu_cmd *cmd,
			 unsigned int place)
{
	(void)place;
	cmd->op = EDGPU_CMD_FILL;
	cmd->dst_handle = objects->items[index].handle;
	cmd->len = objects->size;
	cmd->value = value_of(objects, index);
}

static bool nothing_to_check(struct objects *objects, uint64_t first, uint64_t end)
{
	(void)objects;
	(void)first;
	(void)end;
	return true;
}

static bool fill(struct objects *objects, uint64_t first, uint64_t end)
{
	return submit_all(objects, first, end, fill_command, nothing_to_check);
}

static void checksum_command(struct objects *objects, uint64_t index, struct drm_edgpu_cmd *cmd,
			     unsigned int place)
{
	cmd->op = EDGPU_CMD_CHECKSUM;
	cmd->src_handle = objects->items[index].handle;
	cmd->dst_handle = objects->results.handle;
	cmd->dst_offset = 8 * place;
	cmd->len = objects->size;
}

static uint64_t expected_checksum(const struct objects *objects, uint64_t index)
{
	uint64_t value = value_of(objects, index);
	struct xxh64 hash;

	xxh64_init(&hash, 0);
	for (uint64_t at = 0; at < objects->size; at += XXH64_STRIPE)
		for (int i = 0; i < XXH64_STRIPE / 8; i++)
			hash.lane[i] = xxh64_round(hash.lane[i], value);
	hash.bytes = objects->size;
	return xxh64_digest(&hash);
}

/* Results are taken away as they are read: those of one submission are not those of the next. */
static bool compare(struct objects *objects, uint64_t first, uint64_t end)
{
	uint64_t found;

	for (uint64_t i = first; i < end; i++) {
		volatile uint64_t *result = &objects->result[i - first];

		if (!bus_error_load(result, &found) || !bus_error_store(result, 0))
			return false;
		if (found == expected_checksum(objects, i))
			objects->verified++;
		else
			report_mismatch("object %" PRIu64 ": checksum 0x%016" PRIx64, i, found);
	}
	return true;
}

/* ---- The whole ---- */

/* What the last objects cost, with all the others there. */
static bool sample(struct objects *objects, uint64_t count, struct cost *cost)
{
	uint64_t first = count - min(SAMPLE, count);
	uint64_t n = count - first;
	uint64_t start = now_ns(), freed, made, used;

	if (!destroy(objects, first, count))
		return false;
	freed = now_ns();
	if (!create(objects, first, count))
		return false;
	made = now_ns();
	if (!fill(objects, first, count))
		return false;
	used = now_ns();

	*cost = (struct cost) {
		.destroy_ns = (freed - start) / n,
		.create_ns = (made - freed) / n,
		.use_ns = (used - made) / n,
	};
	return true;
}

static bool set_up(struct objects *objects)
{
	void *data;

	objects->items = calloc(objects->count, sizeof(*objects->items));
	objects->generation = calloc(objects->count, sizeof(*objects->generation));
	if (!objects->items || !objects->generation)
		return fail("calloc: %s", strerror(errno));
	if (!gpu_create(&objects->gpu, &objects->results, PAGE, EDGPU_PLACEMENT_SYSTEM,
			EDGPU_CACHING_CACHED) ||
	    !gpu_map(&objects->gpu, &objects->results, &data))
		return false;
	objects->result = data;
	return true;
}

/* Until whoever started this ends it, in whatever way. */
static void hold(void)
{
	fprintf(stderr, "holding\n");
	for (;;)
		pause();
}

static bool run(struct objects *objects)
{
	uint64_t few = min(FEW, objects->count);
	uint64_t all = objects->count;

	if (!create(objects, 0, few) || !fill(objects, 0, few) ||
	    !sample(objects, few, &objects->among_few) ||
	    !create(objects, few, all) || !fill(objects, few, all) ||
	    !sample(objects, all, &objects->among_all) ||
	    !submit_all(objects, 0, all, checksum_command, compare))
		return false;
	if (objects->hold)
		hold();
	return destroy(objects, 0, all);
}

static void report_cost(const char *name, const struct cost *cost)
{
	report_open_group(name);
	report_number("createNs", cost->create_ns);
	report_number("useNs", cost->use_ns);
	report_number("destroyNs", cost->destroy_ns);
	report_close_group();
}

int objects_main(int argc, char **argv)
{
	static const char *const hold_words[] = { "no", "yes", NULL };
	struct objects objects = { 0 };
	const struct option_spec specs[] = {
		{ .name = "count", .value = &objects.count },
		{ .name = "object-size", .value = &objects.size },
		{ .name = "seed", .value = &objects.seed },
		{ .name = "hold", .value = &objects.hold, .words = hold_words, .optional = true },
	};

	if (!options_parse("objects", specs, sizeof(specs) / sizeof(*specs), argc, argv))
		return EXIT_USAGE;
	if (!objects.count || !objects.size || objects.size % PAGE) {
		options_complain("objects", "--count is 0, or --object-size not a multiple of 4096");
		return EXIT_USAGE;
	}

	if (process_name("objects") && gpu_open(&objects.gpu) && set_up(&objects))
		run(&objects);
	report_open();
	report_number("objectsVerified", objects.verified);
	report_cost("amongFew", &objects.among_few);
	report_cost("amongAll", &objects.among_all);
	return report_close();
}
