/*
 * evict: one large object loses its memory chunk by chunk, and gets it back.
 *
 * pages: in system memory. Stops after each chunk in turn, and then uses the
 * object in each way that brings it back whole.
 * vram: from VRAM to system memory and back, though there may be no room for
 * all of it. Moves that fail, by the device or by a signal, are tried again once
 * the content was found to be where it was.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "lib/bus_error.h"
#include "lib/checksum.h"
#include "lib/clock.h"
#include "lib/driver_files.h"
#include "lib/failure.h"
#include "lib/faults.h"
#include "lib/gpu.h"
#include "lib/options.h"
#include "lib/pattern.h"
#include "lib/report.h"
#include "lib/swap.h"
#include "lib/thread.h"
#include "programs/programs.h"

#define PAGE 4096
#define ANYWHERE (EDGPU_PLACEMENT_SYSTEM | EDGPU_PLACEMENT_VRAM)
/* By which the object is written. */
#define STRIDE (1024 * 1024)
#define STRETCH EDGPU_MAX_CHECKSUM_LEN
/* Moves are not interrupted more often, or none would ever end. */
#define MOST_SIGNALS 20
/* No call is interrupted for ever. */
#define MAX_INTERRUPTED 1000
/* Engine 0 moves objects; jobs of the program's own don't get in the way of its failures. */
#define ENGINE 1

enum mode { MODE_PAGES, MODE_VRAM };

struct evict {
	struct gpu gpu;
	struct checksum checksum;
	struct object object;
	struct object staging;		/* of a stride, written by CPU and copied by the device */
	char *staging_data;
	struct object page;
	char *page_data;
	uint64_t mode;
	uint64_t bytes;
	uint64_t chunk;		/* pages, 0 for what the driver has */
	uint64_t caching;
	uint64_t seed;
	uint64_t signals;
	uint64_t lose;
	uint64_t *sums;		/* of each stretch, by CPU */
	uint64_t verified;
	uint64_t checksums;
	uint64_t chunks;	/* let go of, one at a time */
	uint64_t returns;
	uint64_t failed_moves;
	uint64_t interrupted_moves;
	uint64_t out_ns;
	uint64_t back_ns;
	uint64_t peak_pages;
	struct swap_counts swapped;
};

/* ---- Content ---- */

static uint64_t stretches(const struct evict *evict)
{
	return (evict->bytes + STRETCH - 1) / STRETCH;
}

static uint64_t stretch_len(const struct evict *evict, uint64_t i)
{
	uint64_t left = evict->bytes - i * STRETCH;

	return left < STRETCH ? left : STRETCH;
}

/* What the object has from there on: no two pages of it are the same. */
static uint64_t key_at(const struct evict *evict, uint64_t offset)
{
	return pattern_word(pattern_key(evict->seed, 0, 0), offset);
}

static bool sum_stretch(struct evict *evict, uint64_t i, uint64_t *sum)
{
	return checksum_range(&evict->checksum, ENGINE, &evict->object, i * STRETCH,
			      stretch_len(evict, i), sum);
}

static bool write_stride(struct evict *evict, uint64_t at, uint64_t len)
{
	BUS_ERROR_GUARD;
	struct drm_edgpu_cmd cmd = {
		.op = EDGPU_CMD_COPY,
		.src_handle = evict->staging.handle,
		.dst_handle = evict->object.handle,
		.dst_offset = at,
		.len = len,
	};

	if (bus_error())
		return fail("write of content: SIGBUS");
	pattern_write(evict->staging_data, len, key_at(evict, at), 0);
	return gpu_submit(&evict->gpu, ENGINE, &cmd, 1) && gpu_wait(&evict->gpu, &evict->staging);
}

static bool write_content(struct evict *evict)
{
	uint64_t len;

	for (uint64_t at = 0; at < evict->bytes; at += len) {
		len = evict->bytes - at < STRIDE ? evict->bytes - at : STRIDE;
		if (!write_stride(evict, at, len))
			return false;
	}
	for (uint64_t i = 0; i < stretches(evict); i++)
		evict->sums[i] = pattern_checksum(stretch_len(evict, i), key_at(evict, i * STRETCH),
						  evict->seed);
	return true;
}

/* All of it may be more than the CPU reaches at a time. */
static bool fetch_page(struct evict *evict, uint64_t index)
{
	struct drm_edgpu_cmd cmd = {
		.op = EDGPU_CMD_COPY,
		.src_handle = evict->object.handle,
		.src_offset = index * PAGE,
		.dst_handle = evict->page.handle,
		.len = PAGE,
	};

	return gpu_submit(&evict->gpu, ENGINE, &cmd, 1) && gpu_wait(&evict->gpu, &evict->page);
}

static bool verify_page(struct evict *evict, uint64_t index)
{
	BUS_ERROR_GUARD;
	size_t offset;

	if (!fetch_page(evict, index))
		return false;
	if (bus_error())
		return fail("read of a page: SIGBUS");
	if (!pattern_matches(evict->page_data, PAGE, key_at(evict, index * PAGE), &offset))
		report_mismatch("page %" PRIu64 ": content", index);
	return true;
}

/* By the device all of it; a page of each MiB by CPU. */
static bool verify(struct evict *evict)
{
	uint64_t sum;

	for (uint64_t i = 0; i < stretches(evict); i++) {
		if (!sum_stretch(evict, i, &sum))
			return false;
		evict->checksums++;
		if (sum != evict->sums[i])
			report_mismatch("stretch %" PRIu64 ": checksum", i);
		else
			evict->verified += stretch_len(evict, i);
	}
	for (uint64_t at = 0; at < evict->bytes; at += 1 << 20) {
		uint64_t index = at / PAGE + pattern_key(evict->seed, at, 1) % 256;

		if (index < evict->bytes / PAGE && !verify_page(evict, index))
			return false;
	}
	return true;
}

/* ---- Moves ---- */

static void on_alarm(int signal)
{
	(void)signal;
}

static void arm_alarm(struct evict *evict)
{
	uint64_t us = 200 + pattern_key(evict->seed, evict->interrupted_moves, 2) % 20000;
	const struct itimerval soon = { .it_value.tv_usec = (suseconds_t)us };
	const struct itimerval never = { 0 };

	if (!evict->signals)
		return;
	if (setitimer(ITIMER_REAL, evict->interrupted_moves < MOST_SIGNALS ? &soon : &never, NULL))
		fail("setitimer: %s", strerror(errno));
}

static bool is_where(struct evict *evict, uint32_t placement)
{
	struct drm_edgpu_gem_info info;

	if (!gpu_info(&evict->gpu, &evict->object, &info))
		return false;
	if (info.placement != placement)
		report_mismatch("object is at %u, not %u", info.placement, placement);
	return true;
}

/* Until it works; after each failure the object is as it was. */
static bool move(struct evict *evict, uint32_t from, uint32_t to)
{
	struct drm_edgpu_gem_move args = { .handle = evict->object.handle, .placement = to };
	int error;

	for (;;) {
		arm_alarm(evict);
		faults_arm();
		error = ioctl(evict->gpu.fd, DRM_IOCTL_EDGPU_GEM_MOVE, &args) ? errno : 0;
		if (faults_disarm() && (error == ENOMEM || error == EFAULT))
			continue;
		if (!error)
			return is_where(evict, to);
		if ((error == EINTR || error == EAGAIN) && evict->interrupted_moves < MAX_INTERRUPTED)
			evict->interrupted_moves++;
		else if (error == EIO)
			evict->failed_moves++;
		else
			return fail("GEM_MOVE: %s", strerrorname_np(error));
		if (!is_where(evict, from))
			return false;
	}
}

static bool timed_move(struct evict *evict, uint32_t from, uint32_t to, uint64_t *ns)
{
	uint64_t before, peak, start;

	if (!driver_stat(&evict->gpu, "pinned_pages", &before) ||
	    !driver_file_set(&evict->gpu, "move_peak_pages", 0))
		return false;
	start = now_ns();
	if (!move(evict, from, to))
		return false;
	*ns = now_ns() - start;
	if (!driver_file_get(&evict->gpu, "move_peak_pages", &peak))
		return false;
	if (peak > before && peak - before > evict->peak_pages)
		evict->peak_pages = peak - before;
	return true;
}

static bool flip_bit(struct evict *evict)
{
	uint64_t word;

	return gpu_pread(&evict->gpu, &evict->object, evict->bytes / 2, &word, sizeof(word)) &&
	       (word ^= 1, gpu_pwrite(&evict->gpu, &evict->object, evict->bytes / 2, &word,
				      sizeof(word)));
}

static bool run_vram(struct evict *evict)
{
	return gpu_move(&evict->gpu, &evict->object, EDGPU_PLACEMENT_VRAM) &&
	       write_content(evict) &&
	       timed_move(evict, EDGPU_PLACEMENT_VRAM, EDGPU_PLACEMENT_SYSTEM, &evict->out_ns) &&
	       timed_move(evict, EDGPU_PLACEMENT_SYSTEM, EDGPU_PLACEMENT_VRAM, &evict->back_ns) &&
	       (!evict->lose || flip_bit(evict)) && verify(evict);
}

/* ---- Pages ---- */

/* Lets go of one chunk. @left is whether any page is left. */
static bool evict_chunk(struct evict *evict, uint64_t *gone)
{
	struct drm_edgpu_gem_evict args = { .handle = evict->object.handle };
	struct drm_edgpu_gem_info info;
	bool refused, untold = false;
	unsigned int interrupted = 0;
	int error;

	do {
		faults_arm();
		error = ioctl(evict->gpu.fd, DRM_IOCTL_EDGPU_GEM_EVICT, &args) ? errno : 0;
		refused = faults_disarm();
		/* It may have let go of a chunk, and been refused to tell. */
		untold |= refused && error == EFAULT;
	} while ((refused && error) || (error == EINTR && ++interrupted < MAX_INTERRUPTED));
	if (error)
		return fail("GEM_EVICT: %s", strerrorname_np(error));
	evict->chunks++;
	if (untold ? args.evicted <= *gone : args.evicted != *gone + args.size || !args.size)
		report_mismatch("%" PRIu64 " bytes gone after %" PRIu64 " of %" PRIu64, *gone,
				(uint64_t)args.size, (uint64_t)args.evicted);
	*gone = args.evicted;
	if (!gpu_info(&evict->gpu, &evict->object, &info))
		return false;
	if (info.populated)
		report_mismatch("%" PRIu64 " bytes gone, and all are there", *gone);
	return true;
}

static bool read_all(struct evict *evict, const char *data)
{
	BUS_ERROR_GUARD;
	size_t offset;

	if (bus_error())
		return fail("SIGBUS");
	if (!pattern_matches(data, evict->bytes, key_at(evict, 0), &offset))
		report_mismatch("page %zu: content", offset / PAGE);
	evict->verified += evict->bytes;
	return true;
}

/*
 * Each stop goes on on another CPU, as the scheduler might have it: what one CPU
 * keeps in batches is not seen by reclaim on another.
 */
static bool change_cpu(unsigned int stop)
{
	return thread_stay_on_cpu(stop % (unsigned int)sysconf(_SC_NPROCESSORS_ONLN));
}

/* In each way in turn. */
static bool bring_back(struct evict *evict, const char *data, unsigned int way)
{
	struct drm_edgpu_gem_info info;
	char byte;

	evict->returns++;
	if (way % 3 == 0 && !read_all(evict, data))
		return false;
	if (way % 3 == 1 && !verify(evict))
		return false;
	if (way % 3 == 2 &&
	    !gpu_pread(&evict->gpu, &evict->object, evict->bytes - 1, &byte, sizeof(byte)))
		return false;
	if (!gpu_info(&evict->gpu, &evict->object, &info))
		return false;
	if (!info.populated)
		report_mismatch("came back in part");
	return true;
}

static bool run_pages(struct evict *evict)
{
	uint64_t gone = 0;
	void *data;

	if (!gpu_map(&evict->gpu, &evict->object, &data) || !write_content(evict))
		return false;
	for (unsigned int stop = 1; gone < evict->bytes; stop++) {
		gone = 0;
		for (unsigned int i = 0; i < stop && gone < evict->bytes; i++)
			if (!evict_chunk(evict, &gone))
				return false;
		if (!change_cpu(stop))
			return false;
		/* Now and then, what was let go of goes to swap. */
		if (stop % 4 == 0 && !swap_out(&evict->gpu, &evict->object, gone))
			return false;
		if (evict->lose && gone == evict->bytes && !flip_bit(evict))
			return false;
		if (!bring_back(evict, data, stop))
			return false;
	}
	return read_all(evict, data) && verify(evict) && gpu_unmap(&evict->object, data);
}

static bool run(struct evict *evict)
{
	uint32_t placement = evict->mode == MODE_VRAM ? ANYWHERE : EDGPU_PLACEMENT_SYSTEM;
	struct swap_counts before, after;
	bool ok;

	evict->sums = calloc(stretches(evict), sizeof(*evict->sums));
	if (!evict->sums)
		return fail("calloc: %s", strerror(errno));
	if (!gpu_open(&evict->gpu) ||
	    (evict->chunk && !driver_file_set(&evict->gpu, "chunk_pages", evict->chunk)) ||
	    !checksum_init(&evict->checksum, &evict->gpu, evict->seed) ||
	    !gpu_create(&evict->gpu, &evict->staging, STRIDE, EDGPU_PLACEMENT_SYSTEM, 0) ||
	    !gpu_map(&evict->gpu, &evict->staging, (void **)&evict->staging_data) ||
	    !gpu_create(&evict->gpu, &evict->page, PAGE, EDGPU_PLACEMENT_SYSTEM, 0) ||
	    !gpu_map(&evict->gpu, &evict->page, (void **)&evict->page_data) ||
	    !gpu_create(&evict->gpu, &evict->object, evict->bytes, placement,
			(uint32_t)evict->caching) ||
	    !swap_read(&before))
		return false;
	ok = evict->mode == MODE_VRAM ? run_vram(evict) : run_pages(evict);
	if (!swap_read(&after))
		return false;
	evict->swapped.out = after.out - before.out;
	evict->swapped.in = after.in - before.in;
	return ok;
}

int evict_main(int argc, char **argv)
{
	static const char *const modes[] = { "pages", "vram", NULL };
	static const char *const words[] = { "no", "yes", NULL };
	const struct sigaction action = { .sa_handler = on_alarm };
	struct evict evict = { 0 };
	const struct option_spec specs[] = {
		{ .name = "from", .value = &evict.mode, .words = modes },
		{ .name = "bytes", .value = &evict.bytes },
		{ .name = "seed", .value = &evict.seed },
		{ .name = "chunk", .value = &evict.chunk, .optional = true },
		{ .name = "caching", .value = &evict.caching, .words = caching_words,
		  .optional = true },
		{ .name = "signals", .value = &evict.signals, .words = words, .optional = true },
		{ .name = "lose", .value = &evict.lose, .words = words, .optional = true },
	};

	if (!options_parse("evict", specs, sizeof(specs) / sizeof(*specs), argc, argv))
		return EXIT_USAGE;
	if (!evict.bytes || evict.bytes % PAGE) {
		options_complain("evict", "--bytes is not a multiple of 4096");
		return EXIT_USAGE;
	}

	if (sigaction(SIGALRM, &action, NULL))
		fail("sigaction: %s", strerror(errno));
	else
		run(&evict);
	report_open();
	report_number("bytesVerified", evict.verified);
	report_number("checksumsVerified", evict.checksums);
	report_number("chunks", evict.chunks);
	report_number("returns", evict.returns);
	report_number("failedMoves", evict.failed_moves);
	report_number("interruptedMoves", evict.interrupted_moves);
	report_number("outMs", evict.out_ns / 1000000);
	report_number("backMs", evict.back_ns / 1000000);
	report_number("peakPages", evict.peak_pages);
	report_number("pswpout", evict.swapped.out);
	report_number("pswpin", evict.swapped.in);
	return report_close();
}
