#include "pattern.h"

#include "random.h"
#include "xxh64.h"

/* From word to word; odd, so that all words of an object differ. */
#define STEP 0x9FB21C651E98DF25ull
#define LANES (XXH64_STRIPE / 8)

uint64_t pattern_key(uint64_t seed, uint64_t object, uint64_t round)
{
	return random_mix(random_mix(random_mix(seed) + object) + round);
}

/* In words; a power of two. */
static size_t repeats = 1;

void pattern_repeat(size_t words)
{
	repeats = words;
}

uint64_t pattern_word(uint64_t key, size_t offset)
{
	return key + (offset / 8 & -repeats) * STEP;
}

uint64_t pattern_write(void *data, size_t size, uint64_t key, uint64_t hash_seed)
{
	uint64_t *word = data;
	struct xxh64 hash;

	xxh64_init(&hash, hash_seed);
	for (size_t at = 0; at < size; at += XXH64_STRIPE, word += LANES) {
		for (int i = 0; i < LANES; i++) {
			uint64_t value = pattern_word(key, at + 8 * (size_t)i);

			word[i] = value;
			hash.lane[i] = xxh64_round(hash.lane[i], value);
		}
	}
	hash.bytes = size;
	return xxh64_digest(&hash);
}

uint64_t pattern_checksum(size_t size, uint64_t key, uint64_t hash_seed)
{
	struct xxh64 hash;

	xxh64_init(&hash, hash_seed);
	for (size_t at = 0; at < size; at += XXH64_STRIPE)
		for (int i = 0; i < LANES; i++)
			hash.lane[i] = xxh64_round(hash.lane[i], pattern_word(key, at + 8 * (size_t)i));
	hash.bytes = size;
	return xxh64_digest(&hash);
}

bool pattern_matches(const void *data, size_t size, uint64_t key, size_t *offset)
{
	const uint64_t *word = data;

	for (size_t at = 0; at < size; at += XXH64_STRIPE, word += LANES) {
		uint64_t wrong = 0;

		for (int i = 0; i < LANES; i++)
			wrong |= word[i] ^ pattern_word(key, at + 8 * (size_t)i);
		if (wrong) {
			while (*word == pattern_word(key, at)) {
				word++;
				at += 8;
			}
			*offset = at;
			return false;
		}
	}
	return true;
}
