/* The pretended device of the kernel's own tests, its module test_hmm: processes have memory there. */
#ifndef TEST_HMM_H
#define TEST_HMM_H

#include <stdbool.h>
#include <stdint.h>

/* Returns -1 on failure, and then failure() says what failed. Closing it brings back what any process has there. */
int test_hmm_open(void);

/*
 * Both also copy to @mirror what the device then has. The first one moves all of it there, the second one expects
 * that it is there. Whole pages; false on failure.
 */
bool test_hmm_take(int device, const void *memory, uint64_t bytes, void *mirror);
bool test_hmm_read(int device, const void *memory, uint64_t bytes, void *mirror);

#endif
