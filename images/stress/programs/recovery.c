/*
 * job: does one job and says how it ended. reset: resets the device and looks what became of an
 * object in VRAM.
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

#define SIZE (1024 * 1024)

static const char *const expect_words[] = { "ok", "eio", NULL };
static const int expect_errors[] = { 0, EIO };

static uint64_t milliseconds(void)
{
	return now_ns() / 1000000;
}

static int run_job(struct gpu *gpu, const struct object *src, const struct object *dst)
{
	struct drm_edgpu_cmd copy = {
		.op = EDGPU_CMD_COPY,
		.src_handle = src->handle,
		.dst_handle = dst->handle,
		.len = SIZE,
	};
	struct drm_edgpu_submit submit = { .cmds = (uintptr_t)&copy, .num_cmds = 1 };
	struct drm_edgpu_wait wait = { .handle = dst->handle, .timeout_ns = INT64_MAX };

	if (ioctl(gpu->fd, DRM_IOCTL_EDGPU_SUBMIT, &submit) ||
	    ioctl(gpu->fd, DRM_IOCTL_EDGPU_WAIT, &wait))
		return errno;
	return 0;
}

static bool job(int expected, uint64_t seed)
{
	BUS_ERROR_GUARD;
	struct object src, dst;
	void *src_data, *dst_data;
	struct gpu gpu;
	int error;

	if (!gpu_open(&gpu) || !gpu_create(&gpu, &src, SIZE, EDGPU_PLACEMENT_SYSTEM, 0) ||
	    !gpu_create(&gpu, &dst, SIZE, EDGPU_PLACEMENT_SYSTEM, 0) ||
	    !gpu_map(&gpu, &src, &src_data) || !gpu_map(&gpu, &dst, &dst_data))
		return false;
	if (bus_error())
		return fail("SIGBUS at the content of a job");
	pattern_write(src_data, SIZE, pattern_key(seed, 0, 0), 0);
	error = run_job(&gpu, &src, &dst);
	if (error != expected)
		report_mismatch("the job ended with %s instead of %s",
				error ? strerrorname_np(error) : "success",
				expected ? strerrorname_np(expected) : "success");
	else if (!error && memcmp(src_data, dst_data, SIZE))
		report_mismatch("the job did not copy");
	return true;
}

int job_main(int argc, char **argv)
{
	uint64_t expect, seed, start = milliseconds();
	const struct option_spec specs[] = {
		{ .name = "expect", .value = &expect, .words = expect_words },
		{ .name = "seed", .value = &seed },
	};

	if (!options_parse("job", specs, sizeof(specs) / sizeof(*specs), argc, argv))
		return EXIT_USAGE;
	job(expect_errors[expect], seed);
	report_open();
	report_number("milliseconds", milliseconds() - start);
	return report_close();
}

static bool reset_device(const struct gpu *gpu)
{
	char path[64];
	bool ok;
	int fd;

	snprintf(path, sizeof(path), "/sys/class/drm/renderD%u/device/reset", gpu->minor);
	fd = open(path, O_WRONLY);
	ok = fd >= 0 && write(fd, "1", 1) == 1;
	if (!ok)
		fail("%s: %s", path, strerror(errno));
	close(fd);
	return ok;
}

static bool reset(uint64_t seed)
{
	static char data[SIZE];
	struct gpu before, after;
	struct object object;
	size_t offset;
	int error;

	if (!gpu_open(&before) ||
	    !gpu_create(&before, &object, SIZE,
			EDGPU_PLACEMENT_VRAM | EDGPU_PLACEMENT_SYSTEM, 0) ||
	    !gpu_move(&before, &object, EDGPU_PLACEMENT_VRAM))
		return false;
	pattern_write(data, SIZE, pattern_key(seed, 0, 0), 0);
	if (!gpu_pwrite(&before, &object, 0, data, SIZE) || !reset_device(&before) ||
	    !gpu_open(&after) || !gpu_pread(&before, &object, 0, data, SIZE))
		return false;

	/* Or nothing was reset, and the rest proves nothing. */
	if (after.vram_generation == before.vram_generation)
		report_mismatch("VRAM did not lose its content");
	if (!pattern_matches(data, SIZE, pattern_key(seed, 0, 0), &offset))
		report_mismatch("an object in VRAM changed at offset %zu", offset);
	error = run_job(&after, &object, &object);
	if (error != ENOENT)
		report_mismatch("a handle of another file was taken");
	return gpu_move(&before, &object, EDGPU_PLACEMENT_VRAM);
}

int reset_main(int argc, char **argv)
{
	uint64_t seed;
	const struct option_spec specs[] = {
		{ .name = "seed", .value = &seed },
	};

	if (!options_parse("reset", specs, 1, argc, argv))
		return EXIT_USAGE;
	reset(seed);
	report_open();
	return report_close();
}
