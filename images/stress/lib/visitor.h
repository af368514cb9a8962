/* Threads that come by a device in ways of their own, whatever it is doing: they must not notice that it sleeps. */
#ifndef VISITOR_H
#define VISITOR_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/gpu.h"

enum visitor_kind {
	/* Another device is attached to a dma-buf whose object is in VRAM, and detached. */
	VISITOR_ATTACHES,
	/* A debugger reads and writes VRAM. */
	VISITOR_DEBUGS,
	/* write(2) reads from VRAM, with the file that it writes to locked: the end of VISITOR_FILE. */
	VISITOR_FILES,
	VISITOR_KINDS,
};

#define VISITOR_FILE "/run/store"

struct visitor {
	enum visitor_kind kind;
	struct gpu *gpu;
	struct gpu *second;	/* for VISITOR_ATTACHES */
	const atomic_bool *stop;
	pthread_t thread;
	struct object object;
	volatile uint64_t *words;
	uint64_t rounds;
};

bool visitor_start(struct visitor *visitor);
/* When it has been told to stop. */
void visitor_join(struct visitor *visitor);

#endif
