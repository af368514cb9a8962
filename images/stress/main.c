/* edgpu-stress: test programs for the edgpu driver, in one binary. */
#include <stdio.h>
#include <string.h>

#include "lib/bus_error.h"
#include "lib/exit_code.h"
#include "lib/failure.h"
#include "lib/faults.h"
#include "lib/mutation.h"
#include "programs/programs.h"

static const struct subcommand {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *arguments;
} subcommands[] = {
	{ "smoke", smoke_main, "--bytes N --object-size S --seed K [--rounds R] [--caching cached|wc|uc]\n"
	  "    [--pattern random|compressible] [--flip N]" },
	{ "hog", hog_main, "--bytes N --seed K [--use always|once] [--cpu C] [--lock yes] [--lose yes] (until SIGTERM)" },
	{ "carveout", carveout_main,
	  "--bytes N --object-size S --seed K [--evict chunks|reclaim|no] [--caching C] [--lose yes]" },
	{ "cycle", cycle_main,
	  "--bytes N --object-size S --seed K [--caching cached|wc|uc] [--evict no|yes]\n"
	  "    [--swap yes|no] [--carveout no|yes]" },
	{ "evict", evict_main,
	  "--from pages|vram --bytes N --seed K [--chunk PAGES] [--caching C] [--signals yes]\n"
	  "    [--lose yes]" },
	{ "purge", purge_main, "--object-size S --seed K [--keep yes] [--recreate yes]" },
	{ "objects", objects_main, "--count N --object-size S --seed K [--hold no|yes]" },
	{ "private", private_main, "--seed K" },
	{ "dma", dma_main,
	  "--bytes N --object-size S --seed K [--caching C] [--neighbour BYTES]\n"
	  "    [--unmap yes] [--move yes]" },
	{ "cache", cache_main, "--objects N --object-size S --caching C --seed K" },
	{ "mmap", mmap_main, "--objects N --object-size S --rounds R --seed K [--caching C] [--lose WRITES]" },
	{ "nth", nth_main, "--caching C --seed K [--chunk PAGES] [--lose yes] [--spare yes]" },
	{ "pieces", pieces_main,
	  "--piece S --object-size S --seed K [--caching C] [--whole yes] [--lose yes]" },
	{ "mmio", mmio_main, "--reads N (without the driver)" },
	{ "kms", kms_main, "--driver NAME --seed K [--flush no|yes] [--lose yes] [--unseen BYTES]\n"
	  "    [--vram BYTES] (any driver, --vram with qxl; until SIGTERM)" },
	{ "uapi", uapi_main, "--seed K" },
	{ "fuzz", fuzz_main, "--seconds S --seed K [--processes P]" },
	{ "hold", hold_main, "--expect enodev|eio --seed K [--lose yes]" },
	{ "job", job_main, "--expect ok|eio --seed K" },
	{ "reset", reset_main, "--seed K" },
	{ "share", share_main, "--seed K [--second no|yes]" },
	{ "sleeper", sleeper_main, "--vram N --system N --object-size S --seed K [--caching C] [--busy no|yes]\n"
	  "    [--writers N] [--exported no|yes] (verifies at SIGUSR1, until SIGTERM)" },
	{ "reseed", reseed_main, "(random bytes on standard input)" },
	{ "hmm", hmm_main, "--areas N --bytes N --rounds R --seed K [--lose yes] (test_hmm, without the driver)" },
	{ "svm", svm_main,
	  "--test NAME --bytes N --seed K [--rounds R] [--huge yes] [--cpu C]\n"
	  "    [--back-cpu C] [--lose yes] (hold: verifies at SIGUSR1)" },
	{ "migrate", migrate_main,
	  "--way ttm|hmm|test_hmm --bytes N --seed K [--huge yes] [--used BYTES] [--lose yes]" },
	{ "reader", reader_main, "--bytes N (until SIGTERM)" },
	{ "reclaim", reclaim_main,
	  "--bytes N --object-size S --reclaim R --seed K [--devices D] [--threads T] [--cache C]\n"
	  "    [--bystander no|yes]" },
	{ "spawn", spawn_main, "--bytes N --seed K [--spoil P] (until SIGTERM)" },
	{ "travel", travel_main,
	  "--by fork|exec|socket|prime --object-size S --seed K [--joins FD] [--lose yes]\n"
	  "    (verifies at SIGUSR1, until SIGTERM)" },
	{ "info", info_main, "" },
};

#define SUBCOMMANDS (sizeof(subcommands) / sizeof(*subcommands))

static int usage(void)
{
	fprintf(stderr, "usage:\n");
	for (size_t i = 0; i < SUBCOMMANDS; i++)
		fprintf(stderr, "  edgpu-stress %s %s\n", subcommands[i].name,
			subcommands[i].arguments);
	return EXIT_USAGE;
}

int main(int argc, char **argv)
{
	if (!bus_error_catch(argc > 1 ? argv[1] : "") || !faults_init() || !mutation_init()) {
		fprintf(stderr, "edgpu-stress: %s\n", failure());
		return EXIT_SYSTEM;
	}
	for (size_t i = 0; argc > 1 && i < SUBCOMMANDS; i++)
		if (!strcmp(argv[1], subcommands[i].name))
			return subcommands[i].run(argc - 1, argv + 1);
	return usage();
}
