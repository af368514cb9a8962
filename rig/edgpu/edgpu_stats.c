/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What an edgpu device did, counted for the host.
 */
#include "qemu/osdep.h"
#include "qemu/units.h"
#include "edgpu_stats.h"

QEMU_BUILD_BUG_ON(EDGPU_FAULT_KIND__MAX != EDGPU_FAULT_KINDS - 1);
QEMU_BUILD_BUG_ON(EDGPU_FAULT_KIND_DMA_LIMIT != EDGPU_FAULT_DMA_LIMIT - 1);
QEMU_BUILD_BUG_ON(EDGPU_FAULT_KIND_DMA_HOLE != EDGPU_FAULT_DMA_HOLE - 1);
QEMU_BUILD_BUG_ON(EDGPU_FAULT_KIND_IOMMU != EDGPU_FAULT_IOMMU - 1);
QEMU_BUILD_BUG_ON(EDGPU_FAULT_KIND_BUS_MASTER != EDGPU_FAULT_BUS_MASTER - 1);
QEMU_BUILD_BUG_ON(EDGPU_FAULT_KIND_POWER != EDGPU_FAULT_POWER - 1);
QEMU_BUILD_BUG_ON(EDGPU_FAULT_KIND_VRAM_RANGE != EDGPU_FAULT_VRAM_RANGE - 1);
QEMU_BUILD_BUG_ON(EDGPU_FAULT_KIND_BAD_COMMAND != EDGPU_FAULT_BAD_COMMAND - 1);
QEMU_BUILD_BUG_ON(EDGPU_FAULT_KIND_RING_OVERRUN != EDGPU_FAULT_RING_OVERRUN - 1);
QEMU_BUILD_BUG_ON(EDGPU_FAULT_KIND_HARDWARE != EDGPU_FAULT_HARDWARE - 1);

void edgpu_stats_count_access(EdgpuStatistics *stats, uint64_t last_byte)
{
    stats->dma_accesses++;
    stats->dma_above_4g += last_byte >= 4 * GiB;
    stats->dma_above_1t += last_byte >= 1 * TiB;
    stats->dma_above_256t += last_byte >= 256 * TiB;
}

static const size_t fault_counters[EDGPU_FAULT_KINDS] = {
    [EDGPU_FAULT_DMA_LIMIT] =
        offsetof(EdgpuStatistics, faults_dma_limit),
    [EDGPU_FAULT_DMA_HOLE] =
        offsetof(EdgpuStatistics, faults_dma_hole),
    [EDGPU_FAULT_IOMMU] =
        offsetof(EdgpuStatistics, faults_iommu),
    [EDGPU_FAULT_BUS_MASTER] =
        offsetof(EdgpuStatistics, faults_bus_master),
    [EDGPU_FAULT_POWER] =
        offsetof(EdgpuStatistics, faults_power),
    [EDGPU_FAULT_VRAM_RANGE] =
        offsetof(EdgpuStatistics, faults_vram_range),
    [EDGPU_FAULT_BAD_COMMAND] =
        offsetof(EdgpuStatistics, faults_bad_command),
    [EDGPU_FAULT_RING_OVERRUN] =
        offsetof(EdgpuStatistics, faults_ring_overrun),
    [EDGPU_FAULT_HARDWARE] =
        offsetof(EdgpuStatistics, faults_hardware),
};

void edgpu_stats_count_fault(EdgpuStatistics *stats, uint32_t kind)
{
    stats->faults++;
    (*(uint64_t *)((char *)stats + fault_counters[kind]))++;
}

const char *edgpu_fault_name(uint32_t kind)
{
    return EdgpuFaultKind_str(kind - 1);
}

const VMStateDescription vmstate_edgpu_stats = {
    .name = "edgpu-stats",
    .version_id = 3,
    .minimum_version_id = 3,
    .fields = (const VMStateField[]) {
        VMSTATE_UINT64(commands, EdgpuStatistics),
        VMSTATE_UINT64(irqs, EdgpuStatistics),
        VMSTATE_UINT64(max_irq_address, EdgpuStatistics),
        VMSTATE_UINT64(dma_read_bytes, EdgpuStatistics),
        VMSTATE_UINT64(dma_write_bytes, EdgpuStatistics),
        VMSTATE_UINT64(max_dma_address, EdgpuStatistics),
        VMSTATE_UINT64(dma_accesses, EdgpuStatistics),
        VMSTATE_UINT64(dma_above_4g, EdgpuStatistics),
        VMSTATE_UINT64(dma_above_1t, EdgpuStatistics),
        VMSTATE_UINT64(dma_above_256t, EdgpuStatistics),
        VMSTATE_UINT64(injected, EdgpuStatistics),
        VMSTATE_UINT64(slice_ns, EdgpuStatistics),
        VMSTATE_UINT64(faults, EdgpuStatistics),
        VMSTATE_UINT64(faults_dma_limit, EdgpuStatistics),
        VMSTATE_UINT64(faults_dma_hole, EdgpuStatistics),
        VMSTATE_UINT64(faults_iommu, EdgpuStatistics),
        VMSTATE_UINT64(faults_bus_master, EdgpuStatistics),
        VMSTATE_UINT64(faults_power, EdgpuStatistics),
        VMSTATE_UINT64(faults_vram_range, EdgpuStatistics),
        VMSTATE_UINT64(faults_bad_command, EdgpuStatistics),
        VMSTATE_UINT64(faults_ring_overrun, EdgpuStatistics),
        VMSTATE_UINT64(faults_hardware, EdgpuStatistics),
        VMSTATE_END_OF_LIST()
    }
};
