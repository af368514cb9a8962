#include "failure.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char text[256];

bool fail(const char *format, ...)
{
	va_list args;

	pthread_mutex_lock(&lock);
	if (!text[0]) {
		va_start(args, format);
		vsnprintf(text, sizeof(text), format, args);
		va_end(args);
	}
	pthread_mutex_unlock(&lock);
	return false;
}

/* Written once, and read when there is nobody else to write it. */
const char *failure(void)
{
	return text;
}
