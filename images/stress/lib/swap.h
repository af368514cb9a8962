/* Making the kernel swap, and seeing whether it did. */
#ifndef SWAP_H
#define SWAP_H

#include <stdbool.h>
#include <stdint.h>

#include "gpu.h"

struct swap_counts {
	uint64_t out;	/* pages written to swap since boot */
	uint64_t in;	/* pages read from it */
};

bool swap_read(struct swap_counts *counts);

/* Ask the kernel to reclaim @bytes, as far as it can, by swapping. */
bool swap_reclaim(uint64_t bytes);
/* The same, from page cache too, as the kernel thinks fit. */
bool swap_reclaim_any(uint64_t bytes);

/* How many pages of an object are in swap, and in memory no more. */
bool swap_of(struct gpu *gpu, const struct object *object, uint64_t *pages);
/*
 * The same of all objects of the device; *@copied, which may be NULL: how many
 * of them are not the objects' own, but those of copies that TTM has made.
 */
bool swap_of_all(const struct gpu *gpu, uint64_t *pages, uint64_t *copied);
/*
 * Has so many bytes of an object, which the driver has let go of, swapped out:
 * asks until they are, since the kernel may take pages of others first.
 */
bool swap_out(struct gpu *gpu, const struct object *object, uint64_t bytes);

#endif
