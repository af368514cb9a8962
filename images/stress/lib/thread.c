#include "thread.h"

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
