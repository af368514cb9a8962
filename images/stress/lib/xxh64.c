/* XXH64, after the specification of xxHash (fast digest algorithm, 64 bits). */
#include "xxh64.h"

#define PRIME_3 0x165667B19E3779F9ull
#define PRIME_4 0x85EBCA77C2B2AE63ull
#define PRIME_5 0x27D4EB2F165667C5ull

void xxh64_init(struct xxh64 *hash, uint64_t seed)
{
	*hash = (struct xxh64) {
		.lane = {
			seed + XXH64_PRIME_1 + XXH64_PRIME_2,
			seed + XXH64_PRIME_2,
			seed,
			seed - XXH64_PRIME_1,
		},
		.seed = seed,
	};
}

static uint64_t merge(uint64_t digest, uint64_t lane)
{
	return (digest ^ xxh64_round(0, lane)) * XXH64_PRIME_1 + PRIME_4;
}

uint64_t xxh64_digest(const struct xxh64 *hash)
{
	const uint64_t *lane = hash->lane;
	uint64_t digest = hash->seed + PRIME_5;

	if (hash->bytes) {
		digest = xxh64_rotl(lane[0], 1) + xxh64_rotl(lane[1], 7) +
			 xxh64_rotl(lane[2], 12) + xxh64_rotl(lane[3], 18);
		for (int i = 0; i < 4; i++)
			digest = merge(digest, lane[i]);
	}
	digest += hash->bytes;
	digest ^= digest >> 33;
	digest *= XXH64_PRIME_2;
	digest ^= digest >> 29;
	digest *= PRIME_3;
	return digest ^ digest >> 32;
}
