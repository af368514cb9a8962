/*
 * hog: anonymous memory, used all the time or only filled, until SIGTERM:
 * pressure for whoever else wants memory, and its own content must survive, too.
 * Locked, it is memory that nobody else gets.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/failure.h"
#include "lib/options.h"
#include "lib/pattern.h"
#include "lib/process_name.h"
#include "lib/report.h"
#include "lib/thread.h"
#include "programs/programs.h"

#define PAGE 4096
#define ANY_CPU UINT64_MAX

enum use { USE_ALWAYS, USE_ONCE };

struct hog {
	uint64_t bytes;
	uint64_t seed;
	uint64_t use;
	uint64_t cpu;
	uint64_t lock;
	uint64_t lose;		/* control: a page changes before the end */
	char *memory;
	uint64_t bytes_verified;
};

static volatile sig_atomic_t told_to_end;

static void on_sigterm(int signal)
{
	(void)signal;
	told_to_end = 1;
}

/* A word a page, which says which page and which round it is. */
static void write_round(struct hog *hog, uint64_t round)
{
	for (uint64_t at = 0; at < hog->bytes; at += PAGE)
		*(uint64_t *)(hog->memory + at) = pattern_key(hog->seed, at, round);
}

static void verify_round(struct hog *hog, uint64_t round)
{
	for (uint64_t at = 0; at < hog->bytes; at += PAGE) {
		uint64_t found = *(volatile uint64_t *)(hog->memory + at);

		if (found == pattern_key(hog->seed, at, round))
			hog->bytes_verified += PAGE;
		else
			report_mismatch("round %" PRIu64 ", anonymous memory: 0x%016" PRIx64
					" at offset %" PRIu64, round, found, at);
	}
}

/* First touched there, memory is of that CPU's node, as long as it has any. */
static bool set_up(struct hog *hog)
{
	struct sigaction action = { .sa_handler = on_sigterm };

	if (!process_name("hog"))
		return false;
	if (sigaction(SIGTERM, &action, NULL))
		return fail("sigaction: %s", strerror(errno));
	if (hog->cpu != ANY_CPU && !thread_stay_on_cpu(hog->cpu))
		return false;
	hog->memory = mmap(NULL, hog->bytes, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	return hog->memory != MAP_FAILED || fail("mmap: %s", strerror(errno));
}

static uint64_t run(struct hog *hog)
{
	uint64_t round = 0;

	write_round(hog, round);
	if (hog->lock && mlock(hog->memory, hog->bytes)) {
		fail("mlock: %s", strerror(errno));
		return round;
	}
	fprintf(stderr, "holding\n");
	while (!told_to_end) {
		if (hog->use == USE_ONCE) {
			usleep(100000);
			continue;
		}
		verify_round(hog, round);
		write_round(hog, ++round);
	}
	if (hog->lose)
		*(volatile uint64_t *)hog->memory ^= 1;
	verify_round(hog, round);
	return round;
}

int hog_main(int argc, char **argv)
{
	static const char *const use_words[] = { "always", "once", NULL };
	static const char *const words[] = { "no", "yes", NULL };
	struct hog hog = { .cpu = ANY_CPU };
	const struct option_spec specs[] = {
		{ .name = "bytes", .value = &hog.bytes },
		{ .name = "seed", .value = &hog.seed },
		{ .name = "use", .value = &hog.use, .words = use_words, .optional = true },
		{ .name = "cpu", .value = &hog.cpu, .optional = true },
		{ .name = "lock", .value = &hog.lock, .words = words, .optional = true },
		{ .name = "lose", .value = &hog.lose, .words = words, .optional = true },
	};
	uint64_t rounds = 0;

	if (!options_parse("hog", specs, sizeof(specs) / sizeof(*specs), argc, argv))
		return EXIT_USAGE;
	if (!hog.bytes || hog.bytes % PAGE) {
		options_complain("hog", "--bytes is not a multiple of 4096");
		return EXIT_USAGE;
	}

	if (set_up(&hog))
		rounds = run(&hog);
	report_open();
	report_number("bytesVerified", hog.bytes_verified);
	report_number("rounds", rounds);
	return report_close();
}
