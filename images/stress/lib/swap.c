#define _GNU_SOURCE
#include "swap.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "driver_files.h"
#include "failure.h"

#define PAGE 4096
#define MAX_TRIES 20
/* More than any of our machines has of pages that can be swapped before an object's. */
#define MOST_OTHERS (512 * 1024 * 1024)
/* Drains the batches of all CPUs, and drops clean page cache. */
#define DRAIN "1"
#define CGROUP "/sys/fs/cgroup"
#define RECLAIM CGROUP "/memory.reclaim"

bool swap_read(struct swap_counts *counts)
{
	FILE *file = fopen("/proc/vmstat", "re");
	char name[64];
	uint64_t value;

	if (!file)
		return fail("open /proc/vmstat: %s", strerror(errno));

	*counts = (struct swap_counts) { 0 };
	while (fscanf(file, "%63s %" SCNu64, name, &value) == 2) {
		if (!strcmp(name, "pswpout"))
			counts->out = value;
		else if (!strcmp(name, "pswpin"))
			counts->in = value;
	}
	fclose(file);
	return true;
}

static bool write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	int error;

	if (fd < 0)
		return false;
	error = write(fd, text, strlen(text)) < 0 ? errno : 0;
	close(fd);
	errno = error;
	return !error;
}

static bool reclaim(uint64_t bytes, const char *whence)
{
	char request[48];

	snprintf(request, sizeof(request), "%" PRIu64 "%s", bytes, whence);
	if (access(RECLAIM, F_OK))
		mount("cgroup2", CGROUP, "cgroup2", 0, NULL);
	/* EAGAIN: less could be reclaimed; the counters tell how much was. */
	return write_file(RECLAIM, request) || errno == EAGAIN ||
	       fail("write %s: %s (%s)", RECLAIM, strerrorname_np(errno), strerror(errno));
}

bool swap_reclaim(uint64_t bytes)
{
	return reclaim(bytes, " swappiness=max");
}

bool swap_reclaim_any(uint64_t bytes)
{
	return reclaim(bytes, "");
}

/* Adds up the last fields of the driver's lines: of the object with this offset for mmap(), or of all. */
static bool sum_swapped(const struct gpu *gpu, const uint64_t *wanted, uint64_t *pages,
			uint64_t *copied)
{
	FILE *file = driver_file_open(gpu, "lru", "re");
	uint64_t offset, swapped, copies;
	char line[128];

	if (!file)
		return false;
	*pages = 0;
	*copied = 0;
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%*s %*u %*u %*u %" SCNx64 " %" SCNu64 " %" SCNu64, &offset,
			   &swapped, &copies) != 3)
			continue;
		if (wanted && offset != *wanted)
			continue;
		*pages += swapped;
		*copied += copies;
	}
	fclose(file);
	return true;
}

bool swap_of(struct gpu *gpu, const struct object *object, uint64_t *pages)
{
	uint64_t offset, copied;

	return gpu_mmap_offset(gpu, object, &offset) && sum_swapped(gpu, &offset, pages, &copied);
}

bool swap_of_all(const struct gpu *gpu, uint64_t *pages, uint64_t *copied)
{
	uint64_t unwanted;

	return sum_swapped(gpu, NULL, pages, copied ? copied : &unwanted);
}

bool swap_out(struct gpu *gpu, const struct object *object, uint64_t bytes)
{
	uint64_t swapped, others = 32 * PAGE;

	for (int tries = 0; ; tries++) {
		if (!swap_of(gpu, object, &swapped))
			return false;
		if (swapped * PAGE >= bytes)
			return true;
		if (tries == MAX_TRIES)
			break;
		/* An idle CPU keeps what is in its batch until all CPUs are told to drain theirs. */
		if (tries == MAX_TRIES - 1 && !write_file("/proc/sys/vm/drop_caches", DRAIN))
			return fail("write /proc/sys/vm/drop_caches: %s", strerror(errno));
		/*
		 * Pages that came back from swap soon after they went are on the active
		 * list, and those that another CPU let go of may still be in a batch of
		 * its own. Reclaim turns to either only if it does not find enough
		 * elsewhere, so that asking for what is missing would be in vain; and
		 * who has few pages has many of others before them.
		 */
		if (!swap_reclaim(2 * bytes + others))
			return false;
		if (others < MOST_OTHERS)
			others *= 2;
	}
	return fail("%" PRIu64 " pages of an object are in swap, of %" PRIu64, swapped, bytes / PAGE);
}
