/*
 * pieces: objects for which VRAM has no room in one piece. VRAM is filled with
 * small objects, every other one of which goes again; then two large ones come,
 * are used in every way, and leave those between their pieces alone.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/bus_error.h"
#include "lib/checksum.h"
#include "lib/driver_files.h"
#include "lib/failure.h"
#include "lib/filled.h"
#include "lib/gpu.h"
#include "lib/options.h"
#include "lib/pattern.h"
#include "lib/report.h"
#include "lib/swap.h"
#include "programs/programs.h"

#define PAGE 4096
#define ANYWHERE (EDGPU_PLACEMENT_SYSTEM | EDGPU_PLACEMENT_VRAM)
#define LARGE 2

struct pieces {
	struct {
		uint64_t piece;
		uint64_t object_size;
		uint64_t caching;
		uint64_t whole;		/* control: nothing lies between */
		uint64_t lose;		/* control: a bit changes */
		uint64_t seed;
	} options;
	struct gpu gpu;
	struct checksum checksum;
	struct object *small;
	struct checksum small_checksum;
	uint64_t count;
	struct object large[LARGE];
	uint64_t sum;			/* of either */
	uint64_t found[LARGE];		/* pieces that they were in at the end */
	uint64_t bytes_verified;
	uint64_t checksums_verified;
	uint64_t neighbours_verified;
};

static uint64_t key_of(const struct pieces *pieces)
{
	return pattern_key(pieces->options.seed, 0, 0);
}

static uint64_t small_key(const struct pieces *pieces, uint64_t index)
{
	return pattern_key(pieces->options.seed, index, 1);
}

static bool is_left(uint64_t index)
{
	return !(index % 2);
}

/* ---- By the device ---- */

static bool copy(struct pieces *pieces, const struct object *src, const struct object *dst)
{
	struct drm_edgpu_cmd cmd = {
		.op = EDGPU_CMD_COPY,
		.src_handle = src->handle,
		.dst_handle = dst->handle,
		.len = src->size,
	};

	return gpu_submit(&pieces->gpu, 0, &cmd, 1) && gpu_wait(&pieces->gpu, dst);
}

static bool check_large(struct pieces *pieces, unsigned int index, const char *where)
{
	uint64_t found;

	if (!checksum_of(&pieces->checksum, 0, &pieces->large[index], &found))
		return false;
	if (found == pieces->sum)
		pieces->checksums_verified++;
	else
		report_mismatch("large object %u, %s: checksum", index, where);
	return true;
}

/* ---- Where they are ---- */

static bool count_pieces(struct pieces *pieces, unsigned int index)
{
	unsigned long long offset, first, pages, frame;
	uint64_t wanted, covered = 0;
	char where[16];
	FILE *file;

	if (!gpu_mmap_offset(&pieces->gpu, &pieces->large[index], &wanted))
		return false;
	file = driver_file_open(&pieces->gpu, "frames", "re");
	if (!file)
		return false;
	pieces->found[index] = 0;
	while (fscanf(file, "%llx %llu %llu %15s %llx", &offset, &first, &pages, where,
		      &frame) == 5) {
		if (offset != wanted || strcmp(where, "vram"))
			continue;
		pieces->found[index]++;
		covered += pages * PAGE;
	}
	fclose(file);
	if (covered != pieces->large[index].size)
		report_mismatch("large object %u: %" PRIu64 " bytes of it are in VRAM", index, covered);
	return true;
}

/* ---- Steps ---- */

static bool make_small(struct pieces *pieces)
{
	pieces->count = pieces->gpu.vram_size / pieces->options.piece;
	pieces->small = calloc(pieces->count, sizeof(*pieces->small));
	if (!pieces->small)
		return fail("calloc: %s", strerror(errno));
	for (uint64_t i = 0; i < pieces->count; i++)
		if (!gpu_create(&pieces->gpu, &pieces->small[i], pieces->options.piece,
				EDGPU_PLACEMENT_VRAM, 0))
			return false;
	return true;
}

/* What stays gets a content of its own; what does not leaves a hole. */
static bool make_holes(struct pieces *pieces)
{
	for (uint64_t i = 0; i < pieces->count; i++) {
		const struct object *small = &pieces->small[i];

		if (!is_left(i) || pieces->options.whole) {
			if (!gpu_destroy(&pieces->gpu, small))
				return false;
		} else if (!filled_write(&pieces->gpu, 0, small, small_key(pieces, i))) {
			return false;
		}
	}
	return true;
}

static bool check_small(struct pieces *pieces)
{
	uint64_t found;

	for (uint64_t i = 0; i < pieces->count && !pieces->options.whole; i++) {
		if (!is_left(i))
			continue;
		if (!checksum_of(&pieces->small_checksum, 0, &pieces->small[i], &found))
			return false;
		if (found == filled_checksum(pieces->options.piece, pieces->options.piece,
					     small_key(pieces, i)))
			pieces->neighbours_verified++;
		else
			report_mismatch("small object %" PRIu64 ": checksum", i);
	}
	return true;
}

static bool make_large(struct pieces *pieces)
{
	for (unsigned int i = 0; i < LARGE; i++)
		if (!gpu_create(&pieces->gpu, &pieces->large[i], pieces->options.object_size,
				ANYWHERE, (uint32_t)pieces->options.caching) ||
		    !gpu_move(&pieces->gpu, &pieces->large[i], EDGPU_PLACEMENT_VRAM) ||
		    !count_pieces(pieces, i))
			return false;
	return true;
}

static bool write_large(struct pieces *pieces)
{
	BUS_ERROR_GUARD;
	struct object *object = &pieces->large[0];
	void *data;

	if (!gpu_map(&pieces->gpu, object, &data))
		return false;
	if (bus_error())
		return fail("write of the large object: SIGBUS");
	pieces->sum = pattern_write(data, object->size, key_of(pieces), pieces->options.seed);
	return gpu_unmap(object, data) && check_large(pieces, 0, "written by CPU");
}

static bool swap_large(struct pieces *pieces)
{
	return gpu_move(&pieces->gpu, &pieces->large[0], EDGPU_PLACEMENT_SYSTEM) &&
	       check_large(pieces, 0, "in system memory") && driver_evict(&pieces->gpu) &&
	       swap_out(&pieces->gpu, &pieces->large[0], pieces->large[0].size) &&
	       gpu_move(&pieces->gpu, &pieces->large[0], EDGPU_PLACEMENT_VRAM) &&
	       check_large(pieces, 0, "back from swap");
}

static bool flip_bit(struct pieces *pieces)
{
	struct object *object = &pieces->large[1];
	uint64_t offset = object->size - PAGE, word;

	return gpu_pread(&pieces->gpu, object, offset, &word, sizeof(word)) &&
	       (word ^= 1, gpu_pwrite(&pieces->gpu, object, offset, &word, sizeof(word)));
}

/* By read() of the driver's, in strides that are no multiple of a piece, and through the mapping. */
static bool read_large(struct pieces *pieces, unsigned int index)
{
	BUS_ERROR_GUARD;
	const size_t stride = 5 * PAGE / 4;
	struct object *object = &pieces->large[index];
	size_t offset;
	uint64_t word;
	void *data;

	for (offset = 0; offset < object->size; offset += pieces->options.piece - stride) {
		if (!gpu_pread(&pieces->gpu, object, offset, &word, sizeof(word)))
			return false;
		if (word != pattern_word(key_of(pieces), offset))
			report_mismatch("large object %u: word at %zu", index, offset);
	}
	if (!gpu_map(&pieces->gpu, object, &data))
		return false;
	if (bus_error())
		return fail("read of large object %u: SIGBUS", index);
	if (pattern_matches(data, object->size, key_of(pieces), &offset))
		pieces->bytes_verified += object->size;
	else
		report_mismatch("large object %u: content at %zu", index, offset);
	return gpu_unmap(object, data);
}

static bool run(struct pieces *pieces)
{
	return gpu_open(&pieces->gpu) &&
	       checksum_init(&pieces->checksum, &pieces->gpu, pieces->options.seed) &&
	       checksum_init(&pieces->small_checksum, &pieces->gpu, 0) &&
	       make_small(pieces) && make_holes(pieces) && make_large(pieces) &&
	       write_large(pieces) && copy(pieces, &pieces->large[0], &pieces->large[1]) &&
	       swap_large(pieces) && count_pieces(pieces, 0) &&
	       (!pieces->options.lose || flip_bit(pieces)) &&
	       check_large(pieces, 1, "copied") && read_large(pieces, 0) &&
	       read_large(pieces, 1) && check_small(pieces);
}

int pieces_main(int argc, char **argv)
{
	static const char *const words[] = { "no", "yes", NULL };
	struct pieces pieces = { 0 };
	const struct option_spec specs[] = {
		{ .name = "piece", .value = &pieces.options.piece },
		{ .name = "object-size", .value = &pieces.options.object_size },
		{ .name = "seed", .value = &pieces.options.seed },
		{ .name = "caching", .value = &pieces.options.caching, .words = caching_words,
		  .optional = true },
		{ .name = "whole", .value = &pieces.options.whole, .words = words, .optional = true },
		{ .name = "lose", .value = &pieces.options.lose, .words = words, .optional = true },
	};

	if (!options_parse("pieces", specs, sizeof(specs) / sizeof(*specs), argc, argv))
		return EXIT_USAGE;
	if (pieces.options.piece < 4 * PAGE || pieces.options.piece % PAGE ||
	    !pieces.options.object_size || pieces.options.object_size % PAGE ||
	    pieces.options.object_size > EDGPU_MAX_CHECKSUM_LEN) {
		options_complain("pieces", "sizes are pages, pieces four at least, objects 64 MiB at most");
		return EXIT_USAGE;
	}
	run(&pieces);
	report_open();
	report_number("bytesVerified", pieces.bytes_verified);
	report_number("checksumsVerified", pieces.checksums_verified);
	report_number("neighboursVerified", pieces.neighbours_verified);
	report_number("pieces", pieces.found[0]);
	report_number("otherPieces", pieces.found[1]);
	return report_close();
}
