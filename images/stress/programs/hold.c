/*
 * hold: uses the device in every way until it goes away, and then still holds on to all it had:
 * open file, mappings, dma-buf. Nothing of that may block, crash, or pretend that the device works.
 * Of two objects that no job uses, the content is known: mappings of a device that is gone show
 * zeroes; of one that does not answer any more, what was in VRAM is a SIGBUS, and what was in system
 * memory is as it was.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/bus_error.h"
#include "lib/clock.h"
#include "lib/failure.h"
#include "lib/gpu.h"
#include "lib/options.h"
#include "lib/pattern.h"
#include "lib/report.h"
#include "programs/programs.h"

#define SIZE (2 * 1024 * 1024)
#define PATIENCE_S 60

enum { VRAM, SYSTEM, PLACES };

static const uint32_t placements[PLACES] = { EDGPU_PLACEMENT_VRAM, EDGPU_PLACEMENT_SYSTEM };

struct hold {
	struct gpu gpu;
	uint64_t seed;
	uint64_t lose;		/* control: what is kept changes once the device has gone */
	struct object kept[PLACES];
	char *kept_data[PLACES];
	struct object vram;
	struct object system;
	char *vram_data;
	char *system_data;
	char *dma_buf_data;
	int dma_buf;
	uint64_t rounds;
};

static const char *const expect_words[] = { "enodev", "eio", NULL };
static const int expect_errors[] = { ENODEV, EIO };

static bool make_kept(struct hold *hold, int place)
{
	BUS_ERROR_GUARD;

	if (!gpu_create(&hold->gpu, &hold->kept[place], SIZE, placements[place], 0) ||
	    !gpu_map(&hold->gpu, &hold->kept[place], (void **)&hold->kept_data[place]))
		return false;
	if (bus_error())
		return fail("SIGBUS while the device works");
	pattern_write(hold->kept_data[place], SIZE, pattern_key(hold->seed, (uint64_t)place, 0), 0);
	return true;
}

enum content { CONTENT_KEPT, CONTENT_ZEROES, CONTENT_NONE, CONTENT_OTHER };

static const char *const content_names[] = { "what was written", "zeroes", "a SIGBUS", "something else" };

static bool is_zero(const char *data)
{
	return !data[0] && !memcmp(data, data + 1, SIZE - 1);
}

static enum content content_of(const struct hold *hold, int place)
{
	BUS_ERROR_GUARD;
	const char *data = hold->kept_data[place];
	size_t offset;

	if (bus_error())
		return CONTENT_NONE;
	if (pattern_matches(data, SIZE, pattern_key(hold->seed, (uint64_t)place, 0), &offset))
		return CONTENT_KEPT;
	return is_zero(data) ? CONTENT_ZEROES : CONTENT_OTHER;
}

static uint64_t seconds(void)
{
	return now_ns() / 1000000000;
}

/* Calls fail at once, mappings go a moment later. */
static void expect_content(const struct hold *hold, int place, enum content expected,
			   uint64_t patience)
{
	uint64_t end = seconds() + patience;
	enum content found;

	while ((found = content_of(hold, place)) != expected && seconds() < end)
		usleep(10000);
	if (found != expected)
		report_mismatch("an object in %s shows %s instead of %s", place == VRAM ? "VRAM" : "system memory",
				content_names[found], content_names[expected]);
}

static bool touch_once(char *data)
{
	BUS_ERROR_GUARD;

	if (bus_error())
		return false;
	*(volatile char *)data ^= 1;
	return true;
}

static void touch(char *data)
{
	BUS_ERROR_GUARD;

	if (bus_error())
		return;
	for (size_t at = 0; at < SIZE; at += 4096)
		((volatile char *)data)[at]++;
}

static bool set_up(struct hold *hold)
{
	struct drm_prime_handle prime = { .flags = DRM_CLOEXEC | DRM_RDWR };

	if (!gpu_open(&hold->gpu) ||
	    !gpu_create(&hold->gpu, &hold->vram, SIZE, EDGPU_PLACEMENT_VRAM, 0) ||
	    !gpu_create(&hold->gpu, &hold->system, SIZE, EDGPU_PLACEMENT_SYSTEM, 0) ||
	    !gpu_map(&hold->gpu, &hold->vram, (void **)&hold->vram_data) ||
	    !gpu_map(&hold->gpu, &hold->system, (void **)&hold->system_data))
		return false;
	prime.handle = hold->system.handle;
	if (ioctl(hold->gpu.fd, DRM_IOCTL_PRIME_HANDLE_TO_FD, &prime))
		return fail("PRIME_HANDLE_TO_FD: %s", strerror(errno));
	hold->dma_buf = prime.fd;
	hold->dma_buf_data = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, prime.fd, 0);
	if (hold->dma_buf_data == MAP_FAILED)
		return fail("mmap of dma-buf: %s", strerror(errno));
	return make_kept(hold, VRAM) && make_kept(hold, SYSTEM);
}

/* Any of the kinds of work; the error of the first call that fails, or 0. */
static int work(struct hold *hold)
{
	struct drm_edgpu_cmd copies[2] = {
		{ .op = EDGPU_CMD_COPY, .src_handle = hold->vram.handle,
		  .dst_handle = hold->system.handle, .len = SIZE },
		{ .op = EDGPU_CMD_COPY, .src_handle = hold->system.handle,
		  .dst_handle = hold->vram.handle, .len = SIZE },
	};
	struct drm_edgpu_submit submit = {
		.cmds = (uintptr_t)copies,
		.num_cmds = 2,
		.engine = (uint32_t)(hold->rounds % hold->gpu.engines),
	};
	struct drm_edgpu_wait wait = { .handle = hold->system.handle, .timeout_ns = INT64_MAX };
	struct drm_edgpu_gem_create create = { .size = SIZE, .placement = EDGPU_PLACEMENT_VRAM };
	struct drm_gem_close close_args = { 0 };

	if (ioctl(hold->gpu.fd, DRM_IOCTL_EDGPU_SUBMIT, &submit))
		return errno;
	if (hold->rounds % 4 == 0 && ioctl(hold->gpu.fd, DRM_IOCTL_EDGPU_WAIT, &wait))
		return errno;
	if (ioctl(hold->gpu.fd, DRM_IOCTL_EDGPU_GEM_CREATE, &create))
		return errno;
	close_args.handle = create.handle;
	return ioctl(hold->gpu.fd, DRM_IOCTL_GEM_CLOSE, &close_args) ? errno : 0;
}

/* Jobs may fail with EIO on the way to ENODEV: they were lost with the device. */
static bool work_until(struct hold *hold, int expected)
{
	uint64_t end = seconds() + PATIENCE_S;
	int error;

	do {
		touch(hold->vram_data);
		touch(hold->system_data);
		touch(hold->dma_buf_data);
		error = work(hold);
		/* By now it has done all that it does. */
		if (++hold->rounds == 8)
			fprintf(stderr, "holding\n");
		if (error == expected)
			return true;
		if (error && error != EIO && error != EINTR)
			return fail("%s instead of %s", strerrorname_np(error),
					strerrorname_np(expected));
	} while (seconds() < end);
	return fail("the device never went away");
}

static void after(struct hold *hold, int expected)
{
	enum content vram = expected == ENODEV ? CONTENT_ZEROES : CONTENT_NONE;
	enum content system = expected == ENODEV ? CONTENT_ZEROES : CONTENT_KEPT;

	expect_content(hold, VRAM, vram, PATIENCE_S);
	expect_content(hold, SYSTEM, system, PATIENCE_S);
	if (hold->lose && !touch_once(hold->kept_data[SYSTEM]))
		report_mismatch("an object in system memory can't be lost");
	for (unsigned int i = 0; i < 3; i++) {
		int error;

		touch(hold->vram_data);
		touch(hold->system_data);
		touch(hold->dma_buf_data);
		error = work(hold);
		if (error != expected)
			report_mismatch("%s instead of %s after the end",
					error ? strerrorname_np(error) : "success",
					strerrorname_np(expected));
	}
	expect_content(hold, VRAM, vram, 0);
	expect_content(hold, SYSTEM, system, 0);
	munmap(hold->vram_data, SIZE);
	close(hold->gpu.fd);
	/* The last ones to go. */
	touch(hold->dma_buf_data);
	touch(hold->system_data);
}

int hold_main(int argc, char **argv)
{
	static const char *const words[] = { "no", "yes", NULL };
	struct hold hold = { 0 };
	uint64_t expect;
	const struct option_spec specs[] = {
		{ .name = "expect", .value = &expect, .words = expect_words },
		{ .name = "seed", .value = &hold.seed },
		{ .name = "lose", .value = &hold.lose, .words = words, .optional = true },
	};

	if (!options_parse("hold", specs, sizeof(specs) / sizeof(*specs), argc, argv))
		return EXIT_USAGE;
	if (set_up(&hold) && work_until(&hold, expect_errors[expect]))
		after(&hold, expect_errors[expect]);
	report_open();
	report_number("rounds", hold.rounds);
	return report_close();
}
