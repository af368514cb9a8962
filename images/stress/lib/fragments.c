#define _GNU_SOURCE
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/failure.h"
#include "lib/fragments.h"
#include "lib/read_number.h"

#define PAGE 4096ull
#define HUGE (512 * PAGE)
/* One page of so much stays. */
#define PIECE (64 * PAGE)
#define STEP (1024 * 1024)
/* To fill memory further would only have others swapped out. */
#define LEFT_KIB 16384
/* Huge pages that are free then, or become so. */
#define MOST_HUGE 128
#define FAILURES 8

static char *map(uint64_t bytes, int advice)
{
	char *data = mmap(NULL, bytes + HUGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (data == MAP_FAILED) {
		fail("mmap: %s", strerror(errno));
		return NULL;
	}
	data += -(uintptr_t)data % HUGE;
	if (!madvise(data, bytes, advice))
		return data;
	fail("madvise: %s", strerror(errno));
	return NULL;
}

/* All that is free, in small pages, of which some can't be moved. */
static bool fill(char *data, uint64_t bytes, uint64_t *filled)
{
	uint64_t left;

	for (*filled = 0; *filled < bytes; *filled += STEP) {
		for (uint64_t at = *filled; at < *filled + STEP; at += PAGE)
			data[at] = 1;
		for (uint64_t at = *filled; at < *filled + STEP; at += PIECE)
			if (mlock(data + at, PAGE))
				return fail("mlock: %s", strerror(errno));
		if (!read_number("/proc/meminfo", "MemFree: %" SCNu64, &left))
			return false;
		if (left < LEFT_KIB)
			return true;
	}
	return true;
}

/* Whatever huge pages are still to be had; they can't be swapped, which would make room for others. */
static bool take_huge_pages(void)
{
	char *data = map(MOST_HUGE * HUGE, MADV_HUGEPAGE);
	uint64_t before, after;
	unsigned int failures = 0;

	for (unsigned int i = 0; data && i < MOST_HUGE && failures < FAILURES; i++) {
		if (!read_number("/proc/vmstat", "thp_fault_alloc %" SCNu64, &before))
			return false;
		data[i * HUGE] = 1;
		if (!read_number("/proc/vmstat", "thp_fault_alloc %" SCNu64, &after))
			return false;
		failures += before == after;
		if (before != after && mlock(data + i * HUGE, HUGE))
			return fail("mlock: %s", strerror(errno));
	}
	return data && (failures == FAILURES || fail("there are more huge pages than %u", MOST_HUGE));
}

bool fragments_make(void)
{
	static const char setting[] = "/proc/sys/vm/compact_unevictable_allowed";
	uint64_t bytes = (uint64_t)sysconf(_SC_PHYS_PAGES) * PAGE & -STEP, filled;
	char *data = map(bytes, MADV_NOHUGEPAGE);
	FILE *file = fopen(setting, "we");

	if (!data || !file || fputs("0", file) < 0 || fclose(file))
		return fail("%s: %s", setting, strerror(errno));
	if (!fill(data, bytes, &filled))
		return false;
	for (uint64_t at = 0; at < filled; at += PIECE)
		if (madvise(data + at + PAGE, PIECE - PAGE, MADV_DONTNEED))
			return fail("MADV_DONTNEED: %s", strerror(errno));
	return take_huge_pages();
}
