/*
 * Access by CPU to a page that can't be had is a SIGBUS, which
 *
 *	if (bus_error())
 *		return fail(...);
 *	... access ...
 *
 * turns into a failure. It holds for the thread and until its function returns.
 */
#ifndef BUS_ERROR_H
#define BUS_ERROR_H

#include <setjmp.h>
#include <stdbool.h>

extern __thread sigjmp_buf bus_error_return;

#define bus_error() sigsetjmp(bus_error_return, 1)

bool bus_error_catch(void);

#endif
