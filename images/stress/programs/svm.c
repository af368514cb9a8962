/*
 * svm: memory of this process goes to VRAM by the driver, and comes back by CPU faults, by eviction, or to another
 * process: its content has to be as it was, whatever happens to the memory meanwhile.
 *
 * Where each page is says the kernel's pagemap: the driver is not asked.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/bus_error.h"
#include "lib/clock.h"
#include "lib/crowd.h"
#include "lib/driver_files.h"
#include "lib/failure.h"
#include "lib/fragments.h"
#include "lib/gpu.h"
#include "lib/options.h"
#include "lib/own_memory.h"
#include "lib/pattern.h"
#include "lib/read_number.h"
#include "lib/report.h"
#include "lib/thread.h"
#include "programs/programs.h"

#define PAGE 4096
/* What one object of the driver holds. */
#define CHUNK (2 * 1024 * 1024)
/* Of an entry of pagemap, for a page in VRAM. */
#define OFFSET(entry) (((entry) & ((1ull << 55) - 1)) >> 5)
/* VRAM is let go of some time after the last page is, and swap written. */
#define PATIENCE_NS 10000000000ull
#define SAID PAGE
#define ANY_CPU UINT64_MAX
/* Processes. */
#define AT_ONCE 6
#define RACE_NS 3000000000ull

struct svm {
	struct gpu gpu;
	uint64_t test;
	uint64_t bytes;
	uint64_t seed;
	uint64_t rounds;
	uint64_t huge;
	uint64_t lose;
	uint64_t cpu;		/* on whose node the memory is then */
	uint64_t back_cpu;	/* and when it has come back */
	uint64_t in_pieces;	/* there is no huge page for it to come back to */
	uint64_t crowd;		/* how many nodes are full by then */
	uint64_t crowd_stays;	/* because it is locked */
	char device[64];	/* by which the kernel knows it */
	char *memory;
	uint64_t verified;
	uint64_t to_vram;	/* bytes, as the driver says */
	uint64_t bus_errors;
	uint64_t refused;	/* moves that the device failed at */
	uint64_t swapped;	/* pages */
	uint64_t huge_back;	/* pages of huge ones, when it has come back */
	uint64_t highest;	/* address in memory then */
	char *said;		/* by a child that has failed */
	pid_t mover;
	int done;		/* a pipe */
	volatile sig_atomic_t ended;
	atomic_bool stop;
};

static struct svm svm;

/* ---- Memory ---- */

static uint64_t key_of(uint64_t page, uint64_t round)
{
	return pattern_key(svm.seed, page, round);
}

/* Of @memory that begins with page @first of the pattern. */
static void write_pages(char *memory, uint64_t first, uint64_t bytes, uint64_t round)
{
	for (uint64_t at = 0; at < bytes; at += PAGE)
		pattern_write(memory + at, PAGE, key_of(first + at / PAGE, round), 0);
}

static bool verify_pages(const char *what, const char *memory, uint64_t first, uint64_t bytes, uint64_t round)
{
	BUS_ERROR_GUARD;
	size_t offset;

	if (bus_error())
		return fail("%s: SIGBUS", what);
	for (uint64_t at = 0; at < bytes; at += PAGE) {
		if (pattern_matches(memory + at, PAGE, key_of(first + at / PAGE, round), &offset))
			svm.verified += PAGE;
		else
			report_mismatch("%s: page %" PRIu64 " has 0x%016" PRIx64 " at offset %zu", what,
					first + at / PAGE, *(const uint64_t *)(memory + at + offset), offset);
	}
	return true;
}

static void expect_zeroes(const char *what, const char *memory, uint64_t bytes)
{
	for (uint64_t at = 0; at < bytes; at += sizeof(uint64_t))
		if (*(const uint64_t *)(memory + at)) {
			report_mismatch("%s: not zero at %" PRIu64, what, at);
			return;
		}
}

/* ---- Where it is ---- */

/* Whose memory it is that is used from now on. */
static bool find_device(void)
{
	char link[64], target[256];
	ssize_t len;

	snprintf(link, sizeof(link), "/sys/class/drm/renderD%u/device", svm.gpu.minor);
	len = readlink(link, target, sizeof(target) - 1);
	if (len < 0)
		return fail("readlink %s: %s", link, strerror(errno));
	target[len] = 0;
	snprintf(svm.device, sizeof(svm.device), "%s", basename(target));
	return true;
}

/* The kernel's region for pages of VRAM has the device's name, as its BARs have, and is above them. */
static bool vram_region(uint64_t *start, uint64_t *end)
{
	FILE *file = fopen("/proc/iomem", "re");
	uint64_t first, last;
	char line[128], name[64];

	*start = *end = 0;
	if (!file)
		return fail("open /proc/iomem: %s", strerror(errno));
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, " %" SCNx64 "-%" SCNx64 " : %63s", &first, &last, name) == 3 &&
		    !strcmp(name, svm.device) && last - first + 1 >= svm.gpu.vram_size && first > *start) {
			*start = first;
			*end = last + 1;
		}
	fclose(file);
	return *end || fail("/proc/iomem has no VRAM of %s", svm.device);
}

/* Of some memory; what is in neither is in swap, or not there. */
struct places {
	uint64_t vram;	/* pages */
	struct own_memory_present memory;
};

/* @where, if given, has one element a page: its place in VRAM. */
static bool count_pages(const char *memory, uint64_t bytes, struct places *places, uint64_t *where)
{
	uint64_t pages = bytes / PAGE, *entries = malloc(pages * sizeof(*entries)), start, end;
	bool ok = entries && vram_region(&start, &end) && own_memory_entries(memory, pages, entries) &&
		  own_memory_count(entries, pages, &places->memory);

	places->vram = 0;
	for (uint64_t i = 0; ok && i < pages; i++) {
		uint64_t at = OFFSET(entries[i]) * PAGE;
		bool in_vram = (entries[i] & (OWN_MEMORY_PRESENT | OWN_MEMORY_SWAP)) == OWN_MEMORY_SWAP &&
			       at >= start && at < end;

		places->vram += in_vram;
		if (where)
			where[i] = in_vram ? at - start : UINT64_MAX;
	}
	free(entries);
	return ok || fail("no memory");
}

static bool expect_pages(const char *what, const char *memory, uint64_t bytes, uint64_t in_vram)
{
	struct places places;

	if (!count_pages(memory, bytes, &places, NULL))
		return false;
	if (places.vram != in_vram)
		report_mismatch("%s: %" PRIu64 " of %" PRIu64 " pages are in VRAM, and %" PRIu64 " in memory", what,
				places.vram, in_vram, places.memory.pages);
	return true;
}

/* None in VRAM, and where they are is what the report says. */
static bool expect_back(const char *what, const char *memory, uint64_t bytes)
{
	struct places places;

	if (!expect_pages(what, memory, bytes, 0) || !count_pages(memory, bytes, &places, NULL))
		return false;
	svm.huge_back = places.memory.huge;
	svm.highest = places.memory.highest;
	return true;
}

/* An errno, or 0. */
static int move(const char *memory, uint64_t bytes)
{
	struct drm_edgpu_svm_to_vram args = { .addr = (uintptr_t)memory, .len = bytes };
	int error = gpu_call(&svm.gpu, DRM_IOCTL_EDGPU_SVM_TO_VRAM, &args);

	svm.to_vram += args.moved;
	return error;
}

/* The same, until nobody else uses any of it. */
static int move_in_the_end(const char *memory, uint64_t bytes)
{
	uint64_t give_up = now_ns() + PATIENCE_NS;
	int error;

	do {
		error = move(memory, bytes);
	} while (error == EBUSY && now_ns() < give_up && !usleep(10000));
	return error;
}

static bool to_vram(const char *memory, uint64_t bytes)
{
	int error = move(memory, bytes);

	if (error)
		return fail("SVM_TO_VRAM: %s", strerrorname_np(error));
	return expect_pages("moved", memory, bytes, bytes / PAGE);
}

static bool expect_released(void)
{
	uint64_t objects, give_up = now_ns() + PATIENCE_NS;

	do {
		if (!driver_stat(&svm.gpu, "svm_objects", &objects))
			return false;
		usleep(10000);
	} while (objects && now_ns() < give_up);
	if (objects)
		report_mismatch("%" PRIu64 " objects in VRAM are left", objects);
	return true;
}

/* ---- What happens to it ---- */

static bool crowd(void)
{
	for (uint64_t cpu = 0; cpu < svm.crowd; cpu++)
		if (!crowd_node(cpu, svm.crowd_stays))
			return false;
	return svm.back_cpu == ANY_CPU || thread_stay_on_cpu(svm.back_cpu);
}

static bool ping_pong(void)
{
	/* What is back would be moved out of the way of what comes next. */
	if (svm.crowd_stays && mlock2(svm.memory, svm.bytes, MLOCK_ONFAULT))
		return fail("mlock2: %s", strerror(errno));
	for (uint64_t round = 0; round < svm.rounds; round++) {
		write_pages(svm.memory, 0, svm.bytes, round);
		if (!to_vram(svm.memory, svm.bytes))
			return false;
		if (!crowd())
			return false;
		if (svm.lose)
			*(volatile uint64_t *)svm.memory ^= 1;
		if (!verify_pages("back", svm.memory, 0, svm.bytes, round) ||
		    !expect_back("back", svm.memory, svm.bytes))
			return false;
	}
	return expect_released();
}

/* Not whole chunks, not from their beginning, and with pages that were never written. */
static bool pieces(void)
{
	uint64_t end = svm.bytes - 3 * PAGE, hole = svm.bytes / 2;

	write_pages(svm.memory + PAGE, 1, end - PAGE, 0);
	if (madvise(svm.memory + hole, 5 * PAGE, MADV_DONTNEED))
		return fail("MADV_DONTNEED: %s", strerror(errno));
	if (!to_vram(svm.memory + PAGE, end - PAGE) || !expect_pages("around", svm.memory, svm.bytes, end / PAGE - 1) ||
	    !verify_pages("below the hole", svm.memory + PAGE, 1, hole - PAGE, 0))
		return false;
	expect_zeroes("the hole", svm.memory + hole, 5 * PAGE);
	return verify_pages("above the hole", svm.memory + hole + 5 * PAGE, hole / PAGE + 5, end - hole - 5 * PAGE, 0) &&
	       expect_pages("back", svm.memory, svm.bytes, 0);
}

/* Ends the child. */
static void child(bool (*run)(void))
{
	bool ok = run() && !report_mismatches();

	if (!ok)
		snprintf(svm.said, SAID, "%s, and %" PRIu64 " mismatches", failure(), report_mismatches());
	_exit(ok ? EXIT_SUCCESS : EXIT_FAILURE);
}

static bool join_child(const char *what, pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid)
		return fail("waitpid: %s", strerror(errno));
	if (status)
		report_mismatch("%s ended with status 0x%x: %s", what, (unsigned int)status, svm.said);
	return true;
}

static bool run_child(const char *what, bool (*run)(void))
{
	pid_t pid = fork();

	if (pid < 0)
		return fail("fork: %s", strerror(errno));
	if (!pid)
		child(run);
	return join_child(what, pid);
}

static bool use_as_child(void)
{
	uint64_t half = svm.bytes / 2;

	/* One half is read, and the other only written, before it has been read by anybody. */
	if (!verify_pages("child", svm.memory, 0, half, 0))
		return false;
	write_pages(svm.memory + half, half / PAGE, half, 1);
	if (!to_vram(svm.memory, svm.bytes))
		return false;
	return verify_pages("child, back", svm.memory, 0, half, 0) &&
	       verify_pages("child, written", svm.memory + half, half / PAGE, half, 1);
}

/* What parent and child share is in VRAM when they come to share it. */
static bool fork_and_write(void)
{
	write_pages(svm.memory, 0, svm.bytes, 0);
	if (!to_vram(svm.memory, svm.bytes) || !run_child("child", use_as_child) ||
	    !verify_pages("parent", svm.memory, 0, svm.bytes, 0))
		return false;
	return expect_released();
}

static bool exec_with_memory_there(void)
{
	if (!to_vram(svm.memory, svm.bytes))
		return false;
	execl("/bin/true", "true", NULL);
	return fail("exec: %s", strerror(errno));
}

/* The memory of before goes with the program that had it, wherever it is, and its parent keeps the same. */
static bool exec_another(void)
{
	write_pages(svm.memory, 0, svm.bytes, 0);
	return run_child("the other program", exec_with_memory_there) &&
	       verify_pages("after exec", svm.memory, 0, svm.bytes, 0) &&
	       expect_released();
}

static bool move_with_others(void)
{
	/* What is back would be moved out of the way of what comes next. */
	if (svm.crowd_stays && mlock2(svm.memory, svm.bytes, MLOCK_ONFAULT))
		return fail("mlock2: %s", strerror(errno));
	for (uint64_t round = 0; round < svm.rounds; round++) {
		int error;

		write_pages(svm.memory, 0, svm.bytes, round);
		error = move_in_the_end(svm.memory, svm.bytes);
		if (error)
			return fail("SVM_TO_VRAM: %s", strerrorname_np(error));
		if (!verify_pages("at once", svm.memory, 0, svm.bytes, round))
			return false;
	}
	return true;
}

/* Several processes move what they have at the same time, which is more than there is to bounce in. */
static bool at_once(void)
{
	pid_t pids[AT_ONCE];

	if (!crowd())
		return false;
	for (unsigned int i = 0; i < AT_ONCE; i++) {
		pids[i] = fork();
		if (pids[i] < 0)
			return fail("fork: %s", strerror(errno));
		if (!pids[i])
			child(move_with_others);
	}
	for (unsigned int i = 0; i < AT_ONCE; i++)
		if (!join_child("one of several", pids[i]))
			return false;
	svm.verified = AT_ONCE * svm.rounds * svm.bytes;
	return expect_released();
}

/* An errno, or 0. */
static int try_fill_vram(void)
{
	struct drm_edgpu_gem_create create = { .size = svm.gpu.vram_size, .placement = EDGPU_PLACEMENT_VRAM };
	struct drm_gem_close close = { 0 };
	int error = gpu_call(&svm.gpu, DRM_IOCTL_EDGPU_GEM_CREATE, &create);

	if (error)
		return error;
	close.handle = create.handle;
	return gpu_call(&svm.gpu, DRM_IOCTL_GEM_CLOSE, &close);
}

/* All of it: whatever else is in VRAM has to leave. */
static bool fill_vram(void)
{
	int error = try_fill_vram();

	return !error || fail("an object as large as VRAM: %s", strerrorname_np(error));
}

static bool evict_as_orphan(void)
{
	/* Until the process that has moved the memory is no more. */
	while (getppid() == svm.mover)
		usleep(1000);
	return fill_vram() && expect_pages("orphan", svm.memory, svm.bytes, 0) &&
	       verify_pages("orphan", svm.memory, 0, svm.bytes, 0) && write(svm.done, "", 1) == 1;
}

static bool move_and_leave(void)
{
	pid_t pid;

	svm.mover = getpid();
	if (!to_vram(svm.memory, svm.bytes))
		return false;
	pid = fork();
	if (!pid)
		child(evict_as_orphan);
	return pid > 0 || fail("fork: %s", strerror(errno));
}

/* The process that has moved memory to VRAM is gone, and its child still has that memory. */
static bool orphan(void)
{
	int fds[2];
	char done;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC))
		return fail("pipe: %s", strerror(errno));
	svm.done = fds[1];
	pid = fork();
	if (pid < 0)
		return fail("fork: %s", strerror(errno));
	if (!pid) {
		write_pages(svm.memory, 0, svm.bytes, 0);
		child(move_and_leave);
	}
	close(fds[1]);
	if (!join_child("the mover", pid))
		return false;
	/* Comes to an end without a byte if the orphan does. */
	if (read(fds[0], &done, 1) != 1)
		report_mismatch("the orphan has not got its memory back: %s", svm.said);
	else
		svm.verified += svm.bytes;
	return expect_released();
}

static bool unmap(void)
{
	uint64_t third = svm.bytes / 3 & -PAGE;

	write_pages(svm.memory, 0, svm.bytes, 0);
	if (!to_vram(svm.memory, svm.bytes))
		return false;
	if (madvise(svm.memory, third, MADV_DONTNEED) || munmap(svm.memory + third, third))
		return fail("unmapping: %s", strerror(errno));
	expect_zeroes("MADV_DONTNEED", svm.memory, third);
	if (!expect_pages("the rest", svm.memory + 2 * third, svm.bytes - 2 * third,
			  (svm.bytes - 2 * third) / PAGE) ||
	    !verify_pages("the rest", svm.memory + 2 * third, 2 * third / PAGE, svm.bytes - 2 * third, 0))
		return false;
	return expect_released();
}

/* The kernel counts those of all processes. */
static bool mlocked_pages(uint64_t *pages)
{
	return read_number("/proc/vmstat", "nr_mlock %" SCNu64, pages);
}

/* VRAM is let go of when locked memory is unmapped there, and what is unlocked there is not counted as locked. */
static bool lock(void)
{
	/* No multiple of what a CPU collects before it lets go. */
	uint64_t before, after, some = svm.bytes / 2 + 15 * PAGE;

	if (!mlocked_pages(&before) || !thread_stay_on_cpu(0))
		return false;
	write_pages(svm.memory, 0, svm.bytes, 0);
	if (mlock(svm.memory, svm.bytes))
		return fail("mlock: %s", strerror(errno));
	if (!to_vram(svm.memory, svm.bytes) || !verify_pages("locked", svm.memory, 0, svm.bytes, 0) ||
	    !to_vram(svm.memory, svm.bytes))
		return false;
	if (munlock(svm.memory, some) || munmap(svm.memory, svm.bytes))
		return fail("munlock or munmap: %s", strerror(errno));
	/* This goes on on another CPU, which does not do what the first one has put off. */
	if (!thread_stay_on_cpu(1) || !fill_vram() || !expect_released() || !mlocked_pages(&after))
		return false;
	/* What CPUs have counted and not added yet is less than that. */
	if (after >= before + some / PAGE / 2)
		report_mismatch("%" PRIu64 " pages are counted as locked, and were %" PRIu64, after, before);
	return true;
}

static bool use_parent(void)
{
	char *buffer = own_memory_new(svm.bytes, false), path[32];
	off_t at = (off_t)(uintptr_t)svm.memory;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/mem", (int)getppid());
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (!buffer || fd < 0)
		return fail("open %s: %s", path, strerror(errno));
	if (pread(fd, buffer, svm.bytes, at) != (ssize_t)svm.bytes)
		return fail("read %s: %s", path, strerror(errno));
	if (!verify_pages("read by another", buffer, 0, svm.bytes, 0))
		return false;
	write_pages(buffer, 0, svm.bytes, 1);
	return pwrite(fd, buffer, svm.bytes, at) == (ssize_t)svm.bytes || fail("write %s: %s", path, strerror(errno));
}

/* A pipe holds some pages of the memory, which stay where they are. */
static bool keep_in_pipe(void)
{
	enum { KEPT = 4 };
	char buffer[KEPT * PAGE];
	struct iovec kept = { svm.memory, sizeof(buffer) };
	int fds[2], error;

	if (pipe2(fds, O_CLOEXEC))
		return fail("pipe: %s", strerror(errno));
	if (vmsplice(fds[1], &kept, 1, 0) != sizeof(buffer))
		return fail("vmsplice: %s", strerror(errno));
	error = move(svm.memory, svm.bytes);
	if (error != EBUSY)
		report_mismatch("pages in a pipe: %s", error ? strerrorname_np(error) : "success");
	if (read(fds[0], buffer, sizeof(buffer)) != sizeof(buffer))
		return fail("read: %s", strerror(errno));
	close(fds[0]);
	close(fds[1]);
	return verify_pages("in a pipe", buffer, 0, sizeof(buffer), 1) && to_vram(svm.memory, svm.bytes) &&
	       verify_pages("back from there", svm.memory, 0, svm.bytes, 1);
}

/* The kernel reads and writes the memory for another process, and a pipe keeps some of it. */
static bool lend(void)
{
	write_pages(svm.memory, 0, svm.bytes, 0);
	if (!to_vram(svm.memory, svm.bytes) || !run_child("the other", use_parent) ||
	    !verify_pages("written by another", svm.memory, 0, svm.bytes, 1) ||
	    !to_vram(svm.memory, svm.bytes))
		return false;
	return keep_in_pipe() && expect_released();
}

/* The memory goes from the VRAM of one device to that of another. */
static bool hand_over(void)
{
	struct gpu first = svm.gpu, second;

	if (!gpu_open_unit(&second, 1))
		return false;
	for (uint64_t round = 0; round < svm.rounds; round++) {
		write_pages(svm.memory, 0, svm.bytes, round);
		svm.gpu = first;
		if (!find_device() || !to_vram(svm.memory, svm.bytes))
			return false;
		svm.gpu = second;
		if (!find_device() || !to_vram(svm.memory, svm.bytes) ||
		    !verify_pages("handed over", svm.memory, 0, svm.bytes, round) || !expect_released())
			return false;
	}
	svm.gpu = first;
	return expect_released();
}

static bool remap(void)
{
	char *other = own_memory_new(svm.bytes + PAGE, svm.huge), *moved;

	write_pages(svm.memory, 0, svm.bytes, 0);
	if (!other || !to_vram(svm.memory, svm.bytes))
		return false;
	/* Not as it was aligned. */
	moved = mremap(svm.memory, svm.bytes, svm.bytes, MREMAP_MAYMOVE | MREMAP_FIXED, other + PAGE);
	if (moved == MAP_FAILED)
		return fail("mremap: %s", strerror(errno));
	return expect_pages("remapped", moved, svm.bytes, svm.bytes / PAGE) &&
	       verify_pages("remapped", moved, 0, svm.bytes, 0) && expect_released();
}

static bool protect(void)
{
	write_pages(svm.memory, 0, svm.bytes, 0);
	if (!to_vram(svm.memory, svm.bytes))
		return false;
	if (mprotect(svm.memory, svm.bytes, PROT_READ))
		return fail("mprotect: %s", strerror(errno));
	if (!verify_pages("read-only", svm.memory, 0, svm.bytes, 0) || !to_vram(svm.memory, svm.bytes))
		return false;
	return verify_pages("read-only, again", svm.memory, 0, svm.bytes, 0);
}

static bool evict(void)
{
	write_pages(svm.memory, 0, svm.bytes, 0);
	if (!to_vram(svm.memory, svm.bytes) || !fill_vram() || !expect_pages("evicted", svm.memory, svm.bytes, 0))
		return false;
	return verify_pages("evicted", svm.memory, 0, svm.bytes, 0) && expect_released();
}

/* Huge pages come back in pieces when there is no huge page for them: one half by the CPU, the other by eviction. */
static bool cramped(void)
{
	uint64_t half = svm.bytes / 2;
	struct places places;

	write_pages(svm.memory, 0, svm.bytes, 0);
	if (!count_pages(svm.memory, svm.bytes, &places, NULL))
		return false;
	if (places.memory.huge != svm.bytes / PAGE)
		return fail("%" PRIu64 " pages are huge at first", places.memory.huge);
	if (!to_vram(svm.memory, svm.bytes) || !fragments_make() ||
	    !verify_pages("touched", svm.memory, 0, half, 0) || !fill_vram() ||
	    !expect_back("evicted", svm.memory, svm.bytes))
		return false;
	return verify_pages("evicted", svm.memory + half, half / PAGE, half, 0) && expect_released();
}

/* What has come back is memory like any other: it is swapped, and goes to VRAM from there. */
static bool swap(void)
{
	struct places places;
	int error;

	write_pages(svm.memory, 0, svm.bytes, 0);
	if (!to_vram(svm.memory, svm.bytes) || !verify_pages("back", svm.memory, 0, svm.bytes, 0))
		return false;
	if (madvise(svm.memory, svm.bytes, MADV_PAGEOUT))
		return fail("MADV_PAGEOUT: %s", strerror(errno));
	if (!count_pages(svm.memory, svm.bytes, &places, NULL))
		return false;
	svm.swapped = svm.bytes / PAGE - places.vram - places.memory.pages;
	/* Until all of it is written, some is busy. */
	error = move_in_the_end(svm.memory, svm.bytes);
	if (error)
		return fail("SVM_TO_VRAM of what was in swap: %s", strerrorname_np(error));
	return expect_pages("from swap", svm.memory, svm.bytes, svm.bytes / PAGE) &&
	       verify_pages("from swap", svm.memory, 0, svm.bytes, 0);
}

static bool touch(volatile uint64_t *word)
{
	BUS_ERROR_GUARD;

	if (bus_error())
		return false;
	(void)*word;
	return true;
}

/* The device fails at a copy to VRAM, and at one back: what was asked for is not done, and nothing is lost. */
static bool fail_copies(void)
{
	int error;

	write_pages(svm.memory, 0, svm.bytes, 0);
	error = move(svm.memory, svm.bytes);
	if (error != EIO)
		return fail("a copy that fails: %s", error ? strerrorname_np(error) : "success");
	svm.refused++;
	if (!expect_pages("refused", svm.memory, svm.bytes, 0) || !to_vram(svm.memory, svm.bytes))
		return false;
	if (touch((uint64_t *)svm.memory))
		report_mismatch("the CPU does not notice that a copy has failed");
	else
		svm.bus_errors++;
	return expect_pages("not back", svm.memory, svm.bytes, svm.bytes / PAGE) &&
	       verify_pages("back after all", svm.memory, 0, svm.bytes, 0);
}

static void *move_until_stopped(void *unused)
{
	(void)unused;
	while (!atomic_load(&svm.stop)) {
		int error = move(svm.memory, svm.bytes);

		/* Others use it, and VRAM, all the time. */
		if (error && error != EBUSY && error != ENOMEM) {
			report_mismatch("SVM_TO_VRAM: %s", strerrorname_np(error));
			break;
		}
	}
	return NULL;
}

static void *evict_until_stopped(void *unused)
{
	(void)unused;
	while (!atomic_load(&svm.stop)) {
		int error = try_fill_vram();

		if (error && error != ENOMEM) {
			report_mismatch("an object as large as VRAM: %s", strerrorname_np(error));
			break;
		}
		usleep(20000);
	}
	return NULL;
}

/* No write is lost while two other threads have the memory move, one there and one back. */
static bool race(void)
{
	uint64_t round = 0, give_up = now_ns() + RACE_NS;
	pthread_t moving, evicting;

	memset(svm.memory, 0, svm.bytes);
	if (!thread_start(&moving, move_until_stopped, NULL))
		return false;
	if (!thread_start(&evicting, evict_until_stopped, NULL)) {
		atomic_store(&svm.stop, true);
		pthread_join(moving, NULL);
		return false;
	}
	while (now_ns() < give_up && !report_mismatches()) {
		for (uint64_t at = 0; at < svm.bytes; at += PAGE) {
			volatile uint64_t *word = (uint64_t *)(svm.memory + at);

			if (*word != round)
				report_mismatch("race: %" PRIu64 " instead of %" PRIu64, *word, round);
			*word = round + 1;
		}
		round++;
	}
	atomic_store(&svm.stop, true);
	pthread_join(moving, NULL);
	pthread_join(evicting, NULL);
	svm.rounds = round;
	svm.verified = round * svm.bytes;
	return true;
}

static void end(int signal)
{
	(void)signal;
	svm.ended = 1;
}

/* Says where each page is and what it begins with, for somebody else to look there, and verifies at SIGUSR1. */
static bool hold(void)
{
	struct sigaction action = { .sa_handler = end };
	uint64_t *where = malloc(svm.bytes / PAGE * sizeof(*where));
	struct places places;
	sigset_t blocked, before;

	sigemptyset(&blocked);
	sigaddset(&blocked, SIGUSR1);
	if (!where || sigaction(SIGUSR1, &action, NULL) || sigprocmask(SIG_BLOCK, &blocked, &before))
		return fail("no signals");
	write_pages(svm.memory, 0, svm.bytes, 0);
	if (!to_vram(svm.memory, svm.bytes) || !count_pages(svm.memory, svm.bytes, &places, where))
		return false;
	if (svm.in_pieces && !fragments_make())
		return false;
	for (uint64_t i = 0; i < svm.bytes / PAGE; i++)
		fprintf(stderr, "page %" PRIu64 " vram %" PRIx64 " word %016" PRIx64 "\n", i, where[i], key_of(i, 0));
	fprintf(stderr, "holding\n");
	while (!svm.ended)
		sigsuspend(&before);
	return verify_pages("held", svm.memory, 0, svm.bytes, 0);
}

static const struct {
	const char *name;
	bool (*run)(void);
} tests[] = {
	{ "ping-pong", ping_pong },
	{ "pieces", pieces },
	{ "fork", fork_and_write },
	{ "exec", exec_another },
	{ "orphan", orphan },
	{ "at-once", at_once },
	{ "unmap", unmap },
	{ "lock", lock },
	{ "lend", lend },
	{ "hand-over", hand_over },
	{ "remap", remap },
	{ "protect", protect },
	{ "evict", evict },
	{ "cramped", cramped },
	{ "swap", swap },
	{ "failure", fail_copies },
	{ "race", race },
	{ "hold", hold },
};

#define TESTS (sizeof(tests) / sizeof(*tests))

static bool set_up(void)
{
	if ((svm.cpu != ANY_CPU && !thread_stay_on_cpu(svm.cpu)) || !gpu_open(&svm.gpu) || !find_device())
		return false;
	svm.said = mmap(NULL, SAID, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (svm.said == MAP_FAILED)
		return fail("mmap: %s", strerror(errno));
	svm.memory = own_memory_new(svm.bytes, svm.huge);
	return svm.memory;
}

int svm_main(int argc, char **argv)
{
	static const char *const yes_words[] = { "no", "yes", NULL };
	static const char *words[TESTS + 1];
	const struct option_spec specs[] = {
		{ .name = "test", .value = &svm.test, .words = words },
		{ .name = "bytes", .value = &svm.bytes },
		{ .name = "seed", .value = &svm.seed },
		{ .name = "rounds", .value = &svm.rounds, .optional = true },
		{ .name = "huge", .value = &svm.huge, .words = yes_words, .optional = true },
		{ .name = "cpu", .value = &svm.cpu, .optional = true },
		{ .name = "back-cpu", .value = &svm.back_cpu, .optional = true },
		{ .name = "in-pieces", .value = &svm.in_pieces, .words = yes_words, .optional = true },
		{ .name = "crowd", .value = &svm.crowd, .optional = true },
		{ .name = "crowd-stays", .value = &svm.crowd_stays, .words = yes_words, .optional = true },
		{ .name = "lose", .value = &svm.lose, .words = yes_words, .optional = true },
	};

	for (size_t i = 0; i < TESTS; i++)
		words[i] = tests[i].name;
	svm.rounds = 1;
	svm.cpu = svm.back_cpu = ANY_CPU;
	if (!options_parse("svm", specs, sizeof(specs) / sizeof(*specs), argc, argv))
		return EXIT_USAGE;
	if (!svm.bytes || svm.bytes % CHUNK) {
		options_complain("svm", "--bytes is no multiple of 2 MiB");
		return EXIT_USAGE;
	}
	if (set_up())
		tests[svm.test].run();
	report_open();
	report_number("bytesVerified", svm.verified);
	report_number("bytesToVram", svm.to_vram);
	report_number("rounds", svm.rounds);
	report_number("busErrors", svm.bus_errors);
	report_number("refused", svm.refused);
	report_number("pagesInSwap", svm.swapped);
	report_number("hugePagesBack", svm.huge_back);
	report_number("highestAddress", svm.highest);
	return report_close();
}
