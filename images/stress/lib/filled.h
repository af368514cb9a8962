/*
 * Content that the engines write without the CPU: objects are filled in up to
 * 256 parts of whole pages, each with a value of its own, so that pages that
 * change places are seen.
 */
#ifndef FILLED_H
#define FILLED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gpu.h"

/* Returns when the job is submitted; size is a multiple of the page size. */
bool filled_write(struct gpu *gpu, unsigned int engine, const struct object *object, uint64_t key);

/* XXH64 with seed 0 of the first @len bytes, a multiple of 32, of an object of @size. */
uint64_t filled_checksum(size_t size, size_t len, uint64_t key);

#endif
