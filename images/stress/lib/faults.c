#define _GNU_SOURCE
#include "faults.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "failure.h"
#include "random.h"

#define FAIL_NTH "/proc/thread-self/fail-nth"
/* Refused at most so often in a row: whatever is tried again comes to an end. */
#define MAX_HITS 4
/* Up to the 4096th allocation, with small numbers as likely as large ones. */
#define MAX_DEPTH_BITS 12

static bool enabled;
static uint64_t seed;
static unsigned int threads;

static __thread struct {
	int fd;			/* 0 before the first use */
	struct random random;
	unsigned int hits;
	bool armed;
	bool settled;		/* the draw may decide from here on */
} self;

bool faults_init(void)
{
	const char *text = getenv("EDGPU_STRESS_FAULTS");

	if (!text)
		return true;
	seed = strtoull(text, NULL, 0);
	enabled = true;
	return faults_hold_memory();
}

bool faults_hold_memory(void)
{
	if (access(FAIL_NTH, W_OK))
		return fail("%s: %s: the kernel has no failure injection", FAIL_NTH,
				strerror(errno));
	/* An argument of an ioctl in swap would need an allocation to be read: EFAULT. */
	return !mlockall(MCL_CURRENT | MCL_FUTURE) || fail("mlockall: %s", strerror(errno));
}

static void set(uint64_t nth)
{
	char text[24];
	int len = snprintf(text, sizeof(text), "%" PRIu64, nth);

	/* The refusal may hit this very write; it is over then. */
	while (pwrite(self.fd, text, (size_t)len, 0) != len)
		if (errno != EFAULT) {
			fail("write %s: %s", FAIL_NTH, strerror(errno));
			return;
		}
}

static bool is_over(void)
{
	char text[24] = "";

	if (pread(self.fd, text, sizeof(text) - 1, 0) >= 0)
		return !strtoull(text, NULL, 10);
	/* It hit this very read, and not what went before. */
	if (errno != EFAULT)
		fail("read %s: %s", FAIL_NTH, strerror(errno));
	return false;
}

static bool open_self(void)
{
	self.fd = open(FAIL_NTH, O_RDWR | O_CLOEXEC);
	if (self.fd < 0)
		return fail("open %s: %s", FAIL_NTH, strerror(errno));
	self.random = random_seeded(seed, __atomic_add_fetch(&threads, 1, __ATOMIC_RELAXED));
	return true;
}

static uint64_t draw(void)
{
	uint64_t depth = 1ull << random_below(&self.random, MAX_DEPTH_BITS + 1);

	return 1 + random_below(&self.random, depth);
}

/*
 * A program of few ioctls could be lucky. Its first ioctl that has so many of
 * them is refused the first, then the second, and so on: what copies its
 * arguments only has fewer, and all that make something allocate among them.
 */
void faults_arm(void)
{
	if (!enabled || self.fd < 0 || (!self.fd && !open_self()) || self.hits >= MAX_HITS)
		return;
	if (self.settled && !self.hits && random_one_in(&self.random, 2))
		return;
	set(self.settled ? draw() : self.hits + 1);
	self.armed = true;
}

bool faults_disarm(void)
{
	bool hit;

	if (!self.armed) {
		self.hits = 0;
		return false;
	}
	hit = is_over();
	set(0);
	self.armed = false;
	self.hits = hit ? self.hits + 1 : 0;
	self.settled |= self.hits == MAX_HITS;
	return hit;
}

bool faults_at(uint64_t nth)
{
	if (self.fd < 0 || (!self.fd && !open_self()))
		return false;
	set(nth);
	return true;
}

bool faults_end(void)
{
	bool hit = is_over();

	set(0);
	return hit;
}
