/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * edgpu's engines: a ring of commands each, executed in bounded slices.
 *
 * An engine knows nothing of PCI. All it can do to the world is in the second
 * half of this file, and edgpu.c, which implements it, does the checks.
 */
#ifndef EDGPU_ENGINE_H
#define EDGPU_ENGINE_H

#include "qemu/timer.h"
#include "migration/vmstate.h"
#include "edgpu_xxh64.h"

typedef struct EdgpuState EdgpuState;

typedef struct EdgpuFault {
    uint32_t kind;              /* EDGPU_FAULT_* */
    uint64_t addr;              /* the first that offends */
} EdgpuFault;

/* Where the bytes of one operand are, and which of them comes next. */
typedef struct EdgpuSpan {
    bool vram;
    uint32_t list_size;         /* bytes */
    uint8_t *list;              /* entries as in memory; made up if linear */
    uint32_t next;              /* offset in the list */
    uint64_t offset;            /* within that entry */
} EdgpuSpan;

typedef struct EdgpuCommand {
    uint32_t opcode;
    uint32_t flags;
    uint64_t src;
    uint64_t dst;
    uint64_t len;
    uint32_t src_nents;
    uint32_t dst_nents;
    uint64_t value;
    uint64_t reserved[2];
} EdgpuCommand;

typedef struct EdgpuEngine {
    EdgpuState *gpu;
    unsigned index;
    QEMUTimer timer;
    uint8_t *bounce;

    /* Registers */
    uint64_t ring_base;
    uint32_t ring_size;
    uint32_t head;
    uint32_t tail;
    uint64_t fence;
    EdgpuFault fault;
    uint32_t fault_slot;
    uint32_t fault_count;

    /* The command at head, from its start until it retires */
    bool started;
    bool backward;
    EdgpuCommand cmd;
    EdgpuSpan src;
    EdgpuSpan dst;
    uint64_t done;              /* bytes of cmd.len */
    EdgpuXxh64 hash;
} EdgpuEngine;

void edgpu_engine_init(EdgpuEngine *e, EdgpuState *gpu, unsigned index);
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

/*
 * What the device does for its engines. The functions that return bool set
 * *@fault when they return false.
 */

/* Is all of [addr, addr + len) within dma-bits? Touches nothing. */
bool edgpu_dma_reachable(EdgpuState *s, uint64_t addr, uint64_t len,
                         EdgpuFault *fault);

/*
 * The only way to system memory. Bytes below the faulting address have been
 * transferred, none from there on.
 */
bool edgpu_dma(EdgpuState *s, uint64_t addr, void *buf, uint64_t len,
               bool write, EdgpuFault *fault);

/* Is the function in D0? */
bool edgpu_powered(EdgpuState *s, EdgpuFault *fault);

/* The only way to VRAM: its bytes, or NULL if the range leaves it. */
uint8_t *edgpu_vram(EdgpuState *s, uint64_t offset, uint64_t len,
                    EdgpuFault *fault);
void edgpu_vram_written(EdgpuState *s, uint64_t offset, uint64_t len);

void edgpu_command_retired(EdgpuState *s);
void edgpu_fence_completed(EdgpuState *s, unsigned engine);
void edgpu_engine_faulted(EdgpuState *s, const EdgpuEngine *e);

#endif /* EDGPU_ENGINE_H */
