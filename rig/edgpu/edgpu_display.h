/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An edgpu's display: shows a frame that is in system memory, and reads it by
 * DMA as the engines do, whenever somebody looks.
 */
#ifndef EDGPU_DISPLAY_H
#define EDGPU_DISPLAY_H

#include "migration/vmstate.h"
#include "ui/console.h"
#include "edgpu_dma.h"

typedef struct EdgpuFrame {
    uint64_t base;
    uint32_t nents;
    uint32_t width;
    uint32_t height;
    uint32_t stride;
} EdgpuFrame;

typedef struct EdgpuDisplay {
    QemuConsole *console;

    /* Registers */
    bool enabled;
    EdgpuFrame next;            /* as they were written */
    EdgpuFrame frame;           /* as they were when CONTROL was written */
    EdgpuFault fault;
    uint32_t fault_count;
} EdgpuDisplay;

/* Only of a device that has one. */
void edgpu_display_init(EdgpuState *s);
void edgpu_display_exit(EdgpuState *s);

void edgpu_display_reset(EdgpuState *s);
/* Takes over what the registers say. */
void edgpu_display_set_control(EdgpuState *s, uint32_t control);

extern const VMStateDescription vmstate_edgpu_display;

#endif /* EDGPU_DISPLAY_H */
