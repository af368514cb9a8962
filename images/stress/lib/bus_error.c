#include "bus_error.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "exit_code.h"
#include "failure.h"

/* The innermost of this thread. */
static __thread struct bus_error_guard *current;
static const char *program_name;

void bus_error_enter(struct bus_error_guard *guard)
{
	/* It may be entered again. */
	if (current == guard)
		return;
	guard->outer = current;
	current = guard;
}

/* A guard that was never entered is not the current one. */
void bus_error_leave(struct bus_error_guard *guard)
{
	if (current == guard)
		current = guard->outer;
}

static void on_bus_error(int signal, siginfo_t *info, void *context)
{
	struct bus_error_guard *guard = current;
	char text[160];
	int len;

	(void)signal;
	(void)context;
	if (guard) {
		/* Once: what is done about it is not guarded any more. */
		current = guard->outer;
		siglongjmp(guard->env, 1);
	}
	/* Not safe in any handler, but this one comes from an access of the program's own. */
	len = snprintf(text, sizeof(text), "edgpu-stress %s: SIGBUS at %p, where none is expected\n",
		       program_name, info->si_addr);
	if (write(STDERR_FILENO, text, (size_t)len) != len)
		_exit(EXIT_SYSTEM);
	_exit(EXIT_SYSTEM);
}

bool bus_error_catch(const char *program)
{
	struct sigaction action = { .sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO };

	program_name = program;
	return !sigaction(SIGBUS, &action, NULL) || fail("sigaction: %s", strerror(errno));
}

bool bus_error_load(const volatile uint64_t *from, uint64_t *value)
{
	BUS_ERROR_GUARD;

	if (bus_error())
		return fail("read of a word: SIGBUS");
	*value = *from;
	return true;
}

bool bus_error_store(volatile uint64_t *to, uint64_t value)
{
	BUS_ERROR_GUARD;

	if (bus_error())
		return fail("write of a word: SIGBUS");
	*to = value;
	return true;
}
