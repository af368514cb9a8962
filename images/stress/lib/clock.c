#include "clock.h"

#include <errno.h>
#include <string.h>

#include "failure.h"

uint64_t clock_ns(clockid_t clock)
{
	struct timespec now = { 0 };

	if (clock_gettime(clock, &now))
		fail("clock_gettime: %s", strerror(errno));
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

uint64_t now_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}
