#define _GNU_SOURCE
#include "swap.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "gpu.h"

#define DEBUGFS "/sys/kernel/debug"

bool swap_read(struct swap_counts *counts)
{
	FILE *file = fopen("/proc/vmstat", "re");
	char name[64];
	uint64_t value;

	if (!file)
		return gpu_fail("open /proc/vmstat: %s", strerror(errno));

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
	bool ok;

	if (fd < 0)
		return false;
	ok = write(fd, text, strlen(text)) >= 0;
	close(fd);
	return ok;
}

bool swap_evict(unsigned int drm_minor)
{
	char path[64];

	snprintf(path, sizeof(path), DEBUGFS "/dri/%u/evict", drm_minor);
	if (write_file(path, "1"))
		return true;
	/* Not mounted yet, perhaps. */
	mount("debugfs", DEBUGFS, "debugfs", 0, NULL);
	return write_file(path, "1") ||
	       gpu_fail("write %s: %s (%s)", path, strerrorname_np(errno), strerror(errno));
}

void swap_reclaim(uint64_t bytes)
{
	char request[48];
	glob_t nodes;

	if (glob("/sys/devices/system/node/node*/reclaim", 0, NULL, &nodes))
		return;
	snprintf(request, sizeof(request), "%" PRIu64 " swappiness=max", bytes);
	/* Fails with EAGAIN when less could be reclaimed: the counters tell. */
	for (size_t i = 0; i < nodes.gl_pathc; i++)
		write_file(nodes.gl_pathv[i], request);
	globfree(&nodes);
}
