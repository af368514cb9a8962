#define _GNU_SOURCE
#include "own_memory.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "failure.h"

#define PAGE 4096
#define HUGE_PAGE (2 * 1024 * 1024)
#define FRAME(entry) ((entry) & ((1ull << 55) - 1))
/* Of /proc/kpageflags. */
#define THP (1ull << 22)

char *own_memory_new(uint64_t bytes, bool huge)
{
	char *data = mmap(NULL, bytes + HUGE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (data == MAP_FAILED) {
		fail("mmap: %s", strerror(errno));
		return NULL;
	}
	data += -(uintptr_t)data % HUGE_PAGE;
	if (madvise(data, bytes, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE)) {
		fail("madvise: %s", strerror(errno));
		return NULL;
	}
	return data;
}

bool own_memory_entries(const void *memory, uint64_t pages, uint64_t *entries)
{
	size_t size = pages * sizeof(*entries);
	off_t at = (off_t)((uintptr_t)memory / PAGE * sizeof(*entries));
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	bool ok = pread(fd, entries, size, at) == (ssize_t)size || fail("pagemap: %s", strerror(errno));

	close(fd);
	return ok;
}

static bool count_one(int flags, uint64_t frame, struct own_memory_present *present)
{
	uint64_t bits;

	if (pread(flags, &bits, sizeof(bits), (off_t)(frame * sizeof(bits))) != sizeof(bits))
		return fail("kpageflags: %s", strerror(errno));
	present->pages++;
	present->huge += !!(bits & THP);
	if (frame * PAGE > present->highest)
		present->highest = frame * PAGE;
	return true;
}

bool own_memory_count(const uint64_t *entries, uint64_t pages, struct own_memory_present *present)
{
	int flags = open("/proc/kpageflags", O_RDONLY | O_CLOEXEC);
	bool ok = true;

	*present = (struct own_memory_present){ 0 };
	for (uint64_t i = 0; ok && i < pages; i++)
		if (entries[i] & OWN_MEMORY_PRESENT)
			ok = count_one(flags, FRAME(entries[i]), present);
	close(flags);
	return ok;
}
