/*
 * reseed: what is on standard input goes into the kernel's random numbers, at once: for a guest that begins as the copy of
 * another and would otherwise have that one's random numbers for minutes.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/random.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "exit_code.h"
#include "programs.h"

#define MOST 512

static int fail(const char *what)
{
	fprintf(stderr, "edgpu-stress reseed: %s: %s\n", what, strerror(errno));
	return EXIT_SYSTEM;
}

int reseed_main(int argc, char **argv)
{
	char seed[MOST];
	size_t got;
	int fd;

	if (argc > 1) {
		fprintf(stderr, "edgpu-stress reseed: takes no argument, not \"%s\"\n", argv[1]);
		return EXIT_USAGE;
	}
	got = fread(seed, 1, sizeof(seed), stdin);
	if (!got) {
		fprintf(stderr, "edgpu-stress reseed: nothing on standard input\n");
		return EXIT_USAGE;
	}
	fd = open("/dev/urandom", O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return fail("open /dev/urandom");
	if (write(fd, seed, got) != (ssize_t)got)
		return fail("write to /dev/urandom");
	if (ioctl(fd, RNDRESEEDCRNG))
		return fail("RNDRESEEDCRNG");
	close(fd);
	return EXIT_PASS;
}
