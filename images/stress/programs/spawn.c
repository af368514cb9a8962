/*
 * spawn: starts programs, one after the other, until SIGTERM, as a shell or a
 * build does while others fight for memory. Each must start, find its memory as
 * it left it, and end as it should.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/failure.h"
#include "lib/options.h"
#include "lib/pattern.h"
#include "lib/process_name.h"
#include "lib/report.h"
#include "programs/programs.h"

#define PAGE 4096
#define SELF "/proc/self/exe"

struct spawn {
	uint64_t bytes;		/* that each program uses */
	uint64_t seed;
	uint64_t child;		/* says which; the parent is none */
	uint64_t spoil;		/* the program of this number forgets a page: a control */
	uint64_t done;
};

static volatile sig_atomic_t told_to_end;

static void on_sigterm(int signal)
{
	(void)signal;
	told_to_end = 1;
}

/* The program: all of its memory at once, then whether it is still the same. */
static int child(const struct spawn *spawn)
{
	char *memory = mmap(NULL, spawn->bytes, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		return EXIT_SYSTEM;
	for (uint64_t at = 0; at < spawn->bytes; at += PAGE)
		*(uint64_t *)(memory + at) = pattern_key(spawn->seed, at, spawn->child);
	if (spawn->child == spawn->spoil)
		*(volatile uint64_t *)memory = 0;
	for (uint64_t at = 0; at < spawn->bytes; at += PAGE)
		if (*(volatile uint64_t *)(memory + at) !=
		    pattern_key(spawn->seed, at, spawn->child))
			return EXIT_CONTENT;
	return EXIT_PASS;
}

static bool start(const struct spawn *spawn, uint64_t number)
{
	char bytes[24], seed[24], which[24], spoil[24];
	int status;
	pid_t pid;

	snprintf(bytes, sizeof(bytes), "%" PRIu64, spawn->bytes);
	snprintf(seed, sizeof(seed), "%" PRIu64, spawn->seed);
	snprintf(which, sizeof(which), "%" PRIu64, number);
	snprintf(spoil, sizeof(spoil), "%" PRIu64, spawn->spoil);
	pid = fork();
	if (pid < 0)
		return fail("fork: %s", strerror(errno));
	if (!pid) {
		/* Until it is another program it has the name of this one, by which this one is told to end. */
		signal(SIGTERM, SIG_IGN);
		execl(SELF, "edgpu-stress", "spawn", "--bytes", bytes, "--seed", seed, "--child", which,
		      "--spoil", spoil, (char *)NULL);
		fprintf(stderr, "execl %s: %s\n", SELF, strerror(errno));
		_exit(EXIT_SYSTEM);
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return fail("waitpid: %s", strerror(errno));
	if (WIFSIGNALED(status))
		report_mismatch("program %" PRIu64 " was killed by signal %d", number, WTERMSIG(status));
	else if (WEXITSTATUS(status) != EXIT_PASS)
		report_mismatch("program %" PRIu64 " ended with %d", number, WEXITSTATUS(status));
	return true;
}

static bool set_up(void)
{
	struct sigaction action = { .sa_handler = on_sigterm };

	return process_name("spawn") &&
	       (!sigaction(SIGTERM, &action, NULL) || fail("sigaction: %s", strerror(errno)));
}

int spawn_main(int argc, char **argv)
{
	struct spawn spawn = { .child = UINT64_MAX, .spoil = UINT64_MAX };
	const struct option_spec specs[] = {
		{ .name = "bytes", .value = &spawn.bytes },
		{ .name = "seed", .value = &spawn.seed },
		{ .name = "child", .value = &spawn.child, .optional = true },
		{ .name = "spoil", .value = &spawn.spoil, .optional = true },
	};

	if (!options_parse("spawn", specs, sizeof(specs) / sizeof(*specs), argc, argv))
		return EXIT_USAGE;
	if (!spawn.bytes || spawn.bytes % PAGE) {
		options_complain("spawn", "--bytes is not a multiple of 4096");
		return EXIT_USAGE;
	}
	if (spawn.child != UINT64_MAX)
		return child(&spawn);

	if (set_up()) {
		fprintf(stderr, "spawning\n");
		while (!told_to_end && start(&spawn, spawn.done))
			spawn.done++;
	}
	report_open();
	report_number("programs", spawn.done);
	return report_close();
}
