/*
 * mmio: what it costs to read a register of the device, against reading memory: two loops of as many reads each.
 * Without the driver, through sysfs.
 */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/failure.h"
#include "lib/gpu.h"
#include "lib/options.h"
#include "lib/report.h"
#include "programs/programs.h"

#define PAGE 4096
#define EDGPU_IDS "0x1af4 0x10f0"

static bool is_edgpu(const char *folder)
{
	char path[256], ids[32] = "", part[16];
	const char *const files[] = { "vendor", "device" };

	for (int i = 0; i < 2; i++) {
		FILE *file;

		snprintf(path, sizeof(path), "%s/%s", folder, files[i]);
		file = fopen(path, "r");
		if (file && fscanf(file, "%15s", part) == 1)
			snprintf(ids + strlen(ids), sizeof(ids) - strlen(ids), "%s%s", i ? " " : "", part);
		if (file)
			fclose(file);
	}
	return !strcmp(ids, EDGPU_IDS);
}

static volatile uint32_t *map_registers(void)
{
	volatile uint32_t *registers = NULL;
	glob_t found;

	if (glob("/sys/bus/pci/devices/*", 0, NULL, &found))
		found.gl_pathc = 0;
	for (size_t i = 0; i < found.gl_pathc && !registers; i++) {
		char path[256];
		void *map;
		int fd;

		if (!is_edgpu(found.gl_pathv[i]))
			continue;
		snprintf(path, sizeof(path), "%s/enable", found.gl_pathv[i]);
		fd = open(path, O_WRONLY);
		if (fd < 0 || write(fd, "1", 1) != 1)
			fail("%s: %s", path, strerror(errno));
		if (fd >= 0)
			close(fd);
		snprintf(path, sizeof(path), "%s/resource0", found.gl_pathv[i]);
		fd = open(path, O_RDWR | O_SYNC);
		map = fd < 0 ? MAP_FAILED : mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0);
		if (map == MAP_FAILED)
			fail("%s: %s", path, strerror(errno));
		else
			registers = map;
		if (fd >= 0)
			close(fd);
	}
	if (!registers)
		fail("no registers of an edgpu in sysfs");
	globfree(&found);
	return registers;
}

/* Nanoseconds for all of them. Register 0 says what the device is, and never changes. */
static uint64_t time_reads(volatile uint32_t *from, uint64_t reads)
{
	uint64_t start;
	uint32_t first = *from;

	if (first == UINT32_MAX)
		report_mismatch("nothing answers: reads are all ones");
	start = now_ns();
	for (uint64_t i = 0; i < reads; i++)
		if (*from != first)
			report_mismatch("read %" PRIu64 " is not 0x%" PRIx32, i, first);
	return now_ns() - start;
}

int mmio_main(int argc, char **argv)
{
	uint64_t reads = 0;
	const struct option_spec specs[] = { { .name = "reads", .value = &reads } };
	volatile uint32_t *registers;
	uint64_t register_ns = 0, memory_ns = 0;
	uint32_t memory = 1;

	if (!options_parse("mmio", specs, 1, argc, argv))
		return EXIT_USAGE;
	registers = map_registers();
	if (registers) {
		register_ns = time_reads(registers, reads);
		memory_ns = time_reads(&memory, reads);
	}
	report_open();
	report_number("registerNs", register_ns);
	report_number("memoryNs", memory_ns);
	return report_close();
}
