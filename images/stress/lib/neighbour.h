/*
 * A process with ordinary memory on the first node, movable and in use: whoever
 * needs the room has to move it elsewhere, and not to swap it.
 */
#ifndef NEIGHBOUR_H
#define NEIGHBOUR_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct neighbour {
	pid_t pid;
	int leave;	/* closed, it tells the neighbour to look at its memory and go */
};

/* Returns when the memory has been written. */
bool neighbour_start(struct neighbour *neighbour, uint64_t bytes, uint64_t seed);
/* Tells whether it found its memory as it was; a neighbour that was never started did. */
bool neighbour_end(struct neighbour *neighbour);

#endif
