#include "filled.h"

#include "random.h"
#include "xxh64.h"

#define PAGE 4096
#define LANES (XXH64_STRIPE / 8)

static size_t part_len(size_t size)
{
	size_t pages = size / PAGE;

	return (pages + EDGPU_MAX_CMDS - 1) / EDGPU_MAX_CMDS * PAGE;
}

static uint64_t part_value(uint64_t key, size_t part)
{
	return random_mix(key + part);
}

bool filled_write(struct gpu *gpu, unsigned int engine, const struct object *object, uint64_t key)
{
	struct drm_edgpu_cmd cmds[EDGPU_MAX_CMDS];
	size_t len = part_len(object->size);
	unsigned int count = 0;

	for (size_t at = 0; at < object->size; at += len, count++)
		cmds[count] = (struct drm_edgpu_cmd) {
			.op = EDGPU_CMD_FILL,
			.dst_handle = object->handle,
			.dst_offset = at,
			.len = object->size - at < len ? object->size - at : len,
			.value = part_value(key, count),
		};
	return gpu_submit(gpu, engine, cmds, count);
}

uint64_t filled_checksum(size_t size, size_t len, uint64_t key)
{
	size_t part = part_len(size);
	struct xxh64 hash;

	xxh64_init(&hash, 0);
	for (hash.bytes = 0; hash.bytes < len; hash.bytes += XXH64_STRIPE)
		for (int i = 0; i < LANES; i++)
			hash.lane[i] = xxh64_round(hash.lane[i], part_value(key, hash.bytes / part));
	return xxh64_digest(&hash);
}
