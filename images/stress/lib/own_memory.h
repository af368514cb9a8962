/* Private memory of this process, of small pages or of huge ones, and where the kernel says that its pages are. */
#ifndef OWN_MEMORY_H
#define OWN_MEMORY_H

#include <stdbool.h>
#include <stdint.h>

/* What there is for each page: see the kernel's Documentation/admin-guide/mm/pagemap.rst. */
#define OWN_MEMORY_PRESENT (1ull << 63)
#define OWN_MEMORY_SWAP (1ull << 62)

/* From a multiple of 2 MiB on; NULL on failure. For all below, failure() says what failed. */
char *own_memory_new(uint64_t bytes, bool huge);

/* One entry a page of anything that is mapped. */
bool own_memory_entries(const void *memory, uint64_t pages, uint64_t *entries);

/* Of the pages with these entries, those that are in memory. */
struct own_memory_present {
	uint64_t pages;
	uint64_t huge;		/* pages of huge ones */
	uint64_t highest;	/* address */
};

bool own_memory_count(const uint64_t *entries, uint64_t pages, struct own_memory_present *present);

#endif
