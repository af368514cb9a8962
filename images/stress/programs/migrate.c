/*
 * migrate: what it costs that memory of this process goes to a device's and comes back: an object of TTM's that is
 * moved, pages that drm_pagemap migrates, and pages that the kernel's module test_hmm migrates, whose pretended device
 * is memory, and the CPU copies. For benches: the same memory, 2 MiB at a time, in all three.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/clock.h"
#include "lib/failure.h"
#include "lib/gpu.h"
#include "lib/options.h"
#include "lib/own_memory.h"
#include "lib/pattern.h"
#include "lib/report.h"
#include "lib/test_hmm.h"
#include "lib/thread.h"
#include "programs/programs.h"

#define PAGE 4096
/* What is moved at a time: no object that the driver makes for pages of processes is larger. */
#define CHUNK (2 * 1024 * 1024)
/* The first one finds the device with nothing set up, and the CPU with nothing in its caches of free pages. */
#define ROUNDS 2
#define CLOCK_READS 100

enum way { WAY_TTM, WAY_HMM, WAY_TEST_HMM };

struct chunk {
	char *data;
	struct object object;	/* of TTM's */
	uint64_t fault_ns;	/* of the CPU's first access when it is in the device's memory */
};

/* Of one round, in CPU time of this thread, which asks for it all and waits for it. */
struct cost {
	uint64_t out_ns;
	uint64_t back_ns;
	uint64_t map_ns;	/* of access to each page when all are back */
};

struct migrate {
	struct gpu gpu;
	uint64_t way;
	uint64_t bytes;
	uint64_t seed;
	uint64_t huge;
	uint64_t used;		/* bytes at the beginning of each chunk that the CPU then accesses */
	uint64_t lose;
	uint64_t count;
	struct chunk *chunks;
	uint64_t *entries;	/* of a chunk's pages, in the kernel's pagemap */
	int test_hmm;
	void *mirror;		/* what test_hmm says that it has */
	uint64_t clock_ns;	/* what it costs to read the clock */
	struct cost cost;
	uint64_t bytes_used;
	uint64_t bytes_back;	/* in memory, once the CPU had accessed what it uses */
	uint64_t verified;
};

static uint64_t cpu_ns(void)
{
	return clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

static uint64_t since(const struct migrate *migrate, uint64_t start)
{
	uint64_t ns = cpu_ns() - start;

	return ns > migrate->clock_ns ? ns - migrate->clock_ns : 0;
}

static void measure_clock(struct migrate *migrate)
{
	uint64_t least = UINT64_MAX;

	for (unsigned int i = 0; i < CLOCK_READS; i++) {
		uint64_t ns = since(migrate, cpu_ns());

		least = ns < least ? ns : least;
	}
	migrate->clock_ns = least;
}

/* ---- Where it is ---- */

static bool find_pages(const struct migrate *migrate, const struct chunk *chunk, struct own_memory_present *present)
{
	return own_memory_entries(chunk->data, CHUNK / PAGE, migrate->entries) &&
	       own_memory_count(migrate->entries, CHUNK / PAGE, present);
}

/* The kernel's pagemap has nothing of what a driver maps. */
static bool expect_object(struct migrate *migrate, const struct chunk *chunk, bool in_memory)
{
	struct drm_edgpu_gem_info info;

	if (!gpu_info(&migrate->gpu, &chunk->object, &info))
		return false;
	return info.placement == (in_memory ? EDGPU_PLACEMENT_SYSTEM : EDGPU_PLACEMENT_VRAM) ||
	       fail("an object is in the wrong place: %u", info.placement);
}

/* All of it or none; and in huge pages if these were asked for. */
static bool expect_chunk(struct migrate *migrate, const struct chunk *chunk, bool in_memory)
{
	struct own_memory_present present;

	if (migrate->way == WAY_TTM)
		return expect_object(migrate, chunk, in_memory);
	if (!find_pages(migrate, chunk, &present))
		return false;
	if (present.pages != (in_memory ? CHUNK / PAGE : 0) || present.huge != (migrate->huge ? present.pages : 0))
		return fail("%" PRIu64 " pages are in memory, and %" PRIu64 " are huge", present.pages, present.huge);
	return true;
}

/* All objects are in memory, and no other file has huge pages. */
static bool expect_huge_objects(const struct migrate *migrate)
{
	uint64_t kib, found = UINT64_MAX;
	FILE *file = fopen("/proc/meminfo", "re");
	char line[128];

	if (!file)
		return fail("open /proc/meminfo: %s", strerror(errno));
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "ShmemHugePages: %" SCNu64, &kib) == 1)
			found = kib * 1024;
	fclose(file);
	return found == (migrate->huge ? migrate->bytes : 0) ||
	       fail("%" PRIu64 " bytes of all objects are in huge pages", found);
}

/* ---- Steps ---- */

/* A word of each page. */
static uint64_t access_pages(const struct migrate *migrate, const char *data, uint64_t bytes)
{
	uint64_t start = cpu_ns();

	for (uint64_t at = 0; at < bytes; at += PAGE)
		(void)*(const volatile uint64_t *)(data + at);
	return since(migrate, start);
}

static bool move_object(struct migrate *migrate, const struct chunk *chunk, uint32_t placement, uint64_t *ns)
{
	struct drm_edgpu_gem_move args = { .handle = chunk->object.handle, .placement = placement };
	uint64_t start = cpu_ns();
	int error = gpu_call(&migrate->gpu, DRM_IOCTL_EDGPU_GEM_MOVE, &args);

	*ns += since(migrate, start);
	return !error || fail("GEM_MOVE: %s", strerrorname_np(error));
}

static bool to_vram(struct migrate *migrate, const struct chunk *chunk)
{
	struct drm_edgpu_svm_to_vram args = { .addr = (uintptr_t)chunk->data, .len = CHUNK };
	uint64_t start = cpu_ns();
	int error = gpu_call(&migrate->gpu, DRM_IOCTL_EDGPU_SVM_TO_VRAM, &args);

	migrate->cost.out_ns += since(migrate, start);
	return !error || fail("SVM_TO_VRAM: %s", strerrorname_np(error));
}

/* The module also says each time what its device then has. That costs as much when it is asked for nothing else. */
static bool to_test_hmm(struct migrate *migrate, const struct chunk *chunk)
{
	uint64_t start = cpu_ns(), taken;

	if (!test_hmm_take(migrate->test_hmm, chunk->data, CHUNK, migrate->mirror))
		return false;
	taken = since(migrate, start);
	start = cpu_ns();
	if (!test_hmm_read(migrate->test_hmm, chunk->data, CHUNK, migrate->mirror))
		return false;
	migrate->cost.out_ns += taken - since(migrate, start);
	return true;
}

static bool move_out(struct migrate *migrate, const struct chunk *chunk)
{
	switch ((enum way)migrate->way) {
	case WAY_TTM:
		return move_object(migrate, chunk, EDGPU_PLACEMENT_VRAM, &migrate->cost.out_ns);
	case WAY_HMM:
		return to_vram(migrate, chunk);
	case WAY_TEST_HMM:
		return to_test_hmm(migrate, chunk);
	}
	return false;
}

/* An object shows the CPU what is in VRAM, and comes back when it is told to; pages come when they are accessed. */
static bool bring_back(struct migrate *migrate, struct chunk *chunk)
{
	struct own_memory_present present;

	chunk->fault_ns = access_pages(migrate, chunk->data, PAGE);
	if (migrate->way == WAY_TTM) {
		if (!move_object(migrate, chunk, EDGPU_PLACEMENT_SYSTEM, &migrate->cost.back_ns))
			return false;
	} else {
		migrate->cost.back_ns += chunk->fault_ns;
		migrate->cost.back_ns += access_pages(migrate, chunk->data + PAGE, migrate->used - PAGE);
		if (!find_pages(migrate, chunk, &present))
			return false;
		migrate->bytes_back += present.pages * PAGE;
	}
	migrate->cost.map_ns += access_pages(migrate, chunk->data, migrate->used);
	migrate->bytes_used += migrate->used;
	return true;
}

static bool verify(struct migrate *migrate, const struct chunk *chunk, uint64_t key)
{
	size_t offset;

	if (pattern_matches(chunk->data, CHUNK, key, &offset))
		migrate->verified += CHUNK;
	else
		report_mismatch("2 MiB number %zu: 0x%016" PRIx64 " at offset %zu", chunk - migrate->chunks,
				*(const uint64_t *)(chunk->data + offset), offset);
	return expect_chunk(migrate, chunk, true);
}

/* ---- The whole ---- */

static bool run_round(struct migrate *migrate, uint64_t round)
{
	migrate->cost = (struct cost){ 0 };
	for (uint64_t i = 0; i < migrate->count; i++) {
		struct chunk *chunk = &migrate->chunks[i];

		pattern_write(chunk->data, CHUNK, pattern_key(migrate->seed, i, round), 0);
		if (!expect_chunk(migrate, chunk, true) || !move_out(migrate, chunk) ||
		    !expect_chunk(migrate, chunk, false))
			return false;
	}
	for (uint64_t i = 0; i < migrate->count; i++)
		if (!bring_back(migrate, &migrate->chunks[i]))
			return false;
	if (migrate->lose)
		*(volatile uint64_t *)migrate->chunks[0].data ^= 1;
	for (uint64_t i = 0; i < migrate->count; i++)
		if (!verify(migrate, &migrate->chunks[i], pattern_key(migrate->seed, i, round)))
			return false;
	return migrate->way != WAY_TTM || expect_huge_objects(migrate);
}

static bool create_objects(struct migrate *migrate)
{
	for (uint64_t i = 0; i < migrate->count; i++) {
		struct chunk *chunk = &migrate->chunks[i];
		void *data;

		if (!gpu_create(&migrate->gpu, &chunk->object, CHUNK, EDGPU_PLACEMENT_SYSTEM | EDGPU_PLACEMENT_VRAM,
				EDGPU_CACHING_CACHED) ||
		    !gpu_map(&migrate->gpu, &chunk->object, &data))
			return false;
		chunk->data = data;
	}
	return true;
}

static bool set_up(struct migrate *migrate)
{
	char *memory;

	migrate->count = migrate->bytes / CHUNK;
	migrate->chunks = calloc(migrate->count, sizeof(*migrate->chunks));
	migrate->entries = calloc(CHUNK / PAGE, sizeof(*migrate->entries));
	migrate->mirror = malloc(CHUNK);
	if (!migrate->chunks || !migrate->entries || !migrate->mirror)
		return fail("no memory");
	/* So that all memory is of one node. */
	if (!thread_stay_on_cpu(0))
		return false;
	measure_clock(migrate);

	if (migrate->way == WAY_TEST_HMM)
		migrate->test_hmm = test_hmm_open();
	if (migrate->way == WAY_TEST_HMM ? migrate->test_hmm < 0 : !gpu_open(&migrate->gpu))
		return false;
	if (migrate->way == WAY_TTM)
		return create_objects(migrate);
	memory = own_memory_new(migrate->bytes, migrate->huge);
	for (uint64_t i = 0; memory && i < migrate->count; i++)
		migrate->chunks[i].data = memory + i * CHUNK;
	return memory;
}

static int by_fault(const void *a, const void *b)
{
	const struct chunk *one = a, *other = b;

	return one->fault_ns < other->fault_ns ? -1 : one->fault_ns > other->fault_ns;
}

static uint64_t median_fault(struct migrate *migrate)
{
	if (!migrate->chunks)
		return 0;
	qsort(migrate->chunks, migrate->count, sizeof(*migrate->chunks), by_fault);
	return migrate->chunks[migrate->count / 2].fault_ns;
}

static bool run(struct migrate *migrate)
{
	for (uint64_t round = 0; round < ROUNDS; round++)
		if (!run_round(migrate, round))
			return false;
	return true;
}

int migrate_main(int argc, char **argv)
{
	static const char *const ways[] = { "ttm", "hmm", "test_hmm", NULL };
	static const char *const words[] = { "no", "yes", NULL };
	struct migrate migrate = { .used = CHUNK };
	const struct option_spec specs[] = {
		{ .name = "way", .value = &migrate.way, .words = ways },
		{ .name = "bytes", .value = &migrate.bytes },
		{ .name = "seed", .value = &migrate.seed },
		{ .name = "huge", .value = &migrate.huge, .words = words, .optional = true },
		{ .name = "used", .value = &migrate.used, .optional = true },
		{ .name = "lose", .value = &migrate.lose, .words = words, .optional = true },
	};

	if (!options_parse("migrate", specs, sizeof(specs) / sizeof(*specs), argc, argv))
		return EXIT_USAGE;
	if (!migrate.bytes || migrate.bytes % CHUNK || !migrate.used || migrate.used % PAGE || migrate.used > CHUNK) {
		options_complain("migrate", "--bytes is no multiple of 2 MiB, or --used none of 4096 up to 2 MiB");
		return EXIT_USAGE;
	}
	if (set_up(&migrate))
		run(&migrate);
	report_open();
	report_number("bytesVerified", migrate.verified);
	report_number("bytesUsed", migrate.bytes_used);
	report_number("bytesBack", migrate.bytes_back);
	report_number("outNs", migrate.cost.out_ns);
	report_number("backNs", migrate.cost.back_ns);
	report_number("mapNs", migrate.cost.map_ns);
	report_number("faultNs", median_fault(&migrate));
	return report_close();
}
