/* Making the kernel swap, and seeing whether it did. */
#ifndef SWAP_H
#define SWAP_H

#include <stdbool.h>
#include <stdint.h>

struct swap_counts {
	uint64_t out;	/* pages written to swap since boot */
	uint64_t in;	/* pages read from it */
};

bool swap_read(struct swap_counts *counts);

/* Ask the kernel to reclaim @bytes, as far as it can, by swapping. */
bool swap_reclaim(uint64_t bytes);
/* The same, from page cache too, as the kernel thinks fit. */
bool swap_reclaim_any(uint64_t bytes);

#endif
