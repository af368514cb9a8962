/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * edgpu: an emulated discrete GPU for testing memory management.
 *
 * The state of the device, and what its parts ask of each other, in this order:
 * statistics, DMA, lost VRAM, commands, engines, removal, failures on demand,
 * interrupts, display, power, registers, QMP commands. Each calls only what
 * comes before it; engines call back by EdgpuEngineOps. What the device does is in edgpu.md,
 * the layout that drivers see in edgpu_regs.h.
 */
#ifndef EDGPU_H
#define EDGPU_H

#include "hw/pci/pci_device.h"
#include "edgpu_display.h"
#include "edgpu_engine.h"
#include "edgpu_inject.h"
#include "edgpu_regs.h"
#include "edgpu_stats.h"

#define TYPE_EDGPU              "edgpu"
OBJECT_DECLARE_SIMPLE_TYPE(EdgpuState, EDGPU)

#define EDGPU_VECTORS           (EDGPU_VECTOR_ENGINE + EDGPU_MAX_ENGINES)

/* How many events of a kind the host is sent, whatever the guest does. */
typedef struct EdgpuEventLimit {
    uint64_t charged_until;     /* virtual time that the last ones have used */
    uint64_t suppressed;        /* since the last one that was sent */
} EdgpuEventLimit;

struct EdgpuState {
    PCIDevice parent_obj;

    MemoryRegion regs;
    MemoryRegion vram;
    MemoryRegion vram_bar;
    MemoryRegion aperture;      /* a part of vram, in vram_bar */
    MemoryRegion absent_vram;   /* what is there instead when it is dead */
    MemoryRegion absent_msix;
    QEMUBH *removal;
    QEMUTimer scrambler;
    VMChangeStateEntry *vm_state;

    /* Properties */
    uint32_t dma_bits;
    uint32_t engine_count;
    uint64_t vram_size;
    uint64_t aperture_size;
    bool has_display;
    EdgpuThrottle throttle;
    EdgpuPace pace;
    EdgpuInjector injector;

    /* Registers */
    uint32_t vram_generation;
    uint32_t scratch;
    uint32_t irq_status;
    uint32_t irq_enable;

    bool dead;                  /* until a cold reset */
    bool function_reset;        /* and not the machine's; only in between */
    uint64_t unscrambled;       /* bytes at the end of lost VRAM; saved as 0 */
    EdgpuEngine engine[EDGPU_MAX_ENGINES];
    EdgpuDisplay display;
    EdgpuStatistics stats;
    EdgpuEventLimit fault_events;
    MSITriggerFunc *send_message;       /* as the base class does it */
};

/* ---- edgpu_mmio.c ---- */

extern const MemoryRegionOps edgpu_regs_ops;

/* ---- edgpu_irq.c ---- */

void edgpu_raise(EdgpuState *s, uint32_t bits);
void edgpu_fence_completed(EdgpuState *s, unsigned engine);
void edgpu_engine_faulted(EdgpuState *s, const EdgpuEngine *e);
void edgpu_display_faulted(EdgpuState *s);
/* Every message of the function, the masked ones once they are unmasked. */
void edgpu_send_message(PCIDevice *pci, MSIMessage msg);
void edgpu_set_irq_enable(EdgpuState *s, uint32_t bits);

/* ---- edgpu_scramble.c ---- */

void edgpu_scramble_init(EdgpuState *s);
void edgpu_scramble_exit(EdgpuState *s);
/* Nothing may lead to VRAM from here on, until memory decoding is turned on. */
void edgpu_lose_vram(EdgpuState *s, const char *why);
/* Before anything leads to VRAM again. */
void edgpu_scramble_rest(EdgpuState *s);

/* ---- edgpu_power.c ---- */

void edgpu_reset_hold(Object *obj, ResetType type);
uint32_t edgpu_config_read(PCIDevice *pci, uint32_t addr, int len);
void edgpu_config_write(PCIDevice *pci, uint32_t addr, uint32_t value,
                        int len);

/* ---- edgpu_failure.c ---- */

/* Adds all of @failures to those that are pending, or sets @errp. */
void edgpu_add_failures(EdgpuState *s, const EdgpuFailureList *failures,
                        Error **errp);
/* Drops what is pending, and undoes what lasts. */
void edgpu_clear_failures(EdgpuState *s);
bool edgpu_command_starting(EdgpuState *s, EdgpuEngine *e, EdgpuFault *fault);
void edgpu_command_retiring(EdgpuState *s, EdgpuEngine *e);
/* Counts the message; true if it is not to be sent. */
bool edgpu_message_dropped(EdgpuState *s, unsigned vector);
bool edgpu_failure_valid(EdgpuState *s);

/* ---- edgpu_removal.c ---- */

void edgpu_removal_init(EdgpuState *s);
void edgpu_removal_exit(EdgpuState *s);
/* From now on it is as good as absent; @dead false undoes that. */
void edgpu_set_dead(EdgpuState *s, bool dead);
/* Is it in a port that reports hot-plug to its guest? */
bool edgpu_is_removable(EdgpuState *s, Error **errp);
/* Dead at once, and soon unplugged. */
void edgpu_remove(EdgpuState *s);
/* Undoes both, if it is still there. */
void edgpu_revive(EdgpuState *s);

#endif /* EDGPU_H */
