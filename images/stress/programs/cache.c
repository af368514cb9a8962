/*
 * cache: takes objects through all that may happen to their pages, and writes
 * down at each stage what the page tables say. It does not judge: /tmp/edgpu-stress-cache gets,
 * for each stage, STAGE.tables (the kernel's dump of this process' page tables,
 * its own mapping of all memory included), STAGE.views (a line for each
 * object: start and end of where it is mapped, and its offset in the device
 * file, in hexadecimal), STAGE.frames and STAGE.frames-after (what the driver
 * says of where objects are, before and after that).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/bus_error.h"
#include "lib/checksum.h"
#include "lib/driver_files.h"
#include "lib/failure.h"
#include "lib/gpu.h"
#include "lib/options.h"
#include "lib/pattern.h"
#include "lib/report.h"
#include "lib/swap.h"
#include "programs/programs.h"

#define PAGE 4096
#define OUT "/tmp/edgpu-stress-cache"
#define TABLES "/sys/kernel/debug/page_tables/current_kernel"
#define ANYWHERE (EDGPU_PLACEMENT_SYSTEM | EDGPU_PLACEMENT_VRAM)

struct cache {
	struct {
		uint64_t objects;
		uint64_t object_size;
		uint64_t caching;
		uint64_t seed;
	} options;
	struct gpu gpu;
	struct checksum checksum;
	struct item {
		struct object object;
		void *data;
		uint64_t offset;
		uint64_t checksum;
	} *items;
	void *reused;
	struct swap_counts swap;
	uint64_t bytes_verified;
	uint64_t checksums_verified;
	uint64_t round;		/* of contents */
};

static uint64_t key_of(const struct cache *cache, uint64_t index)
{
	return pattern_key(cache->options.seed, index, cache->round);
}

static uint64_t total(const struct cache *cache)
{
	return cache->options.objects * cache->options.object_size;
}

/* ---- Snapshots ---- */

static FILE *create(const char *stage, const char *kind)
{
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), OUT "/%s.%s", stage, kind);
	file = fopen(path, "we");
	if (!file)
		fail("create %s: %s", path, strerror(errno));
	return file;
}

static bool copy(const char *path, const char *stage, const char *kind, bool may_be_empty)
{
	FILE *from = fopen(path, "re");
	FILE *to = create(stage, kind);
	char buffer[65536];
	size_t got, all = 0;
	bool ok;

	if (!from || !to)
		return fail("open %s: %s", path, strerror(errno));
	for (; (got = fread(buffer, 1, sizeof(buffer), from)); all += got)
		if (fwrite(buffer, 1, got, to) != got)
			break;
	ok = ferror(from) ? fail("read %s: %s", path, strerror(errno)) :
	     ferror(to) ? fail("write in " OUT ": %s", strerror(errno)) :
	     all || may_be_empty || fail("%s is empty at stage %s", path, stage);
	fclose(from);
	return (!fclose(to) || fail("write in " OUT ": %s", strerror(errno))) && ok;
}

static void print_view(FILE *file, const void *data, size_t size, uint64_t offset)
{
	fprintf(file, "%" PRIxPTR " %" PRIxPTR " %" PRIx64 "\n", (uintptr_t)data,
		(uintptr_t)data + size, offset);
}

/*
 * The driver's account first and last: if it changed meanwhile, the rest is worth nothing. There may be no object that
 * has pages, but never no page table, in which no mapping would be wrong.
 */
static bool snapshot(struct cache *cache, const char *stage)
{
	FILE *file = create(stage, "views");
	char frames[DRIVER_FILE_PATH_MAX];

	if (!file)
		return false;
	for (uint64_t i = 0; i < cache->options.objects; i++)
		if (cache->items[i].data)
			print_view(file, cache->items[i].data, cache->items[i].object.size,
				   cache->items[i].offset);
	if (cache->reused)
		print_view(file, cache->reused, total(cache), 0);
	driver_file_path(&cache->gpu, "frames", frames);
	return !fclose(file) && copy(frames, stage, "frames", true) &&
	       copy(TABLES, stage, "tables", false) &&
	       copy(frames, stage, "frames-after", true);
}

/* ---- Stages ---- */

static bool for_each(struct cache *cache, bool (*step)(struct cache *cache, uint64_t index))
{
	for (uint64_t i = 0; i < cache->options.objects; i++)
		if (!step(cache, i))
			return false;
	return true;
}

static bool write_item(struct cache *cache, uint64_t index)
{
	BUS_ERROR_GUARD;
	struct item *item = &cache->items[index];
	uint64_t key = key_of(cache, index);

	if (!gpu_create(&cache->gpu, &item->object, cache->options.object_size, ANYWHERE,
			(uint32_t)cache->options.caching) ||
	    !gpu_mmap_offset(&cache->gpu, &item->object, &item->offset) ||
	    !gpu_map(&cache->gpu, &item->object, &item->data))
		return false;
	if (bus_error())
		return fail("write to object %" PRIu64 ": SIGBUS", index);
	item->checksum = pattern_write(item->data, item->object.size, key, cache->options.seed);
	return true;
}

/* By the device first: the CPU then finds the mapping of where the object is. */
static bool verify_item(struct cache *cache, uint64_t index)
{
	BUS_ERROR_GUARD;
	struct item *item = &cache->items[index];
	uint64_t key = key_of(cache, index);
	size_t wrong;
	uint64_t found;

	if (!checksum_of(&cache->checksum, 0, &item->object, &found))
		return false;
	if (found == item->checksum)
		cache->checksums_verified++;
	else
		report_mismatch("object %" PRIu64 ", checksum: 0x%016" PRIx64 " instead of 0x%016"
				PRIx64, index, found, item->checksum);
	if (bus_error())
		return fail("read of object %" PRIu64 ": SIGBUS", index);
	if (pattern_matches(item->data, item->object.size, key, &wrong))
		cache->bytes_verified += item->object.size;
	else
		report_mismatch("object %" PRIu64 ": wrong content at offset %zu", index, wrong);
	return true;
}

static bool move_to_vram(struct cache *cache, uint64_t index)
{
	return gpu_move(&cache->gpu, &cache->items[index].object, EDGPU_PLACEMENT_VRAM);
}

static bool move_to_system(struct cache *cache, uint64_t index)
{
	return gpu_move(&cache->gpu, &cache->items[index].object, EDGPU_PLACEMENT_SYSTEM);
}

static bool free_item(struct cache *cache, uint64_t index)
{
	struct item *item = &cache->items[index];
	void *data = item->data;

	item->data = NULL;
	return gpu_unmap(&item->object, data) && gpu_destroy(&cache->gpu, &item->object);
}

static bool nothing(struct cache *cache)
{
	(void)cache;
	return true;
}

static bool hold(struct cache *cache)
{
	return for_each(cache, write_item) && for_each(cache, verify_item);
}

static bool is_let_go(struct cache *cache, uint64_t index)
{
	struct drm_edgpu_gem_info info;

	return gpu_info(&cache->gpu, &cache->items[index].object, &info) &&
	       (!info.populated || fail("object %" PRIu64 " is evicted, and has its pages", index));
}

static bool evict(struct cache *cache)
{
	return driver_evict(&cache->gpu) && for_each(cache, is_let_go);
}

static bool swap_item(struct cache *cache, uint64_t index)
{
	return swap_out(&cache->gpu, &cache->items[index].object, cache->options.object_size);
}

/* Only what lives in shmem goes to swap by itself. */
static bool swap_all(struct cache *cache)
{
	if (cache->gpu.backend != EDGPU_PARAM_BACKEND_SHMEM)
		return swap_reclaim(total(cache));
	return for_each(cache, swap_item);
}

/* New content: what was there before must not come back. */
static bool write_again(struct cache *cache, uint64_t index)
{
	BUS_ERROR_GUARD;
	struct item *item = &cache->items[index];

	if (bus_error())
		return fail("write to object %" PRIu64 ": SIGBUS", index);
	item->checksum = pattern_write(item->data, item->object.size, key_of(cache, index),
				       cache->options.seed);
	return true;
}

static bool verify_and_write(struct cache *cache)
{
	if (!for_each(cache, verify_item))
		return false;
	cache->round++;
	return for_each(cache, write_again);
}

static bool to_vram(struct cache *cache)
{
	return for_each(cache, move_to_vram) && verify_and_write(cache);
}

static bool from_vram(struct cache *cache)
{
	return for_each(cache, move_to_system) && verify_and_write(cache);
}

static bool let_go(struct cache *cache)
{
	return for_each(cache, free_item);
}

/* By somebody else: ordinary memory, most likely what has just been freed. */
static bool reuse(struct cache *cache)
{
	cache->reused = mmap(NULL, total(cache), PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	return cache->reused != MAP_FAILED || fail("mmap: %s", strerror(errno));
}

static const struct {
	const char *name;
	bool (*run)(struct cache *cache);
} stages[] = {
	{ "before", nothing },		{ "held", hold },
	{ "evicted", evict },		{ "swapped", swap_all },
	{ "back", verify_and_write },		{ "vram", to_vram },
	{ "returned", from_vram },	{ "freed", let_go },
	{ "reused", reuse },
};

static bool run(struct cache *cache)
{
	cache->items = calloc(cache->options.objects, sizeof(*cache->items));
	if (!cache->items)
		return fail("calloc: %s", strerror(errno));
	if (mkdir(OUT, 0700) && errno != EEXIST)
		return fail("mkdir " OUT ": %s", strerror(errno));
	if (!swap_read(&cache->swap) || !gpu_open(&cache->gpu) ||
	    !checksum_init(&cache->checksum, &cache->gpu, cache->options.seed))
		return false;
	/* Where content is wrong, page tables are of no interest. */
	for (size_t i = 0; i < sizeof(stages) / sizeof(*stages) && !report_mismatches(); i++)
		if (!stages[i].run(cache) || !snapshot(cache, stages[i].name))
			return false;
	return true;
}

static enum exit_code tell(const struct cache *cache)
{
	struct swap_counts swap = cache->swap;

	swap_read(&swap);
	report_open();
	report_number("bytesVerified", cache->bytes_verified);
	report_number("checksumsVerified", cache->checksums_verified);
	report_number("pswpout", swap.out - cache->swap.out);
	report_number("pswpin", swap.in - cache->swap.in);
	return report_close();
}

int cache_main(int argc, char **argv)
{
	struct cache cache = { 0 };
	const struct option_spec specs[] = {
		{ .name = "objects", .value = &cache.options.objects },
		{ .name = "object-size", .value = &cache.options.object_size },
		{ .name = "caching", .value = &cache.options.caching, .words = caching_words },
		{ .name = "seed", .value = &cache.options.seed },
	};

	if (!options_parse("cache", specs, sizeof(specs) / sizeof(*specs), argc, argv))
		return EXIT_USAGE;
	if (!cache.options.objects || !cache.options.object_size ||
	    cache.options.object_size % PAGE ||
	    cache.options.object_size > EDGPU_MAX_CHECKSUM_LEN) {
		options_complain("cache", "there must be objects, of pages, and of 64 MiB at most");
		return EXIT_USAGE;
	}
	run(&cache);
	return tell(&cache);
}
