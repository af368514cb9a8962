/*
 * Access by CPU to a page that can't be had is a SIGBUS, which
 *
 *	BUS_ERROR_GUARD;
 *
 *	if (bus_error())
 *		return fail(...);
 *	... access ...
 *
 * turns into a failure, for the thread and until the block ends that has the
 * guard. Anywhere else it ends the program, with a message.
 */
#ifndef BUS_ERROR_H
#define BUS_ERROR_H

#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>

struct bus_error_guard {
	sigjmp_buf env;
	struct bus_error_guard *outer;
};

void bus_error_enter(struct bus_error_guard *guard);
void bus_error_leave(struct bus_error_guard *guard);

/* A declaration; there can be one in each block. */
#define BUS_ERROR_GUARD \
	struct bus_error_guard bus_error_guard_ __attribute__((cleanup(bus_error_leave)))

#define bus_error() \
	(bus_error_enter(&bus_error_guard_), sigsetjmp(bus_error_guard_.env, 1))

/* For the whole program, before anything else; @program is how the message calls it. */
bool bus_error_catch(const char *program);

/* A single word that somebody else writes, or reads: false, and a failure, if it can't be had. */
bool bus_error_load(const volatile uint64_t *from, uint64_t *value);
bool bus_error_store(volatile uint64_t *to, uint64_t value);

#endif
