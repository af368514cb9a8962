#define _GNU_SOURCE
#include "udmabuf.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <linux/mempolicy.h>
#include <linux/udmabuf.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

void udmabuf_stay_low(void)
{
	unsigned long node0 = 1;

	/* Fails on a kernel without NUMA, where there is but one node. */
	syscall(SYS_set_mempolicy, MPOL_BIND, &node0, 8 * sizeof(node0));
}

int udmabuf_create(size_t size, int *memfd)
{
	int device = open("/dev/udmabuf", O_RDWR | O_CLOEXEC);
	int memory = memfd_create("udmabuf", MFD_ALLOW_SEALING | MFD_CLOEXEC);
	struct udmabuf_create create = {
		.memfd = (uint32_t)memory,
		.flags = UDMABUF_FLAGS_CLOEXEC,
		.size = size,
	};
	int fd = -1, error;

	if (device >= 0 && memory >= 0 && !ftruncate(memory, (off_t)size) && !fcntl(memory, F_ADD_SEALS, F_SEAL_SHRINK))
		fd = ioctl(device, UDMABUF_CREATE, &create);
	error = fd < 0 ? errno : 0;
	close(device);
	if (memfd)
		*memfd = memory;
	else
		close(memory);
	errno = error;
	return fd;
}
