/* What the test of lib/ runs on the host: accesses that can't succeed, and random numbers. */
#define _GNU_SOURCE
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "lib/bus_error.h"
#include "lib/failure.h"
#include "lib/random.h"

/* A page of a file without any: each access is a SIGBUS. */
static volatile uint64_t *unavailable(void)
{
	int fd = memfd_create("empty", 0);

	return mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
}

static bool guarded(volatile uint64_t *word)
{
	BUS_ERROR_GUARD;

	if (bus_error())
		return fail("caught");
	*word = 1;
	return true;
}

static bool nested(volatile uint64_t *word)
{
	BUS_ERROR_GUARD;

	if (bus_error())
		return fail("caught by the outer guard");
	if (guarded(word))
		return true;
	*word = 1;
	return true;
}

int main(int argc, char **argv)
{
	volatile uint64_t *word = unavailable();
	uint64_t value;

	if (argc < 2 || !bus_error_catch("check"))
		return 2;
	if (!strcmp(argv[1], "outside"))
		*word = 1;
	else if (!strcmp(argv[1], "guarded"))
		printf("%d\n", guarded(word) || guarded(word));
	else if (!strcmp(argv[1], "afterwards"))
		*(guarded(word) ? NULL : word) = 1;
	else if (!strcmp(argv[1], "nested"))
		printf("%d\n", nested(word));
	else if (!strcmp(argv[1], "word"))
		printf("%d\n", bus_error_load(word, &value) || bus_error_store(word, 1));
	else
		for (uint64_t stream = 0; stream < 4; stream++) {
			struct random random = random_seeded(strtoull(argv[1], NULL, 0), stream);

			for (int i = 0; i < 4; i++)
				printf("%016" PRIx64 "\n", random_next(&random));
		}
	printf("%s\n", failure());
	return 0;
}
