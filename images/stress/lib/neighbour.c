#define _GNU_SOURCE
#include "neighbour.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "failure.h"
#include "pattern.h"

/* Memory comes from the node of the CPU that first touches it. */
static bool stay_on_first_cpu(void)
{
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(0, &cpus);
	return !sched_setaffinity(0, sizeof(cpus), &cpus);
}

/* Its report is the parent's; what it lacks is said here. */
static int complain(const char *what)
{
	fprintf(stderr, "neighbour: %s: %s\n", what, strerror(errno));
	return 2;
}

static int live(uint64_t bytes, uint64_t seed, int ready, int leave)
{
	uint64_t key = pattern_key(seed, UINT64_MAX, 0);
	size_t wrong;
	char byte = 0;
	void *data = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (data == MAP_FAILED)
		return complain("mmap");
	if (!stay_on_first_cpu())
		return complain("sched_setaffinity");
	pattern_write(data, bytes, key, 0);
	if (write(ready, &byte, 1) != 1)
		return complain("write to the pipe");
	while (read(leave, &byte, 1) > 0)
		;
	return pattern_matches(data, bytes, key, &wrong) ? 0 : 1;
}

bool neighbour_start(struct neighbour *neighbour, uint64_t bytes, uint64_t seed)
{
	int ready[2], leave[2];
	char byte;

	if (pipe(ready) || pipe(leave))
		return fail("pipe: %s", strerror(errno));
	neighbour->pid = fork();
	if (neighbour->pid < 0)
		return fail("fork: %s", strerror(errno));
	if (!neighbour->pid) {
		close(ready[0]);
		close(leave[1]);
		_exit(live(bytes, seed, ready[1], leave[0]));
	}
	close(ready[1]);
	close(leave[0]);
	neighbour->leave = leave[1];
	return read(ready[0], &byte, 1) == 1 || fail("the neighbour can't have its memory");
}

bool neighbour_end(struct neighbour *neighbour)
{
	int status;

	if (neighbour->pid <= 0)
		return true;
	close(neighbour->leave);
	if (waitpid(neighbour->pid, &status, 0) != neighbour->pid)
		return fail("waitpid: %s", strerror(errno));
	if (WIFSIGNALED(status))
		return fail("the neighbour was killed by signal %d", WTERMSIG(status));
	/* It had no memory that could have changed. */
	if (WEXITSTATUS(status) == 2)
		return fail("the neighbour can't have its memory") || true;
	return !WEXITSTATUS(status);
}
