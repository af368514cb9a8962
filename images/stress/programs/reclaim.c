/*
 * reclaim: objects of one or more devices and page cache, and several threads
 * that ask the kernel to reclaim at once. For benches: what was taken from whom,
 * at which cost, and what somebody notices of it who only wants a page.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "lib/checksum.h"
#include "lib/clock.h"
#include "lib/driver_files.h"
#include "lib/failure.h"
#include "lib/filled.h"
#include "lib/gpu.h"
#include "lib/options.h"
#include "lib/pattern.h"
#include "lib/report.h"
#include "lib/swap.h"
#include "lib/thread.h"
#include "programs/programs.h"

#define PAGE 4096
#define MAX_DEVICES 4
#define MAX_THREADS 16
#define MAX_FAULTS 65536
#define BYSTANDER_BYTES (1024 * 1024)
#define PAUSE_NS 1000000
#define SLOW_NS 100000
#define READ_SIZE (256 * 1024)
/* Objects of which the content is looked at in the end. */
#define SAMPLES 3

struct reclaim {
	uint64_t bytes;		/* of objects, on each device */
	uint64_t size;		/* of an object */
	uint64_t devices;
	uint64_t threads;
	uint64_t reclaim;	/* bytes, by all threads together */
	uint64_t cache;		/* bytes of page cache to begin with */
	uint64_t bystander;
	uint64_t seed;
	uint64_t verified;
	struct gpu gpu[MAX_DEVICES];
	struct object *items[MAX_DEVICES];
	uint64_t swapped[MAX_DEVICES];	/* of their pages, once all are filled */
};

/* ---- Counters ---- */

static const char *const vmstat_names[] = {
	"pgsteal_anon", "pgsteal_file", "pswpout", "pgalloc_", "nr_file_pages", "nr_shmem",
	"allocstall_", "nr_free_pages",
};

#define VMSTATS (sizeof(vmstat_names) / sizeof(*vmstat_names))

static const char *const device_names[] = {
	"reclaimed_pages", "pinned_pages", "shrink_calls", "shrink_asked", "shrink_visited",
	"shrink_refused", "shrink_scanned",
};

#define DEVICE_STATS (sizeof(device_names) / sizeof(*device_names))

struct counts {
	uint64_t wall_ns;
	uint64_t vmstat[VMSTATS];
	uint64_t device[MAX_DEVICES][DEVICE_STATS];
};

/* Names that end in "_" are sums, over all zones. */
static bool matches(const char *wanted, const char *name)
{
	size_t len = strlen(wanted);

	return wanted[len - 1] == '_' ? !strncmp(name, wanted, len) : !strcmp(name, wanted);
}

static bool read_file(const char *path, const char *const *names, uint64_t *values, size_t count)
{
	FILE *file = fopen(path, "re");
	char line[128], name[64];
	uint64_t value;

	if (!file)
		return fail("open %s: %s", path, strerror(errno));
	memset(values, 0, count * sizeof(*values));
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%63[^: ]%*[: ]%" SCNu64, name, &value) != 2)
			continue;
		for (size_t i = 0; i < count; i++)
			if (matches(names[i], name))
				values[i] += value;
	}
	fclose(file);
	return true;
}

static bool count(const struct reclaim *reclaim, struct counts *counts)
{
	char path[DRIVER_FILE_PATH_MAX];

	if (!read_file("/proc/vmstat", vmstat_names, counts->vmstat, VMSTATS))
		return false;
	for (uint64_t i = 0; i < reclaim->devices; i++) {
		driver_file_path(&reclaim->gpu[i], "stats", path);
		if (!read_file(path, device_names, counts->device[i], DEVICE_STATS))
			return false;
	}
	counts->wall_ns = now_ns();
	return true;
}

/* ---- What there is to take ---- */

static bool fill_device(struct reclaim *reclaim, uint64_t unit)
{
	struct gpu *gpu = &reclaim->gpu[unit];
	uint64_t objects = reclaim->bytes / reclaim->size;

	if (!gpu_open_unit(gpu, (unsigned int)unit))
		return false;
	reclaim->items[unit] = calloc(objects, sizeof(struct object));
	if (!reclaim->items[unit])
		return fail("calloc: %s", strerror(errno));

	for (uint64_t i = 0; i < objects; i++) {
		struct object *item = &reclaim->items[unit][i];

		if (!gpu_create(gpu, item, reclaim->size, EDGPU_PLACEMENT_SYSTEM,
				EDGPU_CACHING_CACHED) ||
		    !filled_write(gpu, 0, item, pattern_key(reclaim->seed, i, unit)) ||
		    !gpu_wait(gpu, item))
			return false;
	}
	return true;
}

/* A few of each device's, when all has been measured: nearly all may be in swap by then. */
static bool verify_device(struct reclaim *reclaim, uint64_t unit)
{
	struct gpu *gpu = &reclaim->gpu[unit];
	uint64_t objects = reclaim->bytes / reclaim->size;
	uint64_t len = reclaim->size < EDGPU_MAX_CHECKSUM_LEN ? reclaim->size : EDGPU_MAX_CHECKSUM_LEN;
	struct checksum checksum;
	uint64_t found;

	if (!checksum_init(&checksum, gpu, 0))
		return false;
	for (uint64_t nth = 0; nth < SAMPLES && nth < objects; nth++) {
		uint64_t i = nth * (objects - 1) / (SAMPLES - 1);

		if (!checksum_range(&checksum, 0, &reclaim->items[unit][i], 0, len, &found))
			return false;
		if (found == filled_checksum(reclaim->size, len, pattern_key(reclaim->seed, i, unit)))
			reclaim->verified += len;
		else
			report_mismatch("device %" PRIu64 ", object %" PRIu64 ": checksum", unit, i);
	}
	return true;
}

/* Clean pages of a disk: nothing is easier to give up. */
static bool fill_cache(uint64_t bytes)
{
	static char buffer[READ_SIZE];
	int fd;

	if (!bytes)
		return true;
	fd = open("/dev/vda", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return fail("open /dev/vda: %s", strerror(errno));
	/*
	 * What an earlier run lost is remembered. Read again, it could count as a working set, and then
	 * reclaim would swap out instead, which costs several times as much.
	 */
	if (posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED)) {
		close(fd);
		return fail("posix_fadvise /dev/vda failed");
	}
	for (uint64_t at = 0; at < bytes; at += READ_SIZE) {
		if (pread(fd, buffer, READ_SIZE, (off_t)at) != READ_SIZE) {
			close(fd);
			return fail("read /dev/vda: %s", strerror(errno));
		}
	}
	/* Open until the end: the pages go with the last user of the device. */
	return true;
}

/* ---- Who takes ---- */

struct taker {
	pthread_t thread;
	pthread_barrier_t *start;
	uint64_t bytes;
	uint64_t cpu_ns;
};

static void *take(void *arg)
{
	struct taker *taker = arg;
	uint64_t before;

	pthread_barrier_wait(taker->start);
	before = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	swap_reclaim_any(taker->bytes);
	taker->cpu_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID) - before;
	return NULL;
}

static bool take_all(const struct reclaim *reclaim, uint64_t *cpu_ns)
{
	struct taker takers[MAX_THREADS];
	pthread_barrier_t start;

	if (pthread_barrier_init(&start, NULL, (unsigned int)reclaim->threads))
		return fail("pthread_barrier_init failed");
	for (uint64_t i = 0; i < reclaim->threads; i++) {
		takers[i] = (struct taker) {
			.start = &start,
			.bytes = reclaim->reclaim / reclaim->threads,
		};
		if (!thread_start(&takers[i].thread, take, &takers[i])) {
			/* The others wait for it, on this function's stack. */
			fprintf(stderr, "%s\n", failure());
			exit(EXIT_SYSTEM);
		}
	}
	for (uint64_t i = 0; i < reclaim->threads; i++) {
		pthread_join(takers[i].thread, NULL);
		*cpu_ns += takers[i].cpu_ns;
	}
	pthread_barrier_destroy(&start);
	return true;
}

/* ---- Who only wants a page now and then ---- */

struct bystander {
	pthread_t thread;
	atomic_bool end;
	uint64_t faults;
	uint32_t ns[MAX_FAULTS];
};

static void fault_in(struct bystander *bystander)
{
	char *memory = mmap(NULL, BYSTANDER_BYTES, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED) {
		fail("mmap: %s", strerror(errno));
		return;
	}
	for (size_t at = 0; at < BYSTANDER_BYTES && bystander->faults < MAX_FAULTS; at += PAGE) {
		uint64_t before = now_ns(), took;

		memory[at] = 1;
		took = now_ns() - before;
		bystander->ns[bystander->faults++] = took > UINT32_MAX ? UINT32_MAX : (uint32_t)took;
	}
	munmap(memory, BYSTANDER_BYTES);
}

static void *stand_by(void *arg)
{
	const struct timespec pause = { .tv_nsec = PAUSE_NS };
	struct bystander *bystander = arg;

	do {
		fault_in(bystander);
		nanosleep(&pause, NULL);
	} while (!bystander->end && bystander->faults < MAX_FAULTS);
	return NULL;
}

static int by_value(const void *a, const void *b)
{
	uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;

	return (left > right) - (left < right);
}

/* ---- */

static struct bystander bystander;

static bool run(struct reclaim *reclaim, struct counts *before, struct counts *after,
		uint64_t *cpu_ns)
{
	bool taken;

	for (uint64_t i = 0; i < reclaim->devices; i++)
		if (!fill_device(reclaim, i))
			return false;
	for (uint64_t i = 0; i < reclaim->devices; i++)
		if (!swap_of_all(&reclaim->gpu[i], &reclaim->swapped[i], NULL))
			return false;
	if (!fill_cache(reclaim->cache) || !count(reclaim, before))
		return false;
	if (reclaim->bystander && !thread_start(&bystander.thread, stand_by, &bystander))
		return false;
	taken = !reclaim->reclaim || take_all(reclaim, cpu_ns);
	if (reclaim->bystander) {
		bystander.end = true;
		pthread_join(bystander.thread, NULL);
	}
	if (!taken || !count(reclaim, after))
		return false;
	for (uint64_t i = 0; i < reclaim->devices; i++)
		if (!verify_device(reclaim, i))
			return false;
	return true;
}

static void report_counts(const struct reclaim *reclaim, const struct counts *before,
			  const struct counts *after, uint64_t cpu_ns)
{
	char name[16];

	report_number("wallNs", after->wall_ns - before->wall_ns);
	report_number("cpuNs", cpu_ns);
	report_number("cacheBytes", reclaim->cache);
	report_open_group("vmstat");
	for (size_t i = 0; i < VMSTATS; i++)
		/* Those that may have shrunk say so by what they were. */
		report_number(vmstat_names[i], after->vmstat[i] > before->vmstat[i] ?
			      after->vmstat[i] - before->vmstat[i] : 0);
	report_close_group();
	report_open_group("devices");
	for (uint64_t i = 0; i < reclaim->devices; i++) {
		snprintf(name, sizeof(name), "%" PRIu64, i);
		report_open_group(name);
		report_number("before_pages", before->device[i][1]);
		report_number("before_swapped", reclaim->swapped[i]);
		for (size_t j = 0; j < DEVICE_STATS; j++)
			report_number(device_names[j], after->device[i][j] > before->device[i][j] ?
				      after->device[i][j] - before->device[i][j] : 0);
		report_close_group();
	}
	report_close_group();
}

static uint64_t slow_faults(void)
{
	uint64_t slow = 0;

	for (uint64_t i = 0; i < bystander.faults; i++)
		slow += bystander.ns[i] > SLOW_NS;
	return slow;
}

static void report_bystander(void)
{
	qsort(bystander.ns, bystander.faults, sizeof(*bystander.ns), by_value);
	report_open_group("bystander");
	report_number("faults", bystander.faults);
	report_number("slow", slow_faults());
	report_number("p50Ns", bystander.faults ? bystander.ns[bystander.faults / 2] : 0);
	report_number("p99Ns", bystander.faults ? bystander.ns[bystander.faults * 99 / 100] : 0);
	report_number("maxNs", bystander.faults ? bystander.ns[bystander.faults - 1] : 0);
	report_close_group();
}

int reclaim_main(int argc, char **argv)
{
	static const char *const bystander_words[] = { "no", "yes", NULL };
	struct reclaim reclaim = { .devices = 1, .threads = 1 };
	const struct option_spec specs[] = {
		{ .name = "bytes", .value = &reclaim.bytes },
		{ .name = "object-size", .value = &reclaim.size },
		{ .name = "reclaim", .value = &reclaim.reclaim },
		{ .name = "seed", .value = &reclaim.seed },
		{ .name = "devices", .value = &reclaim.devices, .optional = true },
		{ .name = "threads", .value = &reclaim.threads, .optional = true },
		{ .name = "cache", .value = &reclaim.cache, .optional = true },
		{ .name = "bystander", .value = &reclaim.bystander, .words = bystander_words,
		  .optional = true },
	};
	struct counts before = { 0 }, after = { 0 };
	uint64_t cpu_ns = 0;

	if (!options_parse("reclaim", specs, sizeof(specs) / sizeof(*specs), argc, argv))
		return EXIT_USAGE;
	if (!reclaim.size || reclaim.size % PAGE || reclaim.bytes % reclaim.size ||
	    reclaim.devices > MAX_DEVICES || !reclaim.threads || reclaim.threads > MAX_THREADS) {
		options_complain("reclaim", "--object-size is not a multiple of 4096, --bytes not of that, or there are more than 4 --devices or 16 --threads");
		return EXIT_USAGE;
	}

	run(&reclaim, &before, &after, &cpu_ns);
	report_open();
	report_number("bytesVerified", reclaim.verified);
	report_counts(&reclaim, &before, &after, cpu_ns);
	report_bystander();
	return report_close();
}
