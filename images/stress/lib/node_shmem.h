/* How much shmem memory each NUMA node holds: the kernel's own account of where objects lie. */
#ifndef NODE_SHMEM_H
#define NODE_SHMEM_H

#include <stdbool.h>
#include <stdint.h>

#define MAX_NODES 16

struct node_shmem {
	unsigned int nodes;
	uint64_t bytes[MAX_NODES];
};

bool node_shmem_read(struct node_shmem *shmem);

#endif
