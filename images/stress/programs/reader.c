/*
 * reader: reads the swap disk again and again, until SIGTERM: page cache, which
 * wants its share of memory like everybody else.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/failure.h"
#include "lib/options.h"
#include "lib/process_name.h"
#include "lib/report.h"
#include "programs/programs.h"

#define READ_SIZE (256 * 1024)

static volatile sig_atomic_t told_to_end;

static void on_sigterm(int signal)
{
	(void)signal;
	told_to_end = 1;
}

static bool read_once(int fd, uint64_t bytes)
{
	static char buffer[READ_SIZE];

	for (uint64_t at = 0; at < bytes && !told_to_end; at += READ_SIZE)
		if (pread(fd, buffer, READ_SIZE, (off_t)at) != READ_SIZE)
			return fail("read /dev/vda: %s", strerror(errno));
	return true;
}

static bool set_up(int *fd)
{
	struct sigaction action = { .sa_handler = on_sigterm };

	if (!process_name("reader"))
		return false;
	if (sigaction(SIGTERM, &action, NULL))
		return fail("sigaction: %s", strerror(errno));
	*fd = open("/dev/vda", O_RDONLY | O_CLOEXEC);
	return *fd >= 0 || fail("open /dev/vda: %s", strerror(errno));
}

int reader_main(int argc, char **argv)
{
	uint64_t bytes = 0, rounds = 0, seed = 0;
	const struct option_spec specs[] = {
		{ .name = "bytes", .value = &bytes },
		/* Nothing is random here; every program is told. */
		{ .name = "seed", .value = &seed, .optional = true },
	};
	int fd = -1;

	if (!options_parse("reader", specs, sizeof(specs) / sizeof(*specs), argc, argv))
		return EXIT_USAGE;
	if (set_up(&fd)) {
		fprintf(stderr, "reading\n");
		while (!told_to_end && read_once(fd, bytes))
			rounds++;
	}
	report_open();
	report_number("rounds", rounds);
	return report_close();
}
