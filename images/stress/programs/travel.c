/*
 * travel: one process makes an object and touches nothing of it, and another one, of another cgroup,
 * gets it, has its pages populated, and makes one of its own with the device file it has got. What
 * travels is all the maker has (fork), its device file beyond an exec, its device file over a socket,
 * or a dma-buf over a socket. It goes on when the maker is killed, verifies at SIGUSR1, and ends at
 * SIGTERM. The maker waits for it, and has its exit code.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/bus_error.h"
#include "lib/failure.h"
#include "lib/gpu.h"
#include "lib/options.h"
#include "lib/pattern.h"
#include "lib/process_name.h"
#include "lib/report.h"
#include "programs/programs.h"

#define NONE UINT64_MAX
#define SELF "/proc/self/exe"

enum by { BY_FORK, BY_EXEC, BY_SOCKET, BY_PRIME };

static const char *const by_words[] = { "fork", "exec", "socket", "prime", NULL };
static const char *const no_yes[] = { "no", "yes", NULL };

struct travel {
	uint64_t by;
	uint64_t size;		/* of the object that travels; the receiver's own has half of it */
	uint64_t seed;
	uint64_t joins;		/* a file to write "0" to: cgroup.procs of the receiver's cgroup */
	uint64_t lose;		/* control: a word changes */
	uint64_t fd, offset;	/* what exec passes on */
};

/* What the receiver has to know of what it got. */
struct parcel {
	uint64_t offset;
};

static bool send_file(int socket, int fd, struct parcel parcel)
{
	char space[CMSG_SPACE(sizeof(fd))] = { 0 };
	struct iovec data = { .iov_base = &parcel, .iov_len = sizeof(parcel) };
	struct msghdr message = { .msg_iov = &data, .msg_iovlen = 1, .msg_control = space,
				  .msg_controllen = sizeof(space) };
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);

	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(header), &fd, sizeof(fd));
	return sendmsg(socket, &message, 0) == sizeof(parcel) || fail("sendmsg: %s", strerror(errno));
}

static bool receive_file(int socket, int *fd, struct parcel *parcel)
{
	char space[CMSG_SPACE(sizeof(*fd))] = { 0 };
	struct iovec data = { .iov_base = parcel, .iov_len = sizeof(*parcel) };
	struct msghdr message = { .msg_iov = &data, .msg_iovlen = 1, .msg_control = space,
				  .msg_controllen = sizeof(space) };
	struct cmsghdr *header;

	if (recvmsg(socket, &message, 0) != sizeof(*parcel))
		return fail("recvmsg: %s", strerror(errno));
	header = CMSG_FIRSTHDR(&message);
	if (!header || header->cmsg_type != SCM_RIGHTS)
		return fail("no file came over the socket");
	memcpy(fd, CMSG_DATA(header), sizeof(*fd));
	return true;
}

static bool make(const struct travel *travel, int *fd, struct parcel *parcel)
{
	struct drm_prime_handle prime = { .flags = DRM_CLOEXEC | DRM_RDWR };
	struct object object;
	struct gpu gpu;
	int error;

	if (!gpu_open(&gpu) || !gpu_create(&gpu, &object, travel->size, EDGPU_PLACEMENT_SYSTEM, 0))
		return false;
	*fd = gpu.fd;
	if (travel->by != BY_PRIME)
		return gpu_mmap_offset(&gpu, &object, &parcel->offset);

	prime.handle = object.handle;
	error = gpu_call(&gpu, DRM_IOCTL_PRIME_HANDLE_TO_FD, &prime);
	*fd = prime.fd;
	parcel->offset = 0;
	return !error || fail("PRIME_HANDLE_TO_FD: %s", strerrorname_np(error));
}

static bool map(int fd, uint64_t size, uint64_t offset, void **data)
{
	*data = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)offset);
	return *data != MAP_FAILED || fail("mmap: %s", strerror(errno));
}

static bool write_all(void *data, uint64_t size, uint64_t key)
{
	BUS_ERROR_GUARD;

	if (bus_error())
		return fail("write: SIGBUS");
	pattern_write(data, size, key, 0);
	return true;
}

static bool verify(const void *data, uint64_t size, uint64_t key, const char *what)
{
	BUS_ERROR_GUARD;
	size_t offset;

	if (bus_error())
		return fail("%s: SIGBUS", what);
	if (!pattern_matches(data, size, key, &offset))
		report_mismatch("%s: wrong content at %zu", what, offset);
	return true;
}

static bool hold(const struct travel *travel, int fd, uint64_t offset, const sigset_t *signals)
{
	uint64_t keys[2] = { pattern_key(travel->seed, 0, 0), pattern_key(travel->seed, 1, 0) };
	struct gpu gpu = { .fd = fd };
	unsigned int verified = 0;
	struct object own;
	void *data, *more = NULL;
	int signal;

	if (travel->joins != NONE && write((int)travel->joins, "0", 1) != 1)
		return fail("write to the file of --joins: %s", strerror(errno));
	if (!map(fd, travel->size, offset, &data) || !write_all(data, travel->size, keys[0]))
		return false;
	/* A dma-buf makes no objects. */
	if (travel->by != BY_PRIME &&
	    (!gpu_create(&gpu, &own, travel->size / 2, EDGPU_PLACEMENT_SYSTEM, 0) ||
	     !gpu_map(&gpu, &own, &more) || !write_all(more, own.size, keys[1])))
		return false;
	if (travel->lose)
		*(volatile uint64_t *)data ^= 1;

	fprintf(stderr, "holding %d\n", getpid());
	do {
		if (sigwait(signals, &signal))
			return fail("sigwait");
		if (!verify(data, travel->size, keys[0], "what came") ||
		    (more && !verify(more, own.size, keys[1], "its own object")))
			return false;
		fprintf(stderr, "verified %u mismatches %" PRIu64 "\n", ++verified,
			report_mismatches());
	} while (signal != SIGTERM);
	return true;
}

static int receive(const struct travel *travel, int fd, uint64_t offset)
{
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGUSR1);
	sigaddset(&signals, SIGTERM);
	if (sigprocmask(SIG_BLOCK, &signals, NULL))
		fail("sigprocmask: %s", strerror(errno));
	else
		hold(travel, fd, offset, &signals);
	report_open();
	return report_close();
}

static void exec_self(const struct travel *travel, int fd, uint64_t offset)
{
	char words[5][24];
	const uint64_t values[5] = { travel->size, travel->seed, travel->joins, (uint64_t)fd, offset };

	for (int i = 0; i < 5; i++)
		snprintf(words[i], sizeof(words[i]), "%" PRIu64, values[i]);
	if (!fcntl(fd, F_SETFD, 0))
		execl(SELF, "edgpu-stress", "travel", "--by", "exec", "--object-size", words[0],
		      "--seed", words[1], "--joins", words[2], "--fd", words[3], "--offset", words[4],
		      "--lose", no_yes[travel->lose], (char *)NULL);
	fail("exec of %s: %s", SELF, strerror(errno));
}

/* Of the receiver, which has the report; or -1 if there is none. */
static int start(const struct travel *travel)
{
	bool inherited = travel->by == BY_FORK || travel->by == BY_EXEC;
	int fd = -1, sockets[2], status;
	struct parcel parcel;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets))
		return fail("socketpair: %s", strerror(errno)) - 1;
	if (inherited && !make(travel, &fd, &parcel))
		return -1;
	pid = fork();
	if (pid < 0)
		return fail("fork: %s", strerror(errno)) - 1;
	if (!pid) {
		close(sockets[0]);
		if (travel->by == BY_EXEC) {
			exec_self(travel, fd, parcel.offset);
			return -1;
		}
		if (!inherited && !receive_file(sockets[1], &fd, &parcel))
			return -1;
		return receive(travel, fd, parcel.offset);
	}
	close(sockets[1]);
	/* Without a file the receiver says so. */
	if (!inherited && make(travel, &fd, &parcel))
		send_file(sockets[0], fd, parcel);
	close(sockets[0]);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return fail("waitpid: %s", strerror(errno)) - 1;
	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	return fail("the receiver was killed by signal %d", WTERMSIG(status)) - 1;
}

int travel_main(int argc, char **argv)
{
	struct travel travel = { .joins = NONE, .fd = NONE };
	const struct option_spec specs[] = {
		{ .name = "by", .value = &travel.by, .words = by_words },
		{ .name = "object-size", .value = &travel.size },
		{ .name = "seed", .value = &travel.seed },
		{ .name = "joins", .value = &travel.joins, .optional = true },
		{ .name = "lose", .value = &travel.lose, .words = no_yes, .optional = true },
		{ .name = "fd", .value = &travel.fd, .optional = true },
		{ .name = "offset", .value = &travel.offset, .optional = true },
	};
	int code;

	if (!options_parse("travel", specs, sizeof(specs) / sizeof(*specs), argc, argv))
		return EXIT_USAGE;
	if (!travel.size || travel.size % 8192) {
		options_complain("travel", "--object-size is not a multiple of 8192");
		return EXIT_USAGE;
	}
	if (!process_name("travel"))
		code = -1;
	else if (travel.fd != NONE)
		code = receive(&travel, (int)travel.fd, travel.offset);
	else
		code = start(&travel);
	if (code >= 0)
		return code;
	report_open();
	return report_close();
}
