/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One command of an edgpu engine: read it, check all of it, move its bytes in
 * bounded steps, write its result.
 */
#ifndef EDGPU_COMMAND_H
#define EDGPU_COMMAND_H

#include "edgpu_regs.h"
#include "edgpu_span.h"
#include "edgpu_xxh64.h"

/* A slot of the ring. */
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

/* A command from its start until it retires. */
typedef struct EdgpuWork {
    EdgpuState *gpu;
    uint8_t *bounce;            /* EDGPU_UNIT bytes */
    bool started;
    bool backward;
    EdgpuCommand cmd;
    EdgpuSpan src;
    EdgpuSpan dst;
    uint64_t done;              /* bytes of cmd.len */
    EdgpuXxh64 hash;
} EdgpuWork;

void edgpu_work_init(EdgpuWork *w, EdgpuState *gpu);
void edgpu_work_exit(EdgpuWork *w);

/* Reads the slot at this DMA address into w->cmd. */
bool edgpu_work_fetch(EdgpuWork *w, uint64_t addr, EdgpuFault *fault);
/* After this, only a hole, the IOMMU or a change of the device can fault. */
bool edgpu_work_start(EdgpuWork *w, EdgpuFault *fault);
/* Moves one unit; *@len is its size. */
bool edgpu_work_move(EdgpuWork *w, uint64_t *len, EdgpuFault *fault);
/* All is moved: writes the result to memory, if there is one. */
bool edgpu_work_finish(EdgpuWork *w, EdgpuFault *fault);
void edgpu_work_clear(EdgpuWork *w);

/* Can what was loaded go on without leaving its bounds? */
bool edgpu_work_valid(const EdgpuWork *w);

extern const VMStateDescription vmstate_edgpu_work;

#endif /* EDGPU_COMMAND_H */
