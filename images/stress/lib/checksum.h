/* Checksums that the device makes of objects, wherever they are: a witness that does not ask the CPU. */
#ifndef CHECKSUM_H
#define CHECKSUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gpu.h"

struct checksum {
	struct gpu *gpu;
	uint64_t seed;
	struct object results;
	volatile uint64_t *result;
};

bool checksum_init(struct checksum *checksum, struct gpu *gpu, uint64_t seed);

/* How much of an object a checksum is of: its start, if it is very large. */
size_t checksum_len(const struct object *object);

/* XXH64 of that much, by this engine. */
bool checksum_of(struct checksum *checksum, unsigned int engine, const struct object *object,
		 uint64_t *found);
/* Of a part: both are multiples of 32, @len up to EDGPU_MAX_CHECKSUM_LEN. */
bool checksum_range(struct checksum *checksum, unsigned int engine, const struct object *object,
		    uint64_t offset, uint64_t len, uint64_t *found);

/* What it should be, of data in memory; size is a multiple of 32. */
uint64_t checksum_expected(const struct checksum *checksum, const void *data, size_t size);

#endif
