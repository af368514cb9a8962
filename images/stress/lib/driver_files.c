#define _GNU_SOURCE
#include "driver_files.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mount.h>

#include "failure.h"

#define DEBUGFS "/sys/kernel/debug"

void driver_file_path(const struct gpu *gpu, const char *name, char path[DRIVER_FILE_PATH_MAX])
{
	snprintf(path, DRIVER_FILE_PATH_MAX, DEBUGFS "/dri/%u/%s", gpu->minor, name);
}

FILE *driver_file_open(const struct gpu *gpu, const char *name, const char *mode)
{
	char path[DRIVER_FILE_PATH_MAX];
	FILE *file;

	driver_file_path(gpu, name, path);
	file = fopen(path, mode);
	if (!file && errno == ENOENT) {
		mount("debugfs", DEBUGFS, "debugfs", 0, NULL);
		file = fopen(path, mode);
	}
	if (!file)
		fail("open %s: %s", path, strerror(errno));
	return file;
}

bool driver_file_get(const struct gpu *gpu, const char *name, uint64_t *value)
{
	FILE *file = driver_file_open(gpu, name, "re");
	bool found;

	if (!file)
		return false;
	found = fscanf(file, "%" SCNu64, value) == 1;
	fclose(file);
	return found || fail("%s has no number", name);
}

bool driver_file_set(const struct gpu *gpu, const char *name, uint64_t value)
{
	FILE *file = driver_file_open(gpu, name, "we");

	if (!file)
		return false;
	/* It is written when it is closed, and refused then. */
	fprintf(file, "%" PRIu64, value);
	return !fclose(file) ||
	       fail("write %s: %s (%s)", name, strerrorname_np(errno), strerror(errno));
}

bool driver_stat(const struct gpu *gpu, const char *name, uint64_t *value)
{
	FILE *file = driver_file_open(gpu, "stats", "re");
	bool found = false;
	char line[128], key[64];

	if (!file)
		return false;
	/* Some values are words. */
	while (!found && fgets(line, sizeof(line), file))
		found = sscanf(line, "%63[^:]: %" SCNu64, key, value) == 2 && !strcmp(key, name);
	fclose(file);
	return found || fail("stats has no %s", name);
}

bool driver_evict(const struct gpu *gpu)
{
	return driver_file_set(gpu, "evict", 1);
}
