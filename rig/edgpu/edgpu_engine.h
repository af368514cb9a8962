/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * edgpu's engines: a ring of commands each, executed in bounded slices.
 *
 * An engine knows nothing of PCI. What it can do to memory is in edgpu_dma.h,
 * what else it asks of the device in the second half of this file.
 */
#ifndef EDGPU_ENGINE_H
#define EDGPU_ENGINE_H

#include "qemu/timer.h"
#include "edgpu_command.h"

/* How fast all engines are, on the virtual clock. */
typedef struct EdgpuThrottle {
    uint64_t bandwidth;         /* bytes a second, of each engine; 0: any */
    uint64_t latency_ns;        /* of each command */
} EdgpuThrottle;

typedef struct EdgpuEngine {
    EdgpuState *gpu;
    const EdgpuThrottle *throttle;
    unsigned index;
    QEMUTimer timer;

    /* Registers */
    uint64_t ring_base;
    uint32_t ring_size;
    uint32_t head;
    uint32_t tail;
    uint64_t fence;
    EdgpuFault fault;
    uint32_t fault_slot;
    uint32_t fault_count;

    EdgpuWork work;             /* the command at head */
    uint64_t due;               /* virtual time before which nothing moves on */
    uint64_t delay_ns;          /* from its last byte to its retirement */
    bool hung;                  /* never moves on */
} EdgpuEngine;

void edgpu_engine_init(EdgpuEngine *e, EdgpuState *gpu, unsigned index,
                       const EdgpuThrottle *throttle);
void edgpu_engine_exit(EdgpuEngine *e);

/* Forget ring, command and fault, as by EDGPU_CONTROL_RESET. */
void edgpu_engine_reset(EdgpuEngine *e);
/* The reset of the whole device: also clears fence and fault count. */
void edgpu_engine_cold_reset(EdgpuEngine *e);

uint32_t edgpu_engine_status(const EdgpuEngine *e);
void edgpu_engine_set_ring_base(EdgpuEngine *e, uint64_t base);
void edgpu_engine_set_ring_size(EdgpuEngine *e, uint32_t slots);
void edgpu_engine_doorbell(EdgpuEngine *e, uint32_t tail);

extern const VMStateDescription vmstate_edgpu_engine;

/* ---- What the device does for its engines ---- */

/* Is the function in D0? Sets *@fault if not. */
bool edgpu_powered(EdgpuState *s, EdgpuFault *fault);

/*
 * @e is about to start the command at head. The device may now have something
 * happen to it: set @hung or @delay_ns, set *@fault and return false, or reset
 * it, all its commands dropped.
 */
bool edgpu_command_starting(EdgpuState *s, EdgpuEngine *e, EdgpuFault *fault);
/* All of a command is done, but its slot, fence and interrupt tell nobody. */
void edgpu_command_retiring(EdgpuState *s, EdgpuEngine *e);
void edgpu_fence_completed(EdgpuState *s, unsigned engine);
void edgpu_engine_faulted(EdgpuState *s, const EdgpuEngine *e);

#endif /* EDGPU_ENGINE_H */
