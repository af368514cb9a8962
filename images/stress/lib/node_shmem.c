#define _GNU_SOURCE
#include "node_shmem.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "failure.h"

static bool read_node(unsigned int node, FILE *file, uint64_t *bytes)
{
	char line[128];
	uint64_t kib;

	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "Node %*u Shmem: %" SCNu64 " kB", &kib) == 1) {
			*bytes = kib * 1024;
			return true;
		}
	}
	return fail("the kernel does not say how much shmem node %u holds", node);
}

bool node_shmem_read(struct node_shmem *shmem)
{
	char path[64];

	for (shmem->nodes = 0; shmem->nodes < MAX_NODES; shmem->nodes++) {
		FILE *file;
		bool ok;

		snprintf(path, sizeof(path), "/sys/devices/system/node/node%u/meminfo",
			 shmem->nodes);
		file = fopen(path, "re");
		if (!file && shmem->nodes && errno == ENOENT)
			return true;
		if (!file)
			return fail("open %s: %s", path, strerror(errno));
		ok = read_node(shmem->nodes, file, &shmem->bytes[shmem->nodes]);
		fclose(file);
		if (!ok)
			return false;
	}
	return true;
}
