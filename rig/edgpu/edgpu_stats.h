/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What an edgpu device did, counted for the host and shown as QOM properties.
 */
#ifndef EDGPU_STATS_H
#define EDGPU_STATS_H

#include "qom/object.h"
#include "migration/vmstate.h"
#include "edgpu_regs.h"

typedef struct EdgpuStats {
    uint64_t commands;          /* retired */
    uint64_t irqs;              /* MSI-X messages that were sent */
    uint64_t max_irq_address;   /* of a message, sent or refused */
    uint64_t dma_read_bytes;    /* from system memory */
    uint64_t dma_write_bytes;
    uint64_t max_dma_address;   /* asked for, whether reachable or not */
    uint64_t dma_accesses;      /* units of data, slots, scatter lists */
    uint64_t dma_above_4g;      /* those that touch that or more */
    uint64_t dma_above_1t;
    uint64_t dma_above_256t;
    uint64_t injected;          /* failures that happened on demand */
    uint64_t slice_ns;          /* virtual time that engines had the BQL */
    uint64_t faults[EDGPU_FAULT_KINDS];     /* [0]: all kinds together */
} EdgpuStats;

/* An access was tried. */
void edgpu_stats_count_access(EdgpuStats *stats, uint64_t last_byte);
void edgpu_stats_count_fault(EdgpuStats *stats, uint32_t kind);

/* "dma-limit" and so on, as in QMP. */
const char *edgpu_fault_name(uint32_t kind);

/* @offset: of the EdgpuStats in the object. */
void edgpu_stats_add_properties(ObjectClass *klass, size_t offset);

extern const VMStateDescription vmstate_edgpu_stats;

#endif /* EDGPU_STATS_H */
