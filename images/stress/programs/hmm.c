/*
 * hmm: memory of this process is in that of a pretended device, test_hmm's,
 * and goes away while the device gives everything back: one thread unmaps it
 * between the two halves of what another one has asked for. The rest of the
 * memory, which makes that last, has to come back as it was.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/failure.h"
#include "lib/options.h"
#include "lib/own_memory.h"
#include "lib/pattern.h"
#include "lib/report.h"
#include "lib/test_hmm.h"
#include "lib/thread.h"
#include "programs/programs.h"

#define PAGE 4096
/* Of an entry of pagemap, for a page that is not in memory. */
#define SWAP_TYPE 0x1full

struct run {
	uint64_t areas;		/* each a page, with an anon_vma of its own */
	uint64_t bytes;		/* of the rest */
	uint64_t rounds;
	uint64_t seed;
	uint64_t lose;		/* control: a page of the rest changes */
	int device;
	int pagemap;
	char *rest;
	char *mirror;
	uint64_t *entries;
	uint64_t rounds_done;
	uint64_t areas_in_time;
	uint64_t bytes_verified;
};

static bool set_up(struct run *run)
{
	uint64_t area_bytes = run->areas * PAGE;
	uint64_t most = area_bytes > run->bytes ? area_bytes : run->bytes;

	run->device = test_hmm_open();
	if (run->device < 0)
		return false;
	run->pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	if (run->pagemap < 0)
		return fail("open pagemap: %s", strerror(errno));
	run->entries = calloc(run->areas, sizeof(*run->entries));
	run->mirror = malloc(most);
	run->rest = mmap(NULL, run->bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			 -1, 0);
	if (!run->entries || !run->mirror || run->rest == MAP_FAILED)
		return fail("no memory");
	return true;
}

/* One page after the other may not be one VMA, nor share an anon_vma: every second one stays out of core dumps. */
static char *map_areas(struct run *run)
{
	uint64_t bytes = run->areas * PAGE;
	char *areas = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (areas == MAP_FAILED) {
		fail("mmap: %s", strerror(errno));
		return NULL;
	}
	for (uint64_t at = 0; at < bytes; at += 2 * PAGE)
		if (madvise(areas + at, PAGE, MADV_DONTDUMP)) {
			fail("madvise: %s", strerror(errno));
			return NULL;
		}
	return areas;
}

static void write_words(struct run *run, char *memory, uint64_t bytes, uint64_t round)
{
	for (uint64_t at = 0; at < bytes; at += PAGE)
		*(uint64_t *)(memory + at) = pattern_key(run->seed, at, round);
}

static bool to_device(struct run *run, const char *memory, uint64_t bytes)
{
	return test_hmm_take(run->device, memory, bytes, run->mirror);
}

static bool read_entries(struct run *run, const char *areas)
{
	ssize_t bytes = (ssize_t)(run->areas * sizeof(*run->entries));
	off_t at = (off_t)((uintptr_t)areas / PAGE * sizeof(*run->entries));

	return pread(run->pagemap, run->entries, (size_t)bytes, at) == bytes ||
	       fail("pagemap: %s", strerror(errno));
}

/* The device gives back all pages of all processes as soon as somebody closes it. */
static void *close_device(void *opened)
{
	close(*(int *)opened);
	return NULL;
}

/*
 * Waits until all areas are on their way, which shows by another kind of entry than that of a page in a device's
 * memory. Some may have arrived by then, and are not counted.
 */
static bool await_migration(struct run *run, const char *areas, uint64_t in_device)
{
	uint64_t waiting, moving;

	do {
		if (!read_entries(run, areas))
			return false;
		waiting = moving = 0;
		for (uint64_t i = 0; i < run->areas; i++) {
			if (run->entries[i] & OWN_MEMORY_PRESENT)
				continue;
			if ((run->entries[i] & SWAP_TYPE) == in_device)
				waiting++;
			else
				moving++;
		}
	} while (waiting);
	run->areas_in_time += moving;
	return true;
}

static bool one_round(struct run *run, uint64_t round)
{
	char *areas = map_areas(run);
	uint64_t bytes = run->areas * PAGE;
	pthread_t closing;
	bool ok;
	int fd;

	if (!areas)
		return false;
	write_words(run, areas, bytes, round);
	write_words(run, run->rest, run->bytes, round);
	if (!to_device(run, areas, bytes) || !to_device(run, run->rest, run->bytes) ||
	    !read_entries(run, areas))
		return false;
	if ((run->entries[0] & (OWN_MEMORY_PRESENT | OWN_MEMORY_SWAP)) != OWN_MEMORY_SWAP)
		return fail("a page of the device has the pagemap entry 0x%" PRIx64, run->entries[0]);

	fd = test_hmm_open();
	if (fd < 0)
		return false;
	if (!thread_start(&closing, close_device, &fd))
		return false;
	ok = await_migration(run, areas, run->entries[0] & SWAP_TYPE);
	if (munmap(areas, bytes))
		ok = fail("munmap: %s", strerror(errno));
	pthread_join(closing, NULL);
	return ok;
}

static void verify(struct run *run, uint64_t round)
{
	if (run->lose)
		*(volatile uint64_t *)run->rest ^= 1;
	for (uint64_t at = 0; at < run->bytes; at += PAGE) {
		uint64_t found = *(volatile uint64_t *)(run->rest + at);

		if (found == pattern_key(run->seed, at, round))
			run->bytes_verified += PAGE;
		else
			report_mismatch("round %" PRIu64 ": 0x%016" PRIx64 " at offset %" PRIu64,
					round, found, at);
	}
}

int hmm_main(int argc, char **argv)
{
	static const char *const words[] = { "no", "yes", NULL };
	struct run run = { 0 };
	const struct option_spec specs[] = {
		{ .name = "areas", .value = &run.areas },
		{ .name = "bytes", .value = &run.bytes },
		{ .name = "rounds", .value = &run.rounds },
		{ .name = "seed", .value = &run.seed },
		{ .name = "lose", .value = &run.lose, .words = words, .optional = true },
	};

	if (!options_parse("hmm", specs, sizeof(specs) / sizeof(*specs), argc, argv))
		return EXIT_USAGE;
	if (!run.areas || !run.bytes || run.bytes % PAGE) {
		options_complain("hmm", "--areas is 0, or --bytes no multiple of 4096");
		return EXIT_USAGE;
	}

	if (set_up(&run))
		while (run.rounds_done < run.rounds && one_round(&run, run.rounds_done))
			verify(&run, run.rounds_done++);
	report_open();
	report_number("rounds", run.rounds_done);
	report_number("areasInTime", run.areas_in_time);
	report_number("bytesVerified", run.bytes_verified);
	return report_close();
}
