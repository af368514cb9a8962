/* info: what the driver says of the device, as a line of JSON. */
#include <inttypes.h>
#include <stdio.h>

#include "lib/exit_code.h"
#include "lib/failure.h"
#include "lib/gpu.h"
#include "programs/programs.h"

static const char *backend_name(uint64_t backend)
{
	switch (backend) {
	case EDGPU_PARAM_BACKEND_LEGACY:
		return "legacy";
	case EDGPU_PARAM_BACKEND_SHMEM:
		return "shmem";
	case EDGPU_PARAM_BACKEND_BACKUP:
		return "backup";
	default:
		return "unknown";
	}
}

int info_main(int argc, char **argv)
{
	struct gpu gpu;

	if (argc > 1) {
		fprintf(stderr, "edgpu-stress info: takes no argument, not \"%s\"\n", argv[1]);
		return EXIT_USAGE;
	}
	if (!gpu_open(&gpu)) {
		fprintf(stderr, "edgpu-stress info: %s\n", failure());
		return EXIT_SYSTEM;
	}
	printf("{\"vramSize\":%" PRIu64 ",\"apertureSize\":%" PRIu64 ",\"engines\":%" PRIu64
	       ",\"dmaBits\":%" PRIu64 ",\"vramGeneration\":%" PRIu64 ",\"backend\":\"%s\"}\n",
	       gpu.vram_size, gpu.aperture_size, gpu.engines, gpu.dma_bits, gpu.vram_generation,
	       backend_name(gpu.backend));
	return EXIT_PASS;
}
