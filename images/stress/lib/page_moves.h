/*
 * What a process may do with pages of a file that it has mapped, as far as the
 * file allows it: have them on each node in turn, and have them huge.
 */
#ifndef PAGE_MOVES_H
#define PAGE_MOVES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "node_shmem.h"

struct page_moves {
	uint64_t on_node[MAX_NODES];	/* pages that were there after they had been told to go there */
	uint64_t collapsed;		/* files that are huge where they can be */
};

/* Adds to the counts; false on failure, which is no refusal. */
bool page_moves_make(struct page_moves *moves, unsigned int nodes, int fd, size_t size);

#endif
