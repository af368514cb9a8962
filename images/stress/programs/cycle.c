/*
 * cycle: what it costs to fill objects, to have the driver let go of them, to
 * have the kernel swap them out, and to use them again. For benches: each phase
 * says what it took of the CPU and of memory. The second and the third may be left
 * out.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/checksum.h"
#include "lib/clock.h"
#include "lib/driver_files.h"
#include "lib/failure.h"
#include "lib/filled.h"
#include "lib/gpu.h"
#include "lib/options.h"
#include "lib/pattern.h"
#include "lib/report.h"
#include "lib/swap.h"
#include "lib/thread.h"
#include "lib/xxh64.h"
#include "programs/programs.h"

#define PAGE 4096
#define SAMPLE_NS 500000

/* What the kernel has counted so far. */
struct counts {
	uint64_t wall_ns;
	uint64_t cpu_ns;		/* of this thread: reclaim and eviction run in it */
	uint64_t pages_allocated;	/* by anybody */
	struct swap_counts swap;
	uint64_t free_bytes;
};

enum phase { PHASE_FILL, PHASE_EVICT, PHASE_RECLAIM, PHASE_USE, PHASES };

static const char *const phase_names[PHASES] = { "fill", "evict", "reclaim", "use" };

struct phase_cost {
	struct counts before, after;
	uint64_t lowest_free;
	uint64_t lowest_available;
};

struct cycle {
	struct gpu gpu;
	uint64_t bytes;
	uint64_t size;
	uint64_t seed;
	uint64_t caching;
	uint64_t evict;
	uint64_t swap;
	uint64_t carveout;
	uint64_t count;
	struct object *items;
	struct checksum checksum;
	struct phase_cost cost[PHASES];
	uint64_t resident;		/* after all are filled */
	uint64_t verified;
};

/* ---- Counters ---- */

/* In the form "Name:   123 kB". */
static bool read_meminfo(uint64_t *free_bytes, uint64_t *available)
{
	FILE *file = fopen("/proc/meminfo", "re");
	char line[128];

	if (!file)
		return fail("open /proc/meminfo: %s", strerror(errno));
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "MemFree: %" SCNu64, free_bytes) == 1)
			*free_bytes *= 1024;
		else if (sscanf(line, "MemAvailable: %" SCNu64, available) == 1)
			*available *= 1024;
	}
	fclose(file);
	return true;
}

static bool read_allocated(uint64_t *pages)
{
	FILE *file = fopen("/proc/vmstat", "re");
	char name[64];
	uint64_t value;

	if (!file)
		return fail("open /proc/vmstat: %s", strerror(errno));
	*pages = 0;
	while (fscanf(file, "%63s %" SCNu64, name, &value) == 2)
		/* One for each zone. */
		if (!strncmp(name, "pgalloc_", strlen("pgalloc_")))
			*pages += value;
	fclose(file);
	return true;
}

static bool count(struct counts *counts)
{
	uint64_t available;

	if (!read_allocated(&counts->pages_allocated) || !swap_read(&counts->swap) ||
	    !read_meminfo(&counts->free_bytes, &available))
		return false;
	counts->wall_ns = now_ns();
	counts->cpu_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	return true;
}

/* ---- The lowest that memory gets during a phase: a thread of its own looks ---- */

struct watch {
	pthread_t thread;
	atomic_bool end;
	struct phase_cost *cost;
};

static void *watch_memory(void *arg)
{
	const struct timespec pause = { .tv_nsec = SAMPLE_NS };
	struct watch *watch = arg;
	uint64_t free_bytes, available;

	while (!watch->end) {
		if (read_meminfo(&free_bytes, &available)) {
			if (free_bytes < watch->cost->lowest_free)
				watch->cost->lowest_free = free_bytes;
			if (available < watch->cost->lowest_available)
				watch->cost->lowest_available = available;
		}
		nanosleep(&pause, NULL);
	}
	return NULL;
}

static bool start_watch(struct watch *watch, struct phase_cost *cost)
{
	cost->lowest_free = UINT64_MAX;
	cost->lowest_available = UINT64_MAX;
	watch->cost = cost;
	watch->end = false;
	return thread_start(&watch->thread, watch_memory, watch);
}

static void end_watch(struct watch *watch)
{
	watch->end = true;
	pthread_join(watch->thread, NULL);
}

/* ---- Phases ---- */

static uint64_t key_of(const struct cycle *cycle, uint64_t index)
{
	return pattern_key(cycle->seed, index, 0);
}

static bool create(struct cycle *cycle, struct object *object)
{
	return gpu_create_with(&cycle->gpu, object, &(struct drm_edgpu_gem_create) {
		.size = cycle->size,
		.placement = EDGPU_PLACEMENT_SYSTEM,
		.caching = (uint32_t)cycle->caching,
		.flags = cycle->carveout ? EDGPU_CREATE_CARVEOUT : 0,
	});
}

static bool fill(struct cycle *cycle)
{
	for (uint64_t i = 0; i < cycle->count; i++)
		if (!create(cycle, &cycle->items[i]) ||
		    !filled_write(&cycle->gpu, 0, &cycle->items[i], key_of(cycle, i)) ||
		    !gpu_wait(&cycle->gpu, &cycle->items[i]))
			return false;
	return true;
}

/* A stripe of each is enough for all of it to have to be there. */
static bool use(struct cycle *cycle, uint64_t len)
{
	uint64_t found;

	for (uint64_t i = 0; i < cycle->count; i++) {
		if (!checksum_range(&cycle->checksum, 0, &cycle->items[i], 0, len, &found))
			return false;
		if (found == filled_checksum(cycle->size, len, key_of(cycle, i)))
			cycle->verified += len;
		else
			report_mismatch("object %" PRIu64 ": checksum", i);
	}
	return true;
}

static bool run_phase(struct cycle *cycle, enum phase phase)
{
	switch (phase) {
	case PHASE_FILL:
		return fill(cycle);
	case PHASE_EVICT:
		return !cycle->evict || driver_evict(&cycle->gpu);
	case PHASE_RECLAIM:
		return !cycle->swap || swap_reclaim(cycle->bytes);
	case PHASE_USE:
		return use(cycle, XXH64_STRIPE);
	case PHASES:
		break;
	}
	return false;
}

static bool measure(struct cycle *cycle, enum phase phase)
{
	struct phase_cost *cost = &cycle->cost[phase];
	struct watch watch;
	bool ok;

	if (!start_watch(&watch, cost))
		return false;
	ok = count(&cost->before) && run_phase(cycle, phase) && count(&cost->after);
	end_watch(&watch);
	return ok;
}

static bool set_up(struct cycle *cycle)
{
	cycle->items = calloc(cycle->count, sizeof(*cycle->items));
	if (!cycle->items)
		return fail("calloc: %s", strerror(errno));
	return checksum_init(&cycle->checksum, &cycle->gpu, 0);
}

/* What had to go again to make room for the rest is not. */
static bool count_resident(struct cycle *cycle)
{
	struct drm_edgpu_gem_info info;

	for (uint64_t i = 0; i < cycle->count; i++) {
		if (!gpu_info(&cycle->gpu, &cycle->items[i], &info))
			return false;
		if (info.populated)
			cycle->resident += cycle->size;
	}
	return true;
}

static bool run_phases(struct cycle *cycle)
{
	for (enum phase phase = 0; phase < PHASES; phase++)
		if (!measure(cycle, phase) || (phase == PHASE_FILL && !count_resident(cycle)))
			return false;
	/* All of it is still there, and this is no part of what is measured. */
	return use(cycle, cycle->size);
}

static void report_phase(enum phase phase, const struct phase_cost *cost)
{
	const struct counts *before = &cost->before, *after = &cost->after;

	report_open_group(phase_names[phase]);
	report_number("wallNs", after->wall_ns - before->wall_ns);
	report_number("cpuNs", after->cpu_ns - before->cpu_ns);
	report_number("pagesAllocated", after->pages_allocated - before->pages_allocated);
	report_number("pswpout", after->swap.out - before->swap.out);
	report_number("pswpin", after->swap.in - before->swap.in);
	report_number("freeBytes", before->free_bytes);
	report_number("lowestFreeBytes", cost->lowest_free);
	report_number("lowestAvailableBytes", cost->lowest_available);
	report_close_group();
}

int cycle_main(int argc, char **argv)
{
	static const char *const words[] = { "no", "yes", NULL };
	struct cycle cycle = { .swap = 1 };
	const struct option_spec specs[] = {
		{ .name = "bytes", .value = &cycle.bytes },
		{ .name = "object-size", .value = &cycle.size },
		{ .name = "seed", .value = &cycle.seed },
		{ .name = "caching", .value = &cycle.caching, .words = caching_words,
		  .optional = true },
		{ .name = "evict", .value = &cycle.evict, .words = words, .optional = true },
		{ .name = "swap", .value = &cycle.swap, .words = words, .optional = true },
		{ .name = "carveout", .value = &cycle.carveout, .words = words, .optional = true },
	};

	if (!options_parse("cycle", specs, sizeof(specs) / sizeof(*specs), argc, argv))
		return EXIT_USAGE;
	if (!cycle.size || cycle.size % PAGE || cycle.size > EDGPU_MAX_CHECKSUM_LEN ||
	    !cycle.bytes || cycle.bytes % cycle.size) {
		options_complain("cycle", "--object-size is not a multiple of 4096 up to 64 MiB, or --bytes not of it");
		return EXIT_USAGE;
	}
	cycle.count = cycle.bytes / cycle.size;

	if (gpu_open(&cycle.gpu) && set_up(&cycle))
		run_phases(&cycle);
	report_open();
	report_number("bytesVerified", cycle.verified);
	report_number("bytesResident", cycle.resident);
	report_open_group("phases");
	for (enum phase phase = 0; phase < PHASES; phase++)
		report_phase(phase, &cycle.cost[phase]);
	report_close_group();
	return report_close();
}
