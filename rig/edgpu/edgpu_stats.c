/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What an edgpu device did, counted for the host and shown as QOM properties.
 */
#include "qemu/osdep.h"
#include "qemu/units.h"
#include "qapi/qapi-types-edgpu.h"
#include "qapi/visitor.h"
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

void edgpu_stats_count_access(EdgpuStats *stats, uint64_t last_byte)
{
    stats->dma_accesses++;
    stats->dma_above_4g += last_byte >= 4 * GiB;
    stats->dma_above_1t += last_byte >= 1 * TiB;
    stats->dma_above_256t += last_byte >= 256 * TiB;
}

void edgpu_stats_count_fault(EdgpuStats *stats, uint32_t kind)
{
    stats->faults[0]++;
    stats->faults[kind]++;
}

const char *edgpu_fault_name(uint32_t kind)
{
    return EdgpuFaultKind_str(kind - 1);
}

static void stats_get(Object *obj, Visitor *v, const char *name, void *opaque,
                      Error **errp)
{
    uint64_t value = *(uint64_t *)((char *)obj + (uintptr_t)opaque);

    visit_type_uint64(v, name, &value, errp);
}

static void stats_add(ObjectClass *klass, const char *name,
                      const char *description, size_t offset)
{
    g_autofree char *full_name = g_strconcat("stat-", name, NULL);

    object_class_property_add(klass, full_name, "uint64", stats_get, NULL,
                              NULL, (void *)(uintptr_t)offset);
    object_class_property_set_description(klass, full_name, description);
}

void edgpu_stats_add_properties(ObjectClass *klass, size_t offset)
{
    static const struct {
        const char *name;
        const char *description;
        size_t offset;
    } stats[] = {
        { "commands", "Commands retired",
          offsetof(EdgpuStats, commands) },
        { "irqs", "MSI-X messages sent",
          offsetof(EdgpuStats, irqs) },
        { "max-irq-address", "Highest address of a message, even if refused",
          offsetof(EdgpuStats, max_irq_address) },
        { "dma-read-bytes", "Bytes read from system memory",
          offsetof(EdgpuStats, dma_read_bytes) },
        { "dma-write-bytes", "Bytes written to system memory",
          offsetof(EdgpuStats, dma_write_bytes) },
        { "max-dma-address", "Highest DMA address asked for, even if refused",
          offsetof(EdgpuStats, max_dma_address) },
        { "dma-accesses", "DMA accesses",
          offsetof(EdgpuStats, dma_accesses) },
        { "dma-above-4g", "DMA accesses at or above 4 GiB",
          offsetof(EdgpuStats, dma_above_4g) },
        { "dma-above-1t", "DMA accesses at or above 1 TiB",
          offsetof(EdgpuStats, dma_above_1t) },
        { "dma-above-256t", "DMA accesses at or above 256 TiB",
          offsetof(EdgpuStats, dma_above_256t) },
        { "injected", "Injections that happened",
          offsetof(EdgpuStats, injected) },
        { "slice-ns", "Virtual time that engines kept the main loop waiting",
          offsetof(EdgpuStats, slice_ns) },
        { "faults", "Faults of all kinds",
          offsetof(EdgpuStats, faults) },
    };

    for (int i = 0; i < ARRAY_SIZE(stats); i++) {
        stats_add(klass, stats[i].name, stats[i].description,
                  offset + stats[i].offset);
    }
    for (uint32_t kind = 1; kind < EDGPU_FAULT_KINDS; kind++) {
        g_autofree char *name = g_strconcat("faults-", edgpu_fault_name(kind),
                                            NULL);

        stats_add(klass, name, "Faults of this kind",
                  offset + offsetof(EdgpuStats, faults) +
                  kind * sizeof(uint64_t));
    }
}

const VMStateDescription vmstate_edgpu_stats = {
    .name = "edgpu-stats",
    .version_id = 3,
    .minimum_version_id = 3,
    .fields = (const VMStateField[]) {
        VMSTATE_UINT64(commands, EdgpuStats),
        VMSTATE_UINT64(irqs, EdgpuStats),
        VMSTATE_UINT64(max_irq_address, EdgpuStats),
        VMSTATE_UINT64(dma_read_bytes, EdgpuStats),
        VMSTATE_UINT64(dma_write_bytes, EdgpuStats),
        VMSTATE_UINT64(max_dma_address, EdgpuStats),
        VMSTATE_UINT64(dma_accesses, EdgpuStats),
        VMSTATE_UINT64(dma_above_4g, EdgpuStats),
        VMSTATE_UINT64(dma_above_1t, EdgpuStats),
        VMSTATE_UINT64(dma_above_256t, EdgpuStats),
        VMSTATE_UINT64(injected, EdgpuStats),
        VMSTATE_UINT64(slice_ns, EdgpuStats),
        VMSTATE_UINT64_ARRAY(faults, EdgpuStats, EDGPU_FAULT_KINDS),
        VMSTATE_END_OF_LIST()
    }
};
