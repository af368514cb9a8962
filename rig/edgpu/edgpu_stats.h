/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What an edgpu device did, counted for the host: the members are described in
 * edgpu.qapi.
 */
#ifndef EDGPU_STATS_H
#define EDGPU_STATS_H

#include "migration/vmstate.h"
#include "qapi/qapi-types-edgpu.h"
#include "edgpu_regs.h"

/* An access was tried. */
void edgpu_stats_count_access(EdgpuStatistics *stats, uint64_t last_byte);
void edgpu_stats_count_fault(EdgpuStatistics *stats, uint32_t kind);

/* "dma-limit" and so on, as in QMP. */
const char *edgpu_fault_name(uint32_t kind);

extern const VMStateDescription vmstate_edgpu_stats;

#endif /* EDGPU_STATS_H */
