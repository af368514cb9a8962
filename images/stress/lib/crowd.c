#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/crowd.h"
#include "lib/failure.h"
#include "lib/thread.h"

#define PAGE 4096ull
#define HUGE (512 * PAGE)
/* More than any node of ours has. */
#define MOST (768 * 1024 * 1024ull)
/* So many in a row elsewhere: the node is full. */
#define ELSEWHERE 64
/* See set_mempolicy(2). */
#define F_NODE 1
#define F_ADDR 2

static int node_of(const char *page)
{
	int node = -1;

	syscall(SYS_get_mempolicy, &node, NULL, 0, page, F_NODE | F_ADDR);
	return node;
}

/* Page by page, or by huge pages, as long as they are of the first one's node. */
static bool take(uint64_t step, int advice, bool locked)
{
	char *data = mmap(NULL, MOST + HUGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	unsigned int elsewhere = 0;

	if (data == MAP_FAILED)
		return fail("mmap: %s", strerror(errno));
	data += -(uintptr_t)data % HUGE;
	if (madvise(data, MOST, advice) || (locked && mlock2(data, MOST, MLOCK_ONFAULT)))
		return fail("madvise or mlock2: %s", strerror(errno));
	for (uint64_t at = 0; at < MOST && elsewhere < ELSEWHERE * PAGE / step + 1; at += step) {
		data[at] = 1;
		elsewhere = node_of(data + at) == node_of(data) ? 0 : elsewhere + 1;
	}
	return elsewhere || fail("a node has more memory than there is");
}

bool crowd_node(uint64_t cpu, bool locked)
{
	/* The first is of this CPU's node, as long as there is anything. */
	return thread_stay_on_cpu(cpu) && take(HUGE, MADV_HUGEPAGE, locked) && take(PAGE, MADV_NOHUGEPAGE, locked);
}
