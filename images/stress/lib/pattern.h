/*
 * What objects are filled with: words that depend on a key and on their
 * position, cheap enough for an emulated CPU.
 */
#ifndef PATTERN_H
#define PATTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * So many words in a row, a power of two, are the same: one unless told before
 * anything is written, eight for what lz4 brings down to a fifth.
 */
void pattern_repeat(size_t words);

/* A key of its own for each object and round. */
uint64_t pattern_key(uint64_t seed, uint64_t object, uint64_t round);

/* Fills size bytes, a multiple of 32; returns their XXH64 with seed @hash_seed. */
uint64_t pattern_write(void *data, size_t size, uint64_t key, uint64_t hash_seed);

/* The same checksum, with nothing written. */
uint64_t pattern_checksum(size_t size, uint64_t key, uint64_t hash_seed);

/* Whether all is as written; if not, the offset of the first wrong word. */
bool pattern_matches(const void *data, size_t size, uint64_t key, size_t *offset);

/* The word at an offset, a multiple of 8. */
uint64_t pattern_word(uint64_t key, size_t offset);

#endif
