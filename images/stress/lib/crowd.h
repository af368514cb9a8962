#ifndef CROWD_H
#define CROWD_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Takes all free memory of this CPU's node until this process ends; others can't move it elsewhere, or swap it, if it
 * is locked. The thread stays on that CPU. It returns false once it has said why it could not.
 */
bool crowd_node(uint64_t cpu, bool locked);

#endif
