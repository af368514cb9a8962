/* The test programs of edgpu-stress that have nothing else to show. */
#ifndef PROGRAMS_H
#define PROGRAMS_H

int cache_main(int argc, char **argv);
int dma_main(int argc, char **argv);
int kms_main(int argc, char **argv);
int mmap_main(int argc, char **argv);
int mmio_main(int argc, char **argv);

int nth_main(int argc, char **argv);
int pieces_main(int argc, char **argv);
int reseed_main(int argc, char **argv);
int reader_main(int argc, char **argv);
int reclaim_main(int argc, char **argv);
int spawn_main(int argc, char **argv);

#endif
