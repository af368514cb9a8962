/*
 * private: objects that only one file knows. When any of them is used all of them go to the end of the LRU list; they
 * are swapped out, used and freed in every order, and keep their content.
 */
#define _GNU_SOURCE
#include "programs/programs.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include "lib/driver_files.h"
#include "lib/failure.h"
#include "lib/gpu.h"
#include "lib/options.h"
#include "lib/pattern.h"
#include "lib/report.h"

#define OWN 8
#define OTHERS 4
#define ROUNDS 16
/* By their size the driver's list of objects tells them apart. */
#define OWN_SIZE 65536
#define OTHER_SIZE 131072

struct set {
	struct gpu gpu;
	uint64_t seed;
	struct object own[OWN];
	uint64_t value[OWN];
	struct object others[OTHERS];
};

static bool fill(struct set *set, const struct object *object, uint64_t value)
{
	struct drm_edgpu_cmd cmd = {
		.op = EDGPU_CMD_FILL,
		.dst_handle = object->handle,
		.len = object->size,
		.value = value,
	};

	return gpu_submit(&set->gpu, 0, &cmd, 1) && gpu_wait(&set->gpu, object);
}

static bool make_own(struct set *set, unsigned int i, unsigned int round)
{
	struct drm_edgpu_gem_create args = {
		.size = OWN_SIZE,
		.placement = EDGPU_PLACEMENT_SYSTEM,
		.flags = EDGPU_CREATE_PRIVATE,
	};

	set->value[i] = pattern_key(set->seed, i, round);
	return gpu_create_with(&set->gpu, &set->own[i], &args) && fill(set, &set->own[i], set->value[i]);
}

static bool make_all(struct set *set)
{
	for (unsigned int i = 0; i < OTHERS; i++)
		if (!gpu_create(&set->gpu, &set->others[i], OTHER_SIZE, EDGPU_PLACEMENT_SYSTEM, 0) ||
		    !fill(set, &set->others[i], i))
			return false;
	for (unsigned int i = 0; i < OWN; i++)
		if (!make_own(set, i, 0))
			return false;
	return true;
}

/* How many objects of this size are at the end of the list that is evicted from its beginning. */
static bool last_on_lru(struct set *set, uint64_t size, unsigned int *count)
{
	FILE *file = driver_file_open(&set->gpu, "lru", "re");
	char manager[16];
	uint64_t bytes;

	if (!file)
		return false;
	*count = 0;
	while (fscanf(file, "%15s %*u %" SCNu64 "%*[^\n]", manager, &bytes) == 2)
		if (!strcmp(manager, "system"))
			*count = bytes == size ? *count + 1 : 0;
	fclose(file);
	return true;
}

static bool expect_last(struct set *set, uint64_t size, unsigned int expected, const char *what)
{
	unsigned int count;

	if (!last_on_lru(set, size, &count))
		return false;
	if (count != expected)
		report_mismatch("%s: %u of them are the last, not %u", what, count, expected);
	return true;
}

/* Control: of those that are nobody's in particular, only the one that is used moves. */
static bool move_together(struct set *set)
{
	return fill(set, &set->own[0], set->value[0]) && fill(set, &set->others[0], 0) &&
	       expect_last(set, OTHER_SIZE, 1, "objects, one used") &&
	       fill(set, &set->own[OWN / 2], set->value[OWN / 2]) &&
	       expect_last(set, OWN_SIZE, OWN, "private objects, one used");
}

static bool verify(struct set *set, unsigned int i)
{
	uint64_t words[8];

	for (uint64_t at = 0; at < OWN_SIZE; at += OWN_SIZE / 4) {
		if (!gpu_pread(&set->gpu, &set->own[i], at, words, sizeof(words)))
			return false;
		if (words[0] != set->value[i] || words[7] != set->value[i])
			report_mismatch("private object %u at 0x%" PRIx64 ": 0x%016" PRIx64, i, at, words[0]);
	}
	return true;
}

/*
 * One is used, and one freed, while the others are swapped out; the next to be swapped out are those that are used
 * then.
 */
static bool come_and_go(struct set *set, unsigned int round)
{
	unsigned int used = round % OWN, freed = (round * 3 + 1) % OWN;

	if (!driver_evict(&set->gpu) || !fill(set, &set->own[used], set->value[used]) ||
	    !expect_last(set, OWN_SIZE, 1, "private objects, the others swapped out"))
		return false;
	if (!gpu_destroy(&set->gpu, &set->own[freed]) || !make_own(set, freed, round + 1) ||
	    !fill(set, &set->others[round % OTHERS], round))
		return false;
	for (unsigned int i = 0; i < OWN; i++)
		if (!verify(set, i))
			return false;
	return move_together(set);
}

static bool is_not_exported(struct set *set)
{
	struct drm_prime_handle prime = { .handle = set->own[0].handle, .flags = DRM_CLOEXEC };

	if (!ioctl(set->gpu.fd, DRM_IOCTL_PRIME_HANDLE_TO_FD, &prime) || errno != EPERM)
		report_mismatch("export of a private object: %s", strerror(errno));
	return true;
}

static bool run(struct set *set)
{
	if (!gpu_open(&set->gpu) || !make_all(set) || !is_not_exported(set) || !move_together(set))
		return false;
	for (unsigned int round = 0; round < ROUNDS; round++)
		if (!come_and_go(set, round))
			return false;
	return true;
}

int private_main(int argc, char **argv)
{
	struct set set = { 0 };
	const struct option_spec specs[] = {
		{ .name = "seed", .value = &set.seed },
	};

	if (!options_parse("private", specs, 1, argc, argv))
		return EXIT_USAGE;
	run(&set);
	report_open();
	return report_close();
}
