#include "test_hmm.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/ioctl.h>

#include "failure.h"

#define PAGE 4096
/* Of the kernel's lib/test_hmm_uapi.h, which is not installed. */
#define DEVICE "/dev/hmm_dmirror0"
#define READ _IOWR('H', 0x00, struct command)
#define MIGRATE_TO_DEVICE _IOWR('H', 0x02, struct command)

struct command {
	uint64_t address;
	uint64_t mirror;	/* where what the device then has is written to */
	uint64_t pages;
	uint64_t pages_done;
	uint64_t faults;
};

int test_hmm_open(void)
{
	int device = open(DEVICE, O_RDWR | O_CLOEXEC);

	if (device < 0)
		fail("open " DEVICE ": %s", strerror(errno));
	return device;
}

static bool call(int device, unsigned long request, const char *name, struct command *command)
{
	if (ioctl(device, request, command))
		return fail("%s: %s", name, strerror(errno));
	if (command->pages_done != command->pages || command->faults)
		return fail("%s: %" PRIu64 " of %" PRIu64 " pages are in the device", name,
			    command->pages_done, command->pages);
	return true;
}

bool test_hmm_take(int device, const void *memory, uint64_t bytes, void *mirror)
{
	struct command command = {
		.address = (uintptr_t)memory,
		.mirror = (uintptr_t)mirror,
		.pages = bytes / PAGE,
	};

	return call(device, MIGRATE_TO_DEVICE, "HMM_DMIRROR_MIGRATE_TO_DEV", &command);
}

bool test_hmm_read(int device, const void *memory, uint64_t bytes, void *mirror)
{
	struct command command = {
		.address = (uintptr_t)memory,
		.mirror = (uintptr_t)mirror,
		.pages = bytes / PAGE,
	};

	return call(device, READ, "HMM_DMIRROR_READ", &command);
}
