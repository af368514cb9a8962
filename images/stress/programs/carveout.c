/*
 * carveout: objects in memory that is set aside for devices (CMA) give it back while they are
 * swapped out, chunk by chunk, so that another allocator can have it, and get it and their content
 * back. The area's own counters are the witness.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>

#include "lib/bus_error.h"
#include "lib/checksum.h"
#include "lib/failure.h"
#include "lib/faults.h"
#include "lib/gpu.h"
#include "lib/node_shmem.h"
#include "lib/options.h"
#include "lib/pattern.h"
#include "lib/report.h"
#include "lib/swap.h"
#include "lib/thread.h"
#include "programs/programs.h"

#define PAGE 4096
#define AREAS "/sys/kernel/mm/cma"
#define OTHERS "/sys/kernel/debug/cma"
#define SAMPLE_NS 200000
/* No call is interrupted for ever. */
#define MAX_INTERRUPTED 1000

/* How objects come to give up their pages. */
enum way { WAY_CHUNKS, WAY_RECLAIM, WAY_NOT };

struct item {
	struct object object;
	char *data;
	uint64_t sum;
};

struct carveout {
	struct gpu gpu;
	struct checksum checksum;
	struct item *items;
	uint64_t count;
	uint64_t bytes;
	uint64_t size;
	uint64_t seed;
	uint64_t caching;
	uint64_t way;
	uint64_t lose;
	char area[256];		/* its name */
	uint64_t area_pages;
	uint64_t lent_before;	/* to whomever, pages */
	uint64_t lent_filled;
	uint64_t lent_evicted;
	uint64_t lent_back;
	uint64_t lent_after;
	uint64_t other_filled;	/* could another allocator get half of the area? */
	uint64_t other_evicted;
	uint64_t chunks;
	uint64_t extra_pages;	/* the most copies there were of pages not yet given back */
	uint64_t verified;
	uint64_t checksums;
};

/* ---- The area ---- */

static bool read_counter(const struct carveout *carveout, const char *name, uint64_t *value)
{
	char path[512];
	FILE *file;
	bool ok;

	snprintf(path, sizeof(path), AREAS "/%s/%s", carveout->area, name);
	file = fopen(path, "re");
	if (!file)
		return fail("open %s: %s", path, strerror(errno));
	ok = fscanf(file, "%" SCNu64, value) == 1;
	fclose(file);
	return ok || fail("%s has no number", path);
}

static bool find_area(struct carveout *carveout)
{
	DIR *areas = opendir(AREAS);
	struct dirent *entry;

	if (!areas)
		return fail("open " AREAS ": %s", strerror(errno));
	while ((entry = readdir(areas)))
		if (entry->d_name[0] != '.')
			snprintf(carveout->area, sizeof(carveout->area), "%s", entry->d_name);
	closedir(areas);
	return (carveout->area[0] || fail("the kernel has no CMA area: boot it with cma=")) &&
	       read_counter(carveout, "total_pages", &carveout->area_pages);
}

/* What it has lent and not got back, by the two counters that only ever grow. */
static bool count_lent(const struct carveout *carveout, uint64_t *pages)
{
	uint64_t lent, back;

	if (!read_counter(carveout, "alloc_pages_success", &lent) ||
	    !read_counter(carveout, "release_pages_success", &back))
		return false;
	*pages = lent - back;
	return true;
}

static bool tell_other(const struct carveout *carveout, const char *verb, uint64_t pages)
{
	char path[512];
	FILE *file;
	bool ok;

	snprintf(path, sizeof(path), OTHERS "/%s/%s", carveout->area, verb);
	file = fopen(path, "we");
	if (!file)
		return fail("open %s: %s", path, strerror(errno));
	ok = fprintf(file, "%" PRIu64, pages) > 0;
	return !fclose(file) && ok;
}

/* Another user of the area asks for half of it in one piece, and gives it back. */
static bool ask_as_other(const struct carveout *carveout, uint64_t *got)
{
	*got = tell_other(carveout, "alloc", carveout->area_pages / 2);
	return !*got || tell_other(carveout, "free", carveout->area_pages / 2) ||
	       fail("the area does not take back what it gave");
}

/* ---- Content ---- */

static uint64_t key_of(const struct carveout *carveout, uint64_t i)
{
	return pattern_key(carveout->seed, i, 0);
}

static bool create(struct carveout *carveout, struct object *object)
{
	return gpu_create_with(&carveout->gpu, object, &(struct drm_edgpu_gem_create) {
		.size = carveout->size,
		.placement = EDGPU_PLACEMENT_SYSTEM,
		.caching = (uint32_t)carveout->caching,
		.flags = EDGPU_CREATE_CARVEOUT,
	});
}

static bool write_item(struct carveout *carveout, uint64_t i)
{
	BUS_ERROR_GUARD;
	struct item *item = &carveout->items[i];

	if (bus_error())
		return fail("SIGBUS while filling an object");
	item->sum = pattern_write(item->data, carveout->size, key_of(carveout, i), carveout->seed);
	return true;
}

static bool fill(struct carveout *carveout)
{
	for (uint64_t i = 0; i < carveout->count; i++) {
		struct item *item = &carveout->items[i];

		if (!create(carveout, &item->object) ||
		    !gpu_map(&carveout->gpu, &item->object, (void **)&item->data) ||
		    !write_item(carveout, i))
			return false;
	}
	return true;
}

static bool read_item(struct carveout *carveout, uint64_t i)
{
	BUS_ERROR_GUARD;
	size_t at;

	if (bus_error())
		return fail("SIGBUS while reading an object");
	if (!pattern_matches(carveout->items[i].data, carveout->size, key_of(carveout, i), &at))
		report_mismatch("object %" PRIu64 ": content at %zu", i, at);
	return true;
}

static bool verify(struct carveout *carveout)
{
	uint64_t sum;

	for (uint64_t i = 0; i < carveout->count; i++) {
		struct item *item = &carveout->items[i];

		if (!read_item(carveout, i) ||
		    !checksum_of(&carveout->checksum, 0, &item->object, &sum))
			return false;
		carveout->checksums++;
		if (sum != item->sum)
			report_mismatch("object %" PRIu64 ": checksum", i);
		carveout->verified += carveout->size;
	}
	return true;
}

/* A byte is lost, for the oracle to find. */
static bool spoil(struct carveout *carveout)
{
	BUS_ERROR_GUARD;

	if (bus_error())
		return fail("SIGBUS while spoiling an object");
	carveout->items[0].data[carveout->size / 2] ^= 1;
	return true;
}

/* ---- Eviction ---- */

static bool evict(struct carveout *carveout, const struct item *item, uint64_t size, uint64_t *took)
{
	struct drm_edgpu_gem_evict args = { .handle = item->object.handle, .size = size };
	uint64_t before, after;
	bool refused, untold = false;
	unsigned int interrupted = 0;
	int error;

	if (!count_lent(carveout, &before))
		return false;
	do {
		faults_arm();
		error = ioctl(carveout->gpu.fd, DRM_IOCTL_EDGPU_GEM_EVICT, &args) ? errno : 0;
		refused = faults_disarm();
		if (!count_lent(carveout, &after))
			return false;
		/* Pages may have gone, and it was refused to tell. */
		untold |= refused && error && after != before;
	} while ((error == EINTR && ++interrupted < MAX_INTERRUPTED) ||
		 (refused && error && !(untold && error == EFAULT)));
	if (error && !untold)
		return fail("GEM_EVICT: %s", strerrorname_np(error));
	if (untold)
		args.size = (before - after) * PAGE;
	*took = args.size;
	/* Somebody else may have had some meanwhile, but not much. */
	if (before - after != args.size / PAGE)
		report_mismatch("%" PRIu64 " pages evicted, %" PRIu64 " given back",
				(uint64_t)args.size / PAGE, before - after);
	return true;
}

struct watch {
	struct carveout *carveout;
	pthread_t thread;
	atomic_bool end;
	bool ok;
	uint64_t lent;		/* pages, when it began */
	uint64_t shmem;
	int64_t most;		/* pages of shmem more than had been given back, at most */
};

static bool count_shmem(uint64_t *pages)
{
	struct node_shmem shmem;

	if (!node_shmem_read(&shmem))
		return false;
	*pages = 0;
	for (unsigned int node = 0; node < shmem.nodes; node++)
		*pages += shmem.bytes[node] / PAGE;
	return true;
}

/*
 * A sample counts if nothing was given back while it was taken: then both numbers are of one
 * moment. Free memory would be one number, but everybody in the machine changes it.
 */
static bool sample_extra(struct watch *watch)
{
	uint64_t before, shmem, after;
	int64_t extra;

	if (!count_lent(watch->carveout, &before) || !count_shmem(&shmem) ||
	    !count_lent(watch->carveout, &after))
		return false;
	extra = (int64_t)(shmem - watch->shmem) - (int64_t)(watch->lent - after);
	if (before == after && extra > watch->most)
		watch->most = extra;
	return true;
}

static void *watch_extra(void *arg)
{
	const struct timespec pause = { .tv_nsec = SAMPLE_NS };
	struct watch *watch = arg;

	while (watch->ok && !watch->end) {
		watch->ok = sample_extra(watch);
		nanosleep(&pause, NULL);
	}
	return NULL;
}

/* All of one object at once, and the others as the driver does it. */
static bool evict_chunks(struct carveout *carveout)
{
	uint64_t took;

	if (!evict(carveout, &carveout->items[0], carveout->size, &took))
		return false;
	if (took != carveout->size)
		report_mismatch("%" PRIu64 " bytes evicted of an object at once", took);
	for (uint64_t i = 1; i < carveout->count; i++)
		for (uint64_t gone = 0; gone < carveout->size; gone += took) {
			if (!evict(carveout, &carveout->items[i], 0, &took))
				return false;
			if (!took)
				return fail("object %" PRIu64 " does not leave", i);
			carveout->chunks++;
		}
	return true;
}

static bool evict_watched(struct carveout *carveout)
{
	struct watch watch = { .carveout = carveout, .ok = true };
	bool ok;

	if (!count_lent(carveout, &watch.lent) || !count_shmem(&watch.shmem) ||
	    !thread_start(&watch.thread, watch_extra, &watch))
		return false;
	ok = evict_chunks(carveout);
	watch.end = true;
	pthread_join(watch.thread, NULL);
	carveout->extra_pages = (uint64_t)watch.most;
	return ok && watch.ok;
}

static bool evict_all(struct carveout *carveout)
{
	switch ((enum way)carveout->way) {
	case WAY_CHUNKS:
		return evict_watched(carveout);
	case WAY_RECLAIM:
		return swap_reclaim(carveout->bytes);
	case WAY_NOT:
		break;
	}
	return true;
}

/* ---- */

static bool destroy(struct carveout *carveout)
{
	for (uint64_t i = 0; i < carveout->count; i++)
		if (!gpu_unmap(&carveout->items[i].object, carveout->items[i].data) ||
		    !gpu_destroy(&carveout->gpu, &carveout->items[i].object))
			return false;
	return true;
}

static bool run(struct carveout *carveout)
{
	carveout->items = calloc(carveout->count, sizeof(*carveout->items));
	if (!carveout->items)
		return fail("calloc: %s", strerror(errno));
	if (!find_area(carveout) || !gpu_open(&carveout->gpu) ||
	    !checksum_init(&carveout->checksum, &carveout->gpu, carveout->seed) ||
	    !count_lent(carveout, &carveout->lent_before) || !fill(carveout) ||
	    !count_lent(carveout, &carveout->lent_filled) ||
	    !ask_as_other(carveout, &carveout->other_filled) || !evict_all(carveout) ||
	    !count_lent(carveout, &carveout->lent_evicted) ||
	    !ask_as_other(carveout, &carveout->other_evicted))
		return false;
	return (!carveout->lose || spoil(carveout)) && verify(carveout) && count_lent(carveout, &carveout->lent_back) &&
	       destroy(carveout) && count_lent(carveout, &carveout->lent_after);
}

static void report_lent(const struct carveout *carveout)
{
	report_open_group("lent");
	report_number("before", carveout->lent_before);
	report_number("filled", carveout->lent_filled);
	report_number("evicted", carveout->lent_evicted);
	report_number("back", carveout->lent_back);
	report_number("after", carveout->lent_after);
	report_close_group();
}

int carveout_main(int argc, char **argv)
{
	static const char *const ways[] = { "chunks", "reclaim", "no", NULL };
	static const char *const words[] = { "no", "yes", NULL };
	struct carveout carveout = { 0 };
	const struct option_spec specs[] = {
		{ .name = "bytes", .value = &carveout.bytes },
		{ .name = "object-size", .value = &carveout.size },
		{ .name = "seed", .value = &carveout.seed },
		{ .name = "evict", .value = &carveout.way, .words = ways, .optional = true },
		{ .name = "caching", .value = &carveout.caching, .words = caching_words,
		  .optional = true },
		{ .name = "lose", .value = &carveout.lose, .words = words, .optional = true },
	};

	if (!options_parse("carveout", specs, sizeof(specs) / sizeof(*specs), argc, argv))
		return EXIT_USAGE;
	if (!carveout.size || carveout.size % PAGE || carveout.size > EDGPU_MAX_CHECKSUM_LEN ||
	    !carveout.bytes || carveout.bytes % carveout.size) {
		options_complain("carveout", "--object-size is not a multiple of 4096 up to 64 MiB, or --bytes not of it");
		return EXIT_USAGE;
	}
	carveout.count = carveout.bytes / carveout.size;

	run(&carveout);
	report_open();
	report_number("areaPages", carveout.area_pages);
	report_lent(&carveout);
	report_number("otherWhenFilled", carveout.other_filled);
	report_number("otherWhenEvicted", carveout.other_evicted);
	report_number("chunks", carveout.chunks);
	report_number("extraPages", carveout.extra_pages);
	report_number("bytesVerified", carveout.verified);
	report_number("checksumsVerified", carveout.checksums);
	return report_close();
}
