/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * edgpu's engines: a ring of commands each, executed in bounded slices.
 *
 * An engine does not depend on PCI. What it can do to memory is in edgpu_dma.h,
 * what else it asks of the device in EdgpuEngineOps.
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

/* When the engines of a device may run at all, for the sake of the VM. */
typedef struct EdgpuPace {
    uint64_t rest_until;        /* virtual time */
} EdgpuPace;

typedef struct EdgpuEngine EdgpuEngine;

/* What the device does for its engines. */
typedef struct EdgpuEngineOps {
    /*
     * @e is about to start the command at head.  The device may now have
     * something happen to it: set @hung or @delay_ns, set *@fault and return
     * false, or reset it, all its commands dropped.
     */
    bool (*starting)(EdgpuState *s, EdgpuEngine *e, EdgpuFault *fault);
    /* All of a command is done; slot, fence and interrupt don't show it yet. */
    void (*retiring)(EdgpuState *s, EdgpuEngine *e);
    void (*fence_completed)(EdgpuState *s, unsigned engine);
    void (*faulted)(EdgpuState *s, const EdgpuEngine *e);
    /* An engine had the BQL for so long. */
    void (*slice_ended)(EdgpuState *s, uint64_t ns);
} EdgpuEngineOps;

struct EdgpuEngine {
    EdgpuState *gpu;
    const EdgpuEngineOps *ops;
    const EdgpuThrottle *throttle;
    EdgpuPace *pace;
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
};

/* @e->ops, @e->throttle and @e->pace are set before. */
void edgpu_engine_init(EdgpuEngine *e, EdgpuState *gpu, unsigned index);
void edgpu_engine_exit(EdgpuEngine *e);

/* Clears ring, command and fault, as EDGPU_CONTROL_RESET does. */
void edgpu_engine_reset(EdgpuEngine *e);
/* The reset of the whole device: also clears fence and fault count. */
void edgpu_engine_cold_reset(EdgpuEngine *e);

/* The function leaves D0: a fault if there is work pending. */
void edgpu_engine_power_off(EdgpuEngine *e);

uint32_t edgpu_engine_status(const EdgpuEngine *e);
void edgpu_engine_set_ring_base(EdgpuEngine *e, uint64_t base);
void edgpu_engine_set_ring_size(EdgpuEngine *e, uint32_t slots);
void edgpu_engine_doorbell(EdgpuEngine *e, uint32_t tail);

extern const VMStateDescription vmstate_edgpu_engine;

#endif /* EDGPU_ENGINE_H */
