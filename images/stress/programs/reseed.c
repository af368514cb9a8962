/*
 * reseed: what is on standard input goes into the kernel's random numbers, at once: for a guest that begins as the copy
 * of another and would otherwise have that one's random numbers for minutes.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/random.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "lib/exit_code.h"
#include "programs/programs.h"

#define MOST 512

static int give_up(const char *what)
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
		return give_up("open /dev/urandom");
	if (write(fd, seed, got) != (ssize_t)got)
		return give_up("write to /dev/urandom");
	if (ioctl(fd, RNDRESEEDCRNG))
		return give_up("RNDRESEEDCRNG");
	close(fd);
	return EXIT_PASS;
}
