#define _GNU_SOURCE
#include "bus_error.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#include "failure.h"

__thread sigjmp_buf bus_error_return;

static void on_bus_error(int signal)
{
	(void)signal;
	siglongjmp(bus_error_return, 1);
}

bool bus_error_catch(void)
{
	struct sigaction action = { .sa_handler = on_bus_error };

	return !sigaction(SIGBUS, &action, NULL) || fail("sigaction: %s", strerror(errno));
}
