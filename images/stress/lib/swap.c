#define _GNU_SOURCE
#include "swap.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "failure.h"

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
