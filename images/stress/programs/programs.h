/* The test programs of edgpu-stress: what is called NAME on the command line is NAME_main(). */
#ifndef PROGRAMS_H
#define PROGRAMS_H

int cache_main(int argc, char **argv);
int carveout_main(int argc, char **argv);
int cycle_main(int argc, char **argv);
int dma_main(int argc, char **argv);
int evict_main(int argc, char **argv);
int fuzz_main(int argc, char **argv);
int hmm_main(int argc, char **argv);
int hog_main(int argc, char **argv);
int hold_main(int argc, char **argv);
int info_main(int argc, char **argv);
int job_main(int argc, char **argv);
int kms_main(int argc, char **argv);
int migrate_main(int argc, char **argv);
int mmap_main(int argc, char **argv);
int mmio_main(int argc, char **argv);
int nth_main(int argc, char **argv);
int objects_main(int argc, char **argv);
int pieces_main(int argc, char **argv);
int private_main(int argc, char **argv);
int purge_main(int argc, char **argv);
int reader_main(int argc, char **argv);
int reclaim_main(int argc, char **argv);
int reseed_main(int argc, char **argv);
int reset_main(int argc, char **argv);
int share_main(int argc, char **argv);
int sleeper_main(int argc, char **argv);
int smoke_main(int argc, char **argv);
int spawn_main(int argc, char **argv);
int svm_main(int argc, char **argv);
int travel_main(int argc, char **argv);
int uapi_main(int argc, char **argv);

#endif
