/* XXH64 over whole stripes, as it is computed while data is made. */
#ifndef XXH64_H
#define XXH64_H

#include <stddef.h>
#include <stdint.h>

/* The input must come in stripes of this many bytes. */
#define XXH64_STRIPE 32

#define XXH64_PRIME_1 0x9E3779B185EBCA87ull
#define XXH64_PRIME_2 0xC2B2AE3D27D4EB4Full

struct xxh64 {
	uint64_t lane[XXH64_STRIPE / 8];
	uint64_t seed;
	uint64_t bytes;
};

void xxh64_init(struct xxh64 *hash, uint64_t seed);
uint64_t xxh64_digest(const struct xxh64 *hash);

static inline uint64_t xxh64_rotl(uint64_t value, int by)
{
	return value << by | value >> (64 - by);
}

static inline uint64_t xxh64_round(uint64_t lane, uint64_t word)
{
	return xxh64_rotl(lane + word * XXH64_PRIME_2, 31) * XXH64_PRIME_1;
}

#endif
