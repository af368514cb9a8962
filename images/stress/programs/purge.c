/*
 * purge: objects that nobody needs are discarded before anything is swapped, and
 * what was lost is known page by page. Half of the objects are needed, the others
 * not; then the driver is told to let go of as much as the latter have. With --use,
 * all that nobody needs is taken, and then used before it is needed again.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bus_error.h"
#include "lib/failure.h"
#include "lib/gpu.h"
#include "lib/options.h"
#include "lib/pattern.h"
#include "lib/report.h"
#include "lib/swap.h"
#include "programs/programs.h"

#define PAGE 4096
#define COUNT 4
#define RECREATED 0x5a5a5a5a5a5a5a5aULL
#define WRITTEN 0x1122334455667788ULL

struct purge {
	struct gpu gpu;
	struct object objects[2 * COUNT];	/* needed, and not */
	char *data[2 * COUNT];
	uint64_t size;
	uint64_t seed;
	uint64_t keep;		/* control: all are needed */
	uint64_t recreate;
	uint64_t use;
	uint64_t lost;
	uint64_t kept;
	uint64_t verified;
	uint64_t swapped;	/* by anybody */
	uint64_t own_swapped;
	uint64_t whole;		/* of those needed, nothing was taken */
};

static bool is_purgeable(unsigned int i)
{
	return i >= COUNT;
}

static bool advise(struct purge *purge, unsigned int i, uint32_t advice, uint32_t *retained)
{
	struct drm_edgpu_gem_madvise args = { .handle = purge->objects[i].handle, .advice = advice };
	int error;

	if (advice == EDGPU_MADVISE_DONTNEED && purge->recreate) {
		args.flags = EDGPU_MADVISE_RECREATE;
		args.value = RECREATED;
	}
	error = gpu_call(&purge->gpu, DRM_IOCTL_EDGPU_GEM_MADVISE, &args);
	*retained = args.retained;
	return !error || fail("GEM_MADVISE: %s", strerrorname_np(error));
}

static bool set_up(struct purge *purge)
{
	BUS_ERROR_GUARD;
	uint32_t retained;

	for (unsigned int i = 0; i < 2 * COUNT; i++) {
		if (!gpu_create(&purge->gpu, &purge->objects[i], purge->size,
				EDGPU_PLACEMENT_SYSTEM, 0) ||
		    !gpu_map(&purge->gpu, &purge->objects[i], (void **)&purge->data[i]))
			return false;
		if (bus_error())
			return fail("SIGBUS");
		pattern_write(purge->data[i], purge->size, pattern_key(purge->seed, i, 0), 0);
		if (!is_purgeable(i) || purge->keep)
			continue;
		if (!advise(purge, i, EDGPU_MADVISE_DONTNEED, &retained))
			return false;
		if (!retained)
			report_mismatch("object %u: lost before it was needed no longer", i);
	}
	return true;
}

/* A page that was lost is zero, or recreated; any other is as written. */
static bool check_page(struct purge *purge, unsigned int i, uint64_t page, bool lost)
{
	BUS_ERROR_GUARD;
	const uint64_t want = purge->recreate ? RECREATED : 0;
	const uint64_t *words = (const uint64_t *)(purge->data[i] + page * PAGE);
	uint64_t key = pattern_key(purge->seed, i, 0);

	if (bus_error())
		return fail("SIGBUS");
	for (size_t at = 0; at < PAGE; at += 8)
		if (words[at / 8] != (lost ? want : pattern_word(key, page * PAGE + at))) {
			report_mismatch("object %u, page %" PRIu64 ": content", i, page);
			return true;
		}
	purge->verified += PAGE;
	return true;
}

static bool check_object(struct purge *purge, unsigned int i)
{
	uint64_t pages = purge->size / PAGE, lost = 0;
	uint64_t *bitmap = calloc((pages + 63) / 64, sizeof(*bitmap));
	struct drm_edgpu_gem_discarded args = {
		.handle = purge->objects[i].handle,
		.pages = pages,
		.bitmap = (uintptr_t)bitmap,
	};
	uint32_t retained = 1;
	bool ok = true;
	int error;

	if (!bitmap)
		return fail("calloc: %s", strerror(errno));
	if (is_purgeable(i) && !advise(purge, i, EDGPU_MADVISE_WILLNEED, &retained))
		return false;
	error = gpu_call(&purge->gpu, DRM_IOCTL_EDGPU_GEM_DISCARDED, &args);
	if (error)
		return fail("GEM_DISCARDED: %s", strerrorname_np(error));
	for (uint64_t page = 0; ok && page < pages; page++) {
		bool gone = bitmap[page / 64] >> page % 64 & 1;

		lost += gone;
		ok = check_page(purge, i, page, gone);
	}
	free(bitmap);
	if (lost != args.discarded || retained != !lost || (!is_purgeable(i) && lost))
		report_mismatch("object %u: %" PRIu64 " pages lost, said to be %" PRIu64
				", retained %u", i, lost, (uint64_t)args.discarded, retained);
	purge->lost += lost;
	purge->kept += pages - lost;
	return ok;
}

/* Half of what those have that nobody needs. */
static bool press(struct purge *purge)
{
	struct swap_counts before, after;
	struct drm_edgpu_gem_info info;

	if (!swap_read(&before) || !swap_reclaim(COUNT * purge->size / 2) || !swap_read(&after))
		return false;
	purge->swapped = after.out - before.out;
	if (!swap_of_all(&purge->gpu, &purge->own_swapped, NULL))
		return false;
	for (unsigned int i = 0; i < COUNT; i++) {
		if (!gpu_info(&purge->gpu, &purge->objects[i], &info))
			return false;
		purge->whole += info.populated;
	}
	return true;
}

static bool expect_word(struct purge *purge, unsigned int i, uint64_t page, uint64_t want, const char *when)
{
	uint64_t found;

	if (!bus_error_load((volatile uint64_t *)(purge->data[i] + page * PAGE), &found))
		return false;
	if (found != want)
		report_mismatch("object %u, page %" PRIu64 ", %s: 0x%" PRIx64 " instead of 0x%" PRIx64, i, page,
				when, found, want);
	return true;
}

/*
 * What was discarded has the content that was promised as soon as somebody looks, and what is written to it then stays:
 * when the object is needed again, and when pages of it that nobody has looked at yet are used.
 */
static bool use(struct purge *purge, unsigned int i)
{
	const uint64_t promised = purge->recreate ? RECREATED : 0;
	uint64_t last = purge->size / PAGE - 1;
	struct drm_edgpu_gem_evict evict = { .handle = purge->objects[i].handle, .size = purge->size };
	uint32_t retained;
	int error = gpu_call(&purge->gpu, DRM_IOCTL_EDGPU_GEM_EVICT, &evict);

	if (error)
		return fail("GEM_EVICT: %s", strerrorname_np(error));
	if (!expect_word(purge, i, 0, promised, "not needed"))
		return false;
	if (!bus_error_store((volatile uint64_t *)(purge->data[i] + PAGE), WRITTEN) ||
	    !advise(purge, i, EDGPU_MADVISE_WILLNEED, &retained) ||
	    !expect_word(purge, i, 0, promised, "needed again"))
		return false;
	return bus_error_store((volatile uint64_t *)purge->data[i], WRITTEN) &&
	       expect_word(purge, i, last, promised, "not used before") &&
	       expect_word(purge, i, 0, WRITTEN, "written when needed") &&
	       expect_word(purge, i, 1, WRITTEN, "written when not needed");
}

static bool use_all(struct purge *purge)
{
	for (unsigned int i = COUNT; i < 2 * COUNT; i++)
		if (!use(purge, i))
			return false;
	return true;
}

static bool run(struct purge *purge)
{
	if (!gpu_open(&purge->gpu) || !set_up(purge))
		return false;
	if (purge->use)
		return use_all(purge);
	if (!press(purge))
		return false;
	for (unsigned int i = 0; i < 2 * COUNT; i++)
		if (!check_object(purge, i))
			return false;
	return true;
}

int purge_main(int argc, char **argv)
{
	static const char *const words[] = { "no", "yes", NULL };
	struct purge purge = { 0 };
	const struct option_spec specs[] = {
		{ .name = "object-size", .value = &purge.size },
		{ .name = "seed", .value = &purge.seed },
		{ .name = "keep", .value = &purge.keep, .words = words, .optional = true },
		{ .name = "recreate", .value = &purge.recreate, .words = words, .optional = true },
		{ .name = "use", .value = &purge.use, .words = words, .optional = true },
	};

	if (!options_parse("purge", specs, sizeof(specs) / sizeof(*specs), argc, argv))
		return EXIT_USAGE;
	if (!purge.size || purge.size % PAGE) {
		options_complain("purge", "--object-size is not a multiple of 4096");
		return EXIT_USAGE;
	}
	run(&purge);
	report_open();
	report_number("bytesVerified", purge.verified);
	report_number("pagesLost", purge.lost);
	report_number("pagesKept", purge.kept);
	report_number("pswpout", purge.swapped);
	report_number("pagesInSwap", purge.own_swapped);
	report_number("neededWhole", purge.whole);
	return report_close();
}
