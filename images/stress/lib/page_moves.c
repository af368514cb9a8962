#define _GNU_SOURCE
#include "page_moves.h"

#include <errno.h>
#include <linux/mempolicy.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "failure.h"

#define PAGE 4096
#define HUGE (2 * 1024 * 1024)
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

struct pages {
	size_t count;
	void **addresses;
	int *nodes;
	int *found;
};

static bool pages_of(struct pages *pages, char *data, size_t size)
{
	pages->count = size / PAGE;
	pages->addresses = calloc(pages->count, sizeof(*pages->addresses));
	pages->nodes = calloc(pages->count, sizeof(*pages->nodes));
	pages->found = calloc(pages->count, sizeof(*pages->found));
	if (!pages->addresses || !pages->nodes || !pages->found)
		return fail("calloc: %s", strerror(errno));
	for (size_t i = 0; i < pages->count; i++)
		pages->addresses[i] = data + i * PAGE;
	return true;
}

static void pages_free(struct pages *pages)
{
	free(pages->addresses);
	free(pages->nodes);
	free(pages->found);
}

/* Where a page may not go, it stays, and the call ends: what has become of each is asked of another. */
static bool move_to(struct page_moves *moves, struct pages *pages, int node)
{
	for (size_t i = 0; i < pages->count; i++) {
		(void)*(volatile char *)pages->addresses[i];
		pages->nodes[i] = node;
	}
	if (syscall(SYS_move_pages, 0, pages->count, pages->addresses, pages->nodes, pages->found,
		    MPOL_MF_MOVE) < 0)
		return fail("move_pages() to node %d: %s", node, strerror(errno));
	if (syscall(SYS_move_pages, 0, pages->count, pages->addresses, NULL, pages->found, 0) < 0)
		return fail("move_pages(): %s", strerror(errno));
	for (size_t i = 0; i < pages->count; i++)
		moves->on_node[node] += pages->found[i] == node;
	return true;
}

static bool move_all(struct page_moves *moves, unsigned int nodes, char *data, size_t size)
{
	struct pages pages = { 0 };
	bool ok = pages_of(&pages, data, size);

	for (unsigned int node = 0; ok && node < nodes; node++)
		ok = move_to(moves, &pages, (int)node);
	pages_free(&pages);
	if (ok && !madvise(data, size, MADV_COLLAPSE))
		moves->collapsed++;
	return ok;
}

bool page_moves_make(struct page_moves *moves, unsigned int nodes, int fd, size_t size)
{
	/* At an address at which a page of the file can be huge. */
	char *room = mmap(NULL, size + HUGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *data = room + HUGE - (uintptr_t)room % HUGE;
	bool ok;

	if (room == MAP_FAILED)
		return fail("mmap: %s", strerror(errno));
	if (mmap(data, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED)
		ok = fail("mmap of a file: %s", strerror(errno));
	else
		ok = move_all(moves, nodes, data, size);
	munmap(room, size + HUGE);
	return ok;
}
