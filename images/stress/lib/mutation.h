/*
 * Mutations: with EDGPU_STRESS_MUTATION=NAME in the environment, a program sees
 * a driver that has one particular bug. Each program has to say so: that is
 * what shows that it would notice the bug.
 *
 * All ioctls of all programs come through here (the linker's --wrap=ioctl), so
 * that a mutation needs nothing of the program. NAME:HANDLE is for one object only.
 */
#ifndef MUTATION_H
#define MUTATION_H

#include <stdbool.h>

/* Call once, before any other ioctl; false, and a failure, for a name that does not exist. */
bool mutation_init(void);

#endif
