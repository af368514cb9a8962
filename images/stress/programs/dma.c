/*
 * dma: objects that are all in memory at the same time, written by CPU and read
 * by CPU and device. How much of the memory the device reaches can be had so?
 * Or, with --unmap yes, objects that nobody holds between the two; and with --move
 * yes what is exported of them is a file, whose pages the program moves where it may.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/bus_error.h"
#include "lib/checksum.h"
#include "lib/failure.h"
#include "lib/gpu.h"
#include "lib/neighbour.h"
#include "lib/node_shmem.h"
#include "lib/options.h"
#include "lib/page_moves.h"
#include "lib/pattern.h"
#include "lib/report.h"
#include "programs/programs.h"

#define PAGE 4096

struct dma {
	struct {
		uint64_t bytes;
		uint64_t object_size;
		uint64_t caching;
		uint64_t seed;
		uint64_t neighbour;
		uint64_t unmap;
		uint64_t move;
	} options;
	struct gpu gpu;
	struct checksum checksum;
	struct neighbour neighbour;
	struct item {
		struct object object;
		void *data;
		uint64_t checksum;
	} *items;
	uint64_t count;
	uint64_t resident;
	struct node_shmem before, after;
	struct page_moves moves;
	uint64_t bytes_verified;
	uint64_t checksums_verified;
};

static bool map_item(struct dma *dma, struct item *item)
{
	return item->data || gpu_map(&dma->gpu, &item->object, &item->data);
}

/* Where a driver holds what is mapped, it lets go of it. */
static bool done_with_item(const struct dma *dma, struct item *item)
{
	void *data = item->data;

	if (!dma->options.unmap)
		return true;
	item->data = NULL;
	return gpu_unmap(&item->object, data);
}

static bool move_item(struct dma *dma, const struct item *item)
{
	struct drm_prime_handle prime = {
		.handle = item->object.handle,
		.flags = DRM_CLOEXEC | DRM_RDWR,
	};
	int error = gpu_call(&dma->gpu, DRM_IOCTL_PRIME_HANDLE_TO_FD, &prime);
	bool ok;

	if (error)
		return fail("export: %s", strerror(error));
	ok = page_moves_make(&dma->moves, dma->before.nodes, prime.fd, item->object.size);
	close(prime.fd);
	return ok;
}

static uint64_t key_of(const struct dma *dma, uint64_t index)
{
	return pattern_key(dma->options.seed, index, 0);
}

static bool write_item(struct dma *dma, uint64_t index)
{
	BUS_ERROR_GUARD;
	struct item *item = &dma->items[index];
	uint64_t key = key_of(dma, index);
	size_t hashed;

	if (!gpu_create(&dma->gpu, &item->object, dma->options.object_size, EDGPU_PLACEMENT_SYSTEM,
			(uint32_t)dma->options.caching) ||
	    !map_item(dma, item))
		return false;
	if (bus_error())
		return fail("write to object %" PRIu64 " of %" PRIu64 ": SIGBUS", index,
				dma->count);
	hashed = checksum_len(&item->object);
	item->checksum = pattern_write(item->data, hashed, key, dma->options.seed);
	pattern_write((char *)item->data + hashed, item->object.size - hashed,
		      pattern_word(key, hashed), 0);
	return done_with_item(dma, item) && (!dma->options.move || move_item(dma, item));
}

static bool count_resident(struct dma *dma, uint64_t index)
{
	struct drm_edgpu_gem_info info;

	if (!gpu_info(&dma->gpu, &dma->items[index].object, &info))
		return false;
	dma->resident += info.populated;
	return true;
}

static bool verify_by_device(struct dma *dma, uint64_t index)
{
	const struct item *item = &dma->items[index];
	uint64_t found;

	if (!checksum_of(&dma->checksum, (unsigned int)(index % dma->gpu.engines), &item->object,
			 &found))
		return false;
	if (found == item->checksum)
		dma->checksums_verified++;
	else
		report_mismatch("object %" PRIu64 ", checksum: 0x%016" PRIx64 " instead of 0x%016"
				PRIx64, index, found, item->checksum);
	return true;
}

static bool verify_by_cpu(struct dma *dma, uint64_t index)
{
	BUS_ERROR_GUARD;
	struct item *item = &dma->items[index];
	uint64_t key = key_of(dma, index);
	size_t size = item->object.size;
	size_t wrong;

	if (!map_item(dma, item))
		return false;
	if (bus_error())
		return fail("read of object %" PRIu64 ": SIGBUS", index);
	if (pattern_matches(item->data, size, key, &wrong))
		dma->bytes_verified += size;
	else
		report_mismatch("object %" PRIu64 ": wrong content at offset %zu", index, wrong);
	return done_with_item(dma, item);
}

static bool for_each(struct dma *dma, bool (*step)(struct dma *dma, uint64_t index))
{
	for (uint64_t i = 0; i < dma->count; i++)
		if (!step(dma, i))
			return false;
	return true;
}

static bool run(struct dma *dma)
{
	dma->items = calloc(dma->count, sizeof(*dma->items));
	if (!dma->items)
		return fail("calloc: %s", strerror(errno));
	if (dma->options.neighbour &&
	    !neighbour_start(&dma->neighbour, dma->options.neighbour, dma->options.seed))
		return false;
	return gpu_open(&dma->gpu) &&
	       checksum_init(&dma->checksum, &dma->gpu, dma->options.seed) &&
	       node_shmem_read(&dma->before) && for_each(dma, write_item) &&
	       node_shmem_read(&dma->after) && for_each(dma, count_resident) &&
	       for_each(dma, verify_by_device) && for_each(dma, verify_by_cpu);
}

/* What came to it; less than before would be the doing of others. */
static void tell_node(const struct dma *dma, unsigned int node)
{
	uint64_t before = dma->before.bytes[node];
	uint64_t after = dma->after.bytes[node];
	char name[12];

	snprintf(name, sizeof(name), "%u", node);
	report_number(name, after > before ? after - before : 0);
}

static void tell_pages(const struct dma *dma, unsigned int node)
{
	char name[12];

	snprintf(name, sizeof(name), "%u", node);
	report_number(name, dma->moves.on_node[node]);
}

/* What others had there, and may have been moved to make room. */
static uint64_t others_shmem(const struct dma *dma)
{
	uint64_t sum = 0;

	for (unsigned int node = 0; node < dma->before.nodes; node++)
		sum += dma->before.bytes[node];
	return sum;
}

static enum exit_code tell(const struct dma *dma)
{
	report_open();
	report_number("objects", dma->count);
	report_number("resident", dma->resident);
	report_number("bytesVerified", dma->bytes_verified);
	report_number("checksumsVerified", dma->checksums_verified);
	report_number("othersShmem", others_shmem(dma));
	report_open_group("shmemOnNode");
	for (unsigned int node = 0; node < dma->after.nodes; node++)
		tell_node(dma, node);
	report_close_group();
	report_open_group("pagesOnNode");
	for (unsigned int node = 0; dma->options.move && node < dma->before.nodes; node++)
		tell_pages(dma, node);
	report_close_group();
	report_number("collapsed", dma->moves.collapsed);
	return report_close();
}

int dma_main(int argc, char **argv)
{
	static const char *const words[] = { "no", "yes", NULL };
	struct dma dma = { 0 };
	const struct option_spec specs[] = {
		{ .name = "bytes", .value = &dma.options.bytes },
		{ .name = "object-size", .value = &dma.options.object_size },
		{ .name = "seed", .value = &dma.options.seed },
		{ .name = "caching", .value = &dma.options.caching, .words = caching_words,
		  .optional = true },
		{ .name = "neighbour", .value = &dma.options.neighbour, .optional = true },
		{ .name = "unmap", .value = &dma.options.unmap, .words = words, .optional = true },
		{ .name = "move", .value = &dma.options.move, .words = words, .optional = true },
	};

	if (!options_parse("dma", specs, sizeof(specs) / sizeof(*specs), argc, argv))
		return EXIT_USAGE;
	if (!dma.options.object_size || dma.options.object_size % PAGE ||
	    !dma.options.bytes || dma.options.bytes % dma.options.object_size ||
	    dma.options.neighbour % PAGE) {
		options_complain("dma", "sizes are multiples: of pages, and --bytes of --object-size");
		return EXIT_USAGE;
	}
	dma.count = dma.options.bytes / dma.options.object_size;
	run(&dma);
	if (!neighbour_end(&dma.neighbour))
		report_mismatch("the neighbour's memory has changed");
	return tell(&dma);
}
