#include "checksum.h"

#include "bus_error.h"
#include "xxh64.h"

#define PAGE 4096
#define LANES (XXH64_STRIPE / 8)

bool checksum_init(struct checksum *checksum, struct gpu *gpu, uint64_t seed)
{
	void *data;

	checksum->gpu = gpu;
	checksum->seed = seed;
	if (!gpu_create(gpu, &checksum->results, PAGE, EDGPU_PLACEMENT_SYSTEM,
			EDGPU_CACHING_CACHED) ||
	    !gpu_map(gpu, &checksum->results, &data))
		return false;
	checksum->result = data;
	return true;
}

size_t checksum_len(const struct object *object)
{
	return object->size < EDGPU_MAX_CHECKSUM_LEN ? object->size : EDGPU_MAX_CHECKSUM_LEN;
}

bool checksum_range(struct checksum *checksum, unsigned int engine, const struct object *object,
		    uint64_t offset, uint64_t len, uint64_t *found)
{
	struct drm_edgpu_cmd cmd = {
		.op = EDGPU_CMD_CHECKSUM,
		.src_handle = object->handle,
		.dst_handle = checksum->results.handle,
		.src_offset = offset,
		.len = len,
		.value = checksum->seed,
	};

	/* Or the last result could be taken for this one. */
	return bus_error_store(checksum->result, 0) &&
	       gpu_submit(checksum->gpu, engine, &cmd, 1) &&
	       gpu_wait(checksum->gpu, &checksum->results) &&
	       bus_error_load(checksum->result, found);
}

bool checksum_of(struct checksum *checksum, unsigned int engine, const struct object *object,
		 uint64_t *found)
{
	return checksum_range(checksum, engine, object, 0, checksum_len(object), found);
}

uint64_t checksum_expected(const struct checksum *checksum, const void *data, size_t size)
{
	const uint64_t *word = data;
	struct xxh64 hash;

	xxh64_init(&hash, checksum->seed);
	for (hash.bytes = 0; hash.bytes < size; hash.bytes += XXH64_STRIPE)
		for (int i = 0; i < LANES; i++)
			hash.lane[i] = xxh64_round(hash.lane[i], *word++);
	return xxh64_digest(&hash);
}
