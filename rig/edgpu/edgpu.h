/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * edgpu: an emulated discrete GPU for testing memory management.
 *
 * The state of the device, and what its parts ask of each other. What the
 * device does is in edgpu.md, the layout that drivers see in edgpu_regs.h.
 */
#ifndef EDGPU_H
#define EDGPU_H

#include "hw/pci/pci_device.h"
#include "edgpu_engine.h"
#include "edgpu_inject.h"
#include "edgpu_regs.h"
#include "edgpu_stats.h"

#define TYPE_EDGPU              "edgpu"
OBJECT_DECLARE_SIMPLE_TYPE(EdgpuState, EDGPU)

#define EDGPU_VECTORS           (EDGPU_VECTOR_ENGINE + EDGPU_MAX_ENGINES)

struct EdgpuState {
    PCIDevice parent_obj;

    MemoryRegion regs;
    MemoryRegion vram;
    MemoryRegion vram_bar;
    MemoryRegion aperture;      /* a part of vram, in vram_bar */
    MemoryRegion void_vram;     /* what is there instead when it is dead */
    MemoryRegion void_msix;
    QEMUBH *removal;

    /* Properties */
    uint32_t dma_bits;
    uint32_t engine_count;
    uint64_t vram_size;
    uint64_t aperture_size;
    EdgpuThrottle throttle;
    EdgpuInjector injector;

    /* Registers */
    uint32_t vram_generation;
    uint32_t scratch;
    uint32_t irq_status;
    uint32_t irq_enable;

    bool dead;                  /* until a cold reset */
    bool function_reset;        /* and not the machine's; only in between */
    EdgpuEngine engine[EDGPU_MAX_ENGINES];
    EdgpuStats stats;
};

/* ---- edgpu_mmio.c ---- */

extern const MemoryRegionOps edgpu_regs_ops;

/* ---- edgpu_irq.c ---- */

void edgpu_raise(EdgpuState *s, uint32_t bits);
void edgpu_set_irq_enable(EdgpuState *s, uint32_t bits);

/* ---- edgpu_power.c ---- */

void edgpu_reset_hold(Object *obj, ResetType type);
uint32_t edgpu_config_read(PCIDevice *pci, uint32_t addr, int len);
void edgpu_config_write(PCIDevice *pci, uint32_t addr, uint32_t value,
                        int len);

/* ---- edgpu_failure.c ---- */

void edgpu_failure_init(EdgpuState *s);
void edgpu_failure_exit(EdgpuState *s);
void edgpu_failure_add_properties(ObjectClass *klass);
/* From now on it is as good as absent; @dead false undoes that. */
void edgpu_set_dead(EdgpuState *s, bool dead);
/* Counts the message, and says whether it is to be lost. */
bool edgpu_message_lost(EdgpuState *s, unsigned vector);
bool edgpu_failure_valid(EdgpuState *s);

#endif /* EDGPU_H */
