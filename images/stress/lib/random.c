#include "random.h"

#define GAMMA 0x9E3779B97F4A7C15ull

uint64_t random_mix(uint64_t value)
{
	value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9ull;
	value = (value ^ value >> 27) * 0x94D049BB133111EBull;
	return value ^ value >> 31;
}

struct random random_seeded(uint64_t seed, uint64_t stream)
{
	return (struct random) { random_mix(random_mix(seed + GAMMA) + stream) };
}

uint64_t random_next(struct random *random)
{
	random->state += GAMMA;
	return random_mix(random->state);
}

uint64_t random_below(struct random *random, uint64_t limit)
{
	return random_next(random) % limit;
}

bool random_one_in(struct random *random, uint64_t n)
{
	return !random_below(random, n);
}
