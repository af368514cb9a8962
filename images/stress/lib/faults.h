/*
 * Allocations that fail: with EDGPU_STRESS_FAULTS=<seed> in the environment,
 * every other ioctl has one of its allocations, or of its accesses to user memory,
 * drawn from the seed, refused by the kernel (/proc/thread-self/fail-nth). It
 * may then fail with ENOMEM or EFAULT, a few times in a row at most, and must
 * work when tried again.
 */
#ifndef FAULTS_H
#define FAULTS_H

#include <stdbool.h>
#include <stdint.h>

/* Call once, before any thread is started. */
bool faults_init(void);

/* Before and after what may fail; disarm tells whether an allocation was refused. */
void faults_arm(void);
bool faults_disarm(void);

/*
 * For who wants to know exactly: the @nth allocation of this thread from here
 * on, or access to user memory, is refused; and whether it was, after which
 * none is. The thread's memory has to be in memory: faults_hold_memory().
 */
bool faults_hold_memory(void);
bool faults_at(uint64_t nth);
bool faults_end(void);

#endif
