/* Random numbers that a seed decides: splitmix64. Streams of one seed have nothing to do with each other. */
#ifndef RANDOM_H
#define RANDOM_H

#include <stdbool.h>
#include <stdint.h>

struct random {
	uint64_t state;
};

/* One value to another, without a value that comes twice; near values to far ones. */
uint64_t random_mix(uint64_t value);

struct random random_seeded(uint64_t seed, uint64_t stream);
uint64_t random_next(struct random *random);
/* From 0 to @limit - 1. */
uint64_t random_below(struct random *random, uint64_t limit);
bool random_one_in(struct random *random, uint64_t n);

#endif
