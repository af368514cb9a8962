#define _GNU_SOURCE
#include "thread.h"

#include <errno.h>
#include <sched.h>
#include <string.h>

#include "failure.h"

bool thread_start(pthread_t *thread, void *(*run)(void *), void *argument)
{
	int error = pthread_create(thread, NULL, run, argument);

	if (!error)
		return true;
	*thread = 0;
	return fail("pthread_create: %s", strerror(error));
}

bool thread_stay_on_cpu(uint64_t cpu)
{
	cpu_set_t set;

	/* Beyond its end nothing is set, which the kernel refuses. */
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return !sched_setaffinity(0, sizeof(set), &set) ||
	       fail("sched_setaffinity: %s", strerror(errno));
}
