/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The only ways of an edgpu's engines to memory: every access is checked here.
 *
 * No access is clamped, wrapped or skipped; one that may not be made is a
 * fault.
 */
#include "qemu/osdep.h"
#include "system/dma.h"
#include "edgpu.h"
#include "trace.h"

bool edgpu_refuse(EdgpuFault *fault, uint32_t kind, uint64_t addr)
{
    *fault = (EdgpuFault) { .kind = kind, .addr = addr };
    return false;
}

bool edgpu_within_limit(EdgpuState *s, uint64_t addr, uint64_t len,
                        uint64_t *highest, EdgpuFault *fault)
{
    uint64_t limit = UINT64_MAX >> (64 - s->dma_bits);
    bool wraps = len - 1 > UINT64_MAX - addr;
    uint64_t last = wraps ? UINT64_MAX : addr + len - 1;

    *highest = MAX(*highest, last);
    if (addr > limit || wraps) {
        return edgpu_refuse(fault, EDGPU_FAULT_DMA_LIMIT, addr);
    }
    if (last > limit) {
        return edgpu_refuse(fault, EDGPU_FAULT_DMA_LIMIT, limit + 1);
    }
    return true;
}

bool edgpu_dma_reachable(EdgpuState *s, uint64_t addr, uint64_t len,
                         EdgpuFault *fault)
{
    return edgpu_within_limit(s, addr, len, &s->stats.max_dma_address, fault);
}

/* No doorbells of other devices, or our own: only memory. */
static const MemTxAttrs edgpu_attrs = { .memory = 1 };

/* What an access leads to, and for how many of its bytes that holds. */
typedef struct EdgpuTarget {
    AddressSpace *as;           /* behind all IOMMUs that were asked */
    hwaddr addr;                /* in @as */
    MemoryRegion *mr;
    hwaddr offset;              /* in @mr */
    bool readonly;
    uint64_t len;
} EdgpuTarget;

/* No region goes away while the BQL is held. */
static bool edgpu_find_region(EdgpuTarget *t)
{
    MemoryRegionSection section = memory_region_find(t->as->root, t->addr,
                                                     t->len);

    if (!section.mr) {
        return false;
    }
    memory_region_unref(section.mr);
    t->mr = section.mr;
    t->offset = section.offset_within_region;
    t->readonly = section.readonly;
    t->len = int128_get64(section.size);
    /* What is found may begin after a hole. */
    return section.offset_within_address_space == t->addr;
}

static bool edgpu_ask_iommu(EdgpuTarget *t, IOMMUMemoryRegion *iommu,
                            IOMMUAccessFlags access)
{
    IOMMUMemoryRegionClass *imrc = IOMMU_MEMORY_REGION_GET_CLASS(iommu);
    int index = memory_region_iommu_attrs_to_index(iommu, edgpu_attrs);
    IOMMUTLBEntry entry = imrc->translate(iommu, t->offset, access, index);
    hwaddr in_page = t->offset & entry.addr_mask;

    if (!(entry.perm & access)) {
        return false;
    }
    t->as = entry.target_as;
    t->addr = (entry.translated_addr & ~entry.addr_mask) | in_page;
    t->len = MIN(t->len - 1, entry.addr_mask - in_page) + 1;
    return true;
}

static bool edgpu_target_is_memory(const EdgpuTarget *t, bool write)
{
    return !(write && t->readonly) &&
           (memory_region_is_ram_device(t->mr) ||
            memory_access_is_direct(t->mr, write, edgpu_attrs));
}

/*
 * Asks every IOMMU on the way, once: the same answer decides whether the access
 * is made, where it goes, and what is reported if it is not made.  The guest
 * may change its tables at any time.
 */
static bool edgpu_translate(EdgpuState *s, uint64_t addr, uint64_t len,
                            bool write, EdgpuTarget *t, EdgpuFault *fault)
{
    IOMMUMemoryRegion *iommu;

    *t = (EdgpuTarget) {
        .as = pci_get_address_space(PCI_DEVICE(s)), .addr = addr, .len = len,
    };
    do {
        if (!edgpu_find_region(t)) {
            return edgpu_refuse(fault, EDGPU_FAULT_DMA_HOLE, addr);
        }
        iommu = memory_region_get_iommu(t->mr);
        if (iommu && !edgpu_ask_iommu(t, iommu, write ? IOMMU_WO : IOMMU_RO)) {
            return edgpu_refuse(fault, EDGPU_FAULT_IOMMU, addr);
        }
    } while (iommu);
    return edgpu_target_is_memory(t, write) ||
           edgpu_refuse(fault, EDGPU_FAULT_DMA_HOLE, addr);
}

static uint8_t *edgpu_target_ram(const EdgpuTarget *t)
{
    return (uint8_t *)memory_region_get_ram_ptr(t->mr) + t->offset;
}

/* RAM of a real device: it may want accesses of the right size. */
static bool edgpu_access_ram_device(EdgpuTarget *t, void *buf, bool write,
                                    uint64_t addr, EdgpuFault *fault)
{
    return address_space_rw(t->as, t->addr, edgpu_attrs, buf, t->len,
                            write) == MEMTX_OK ||
           edgpu_refuse(fault, EDGPU_FAULT_DMA_HOLE, addr);
}

static bool edgpu_read_target(EdgpuTarget *t, void *buf, uint64_t addr,
                              EdgpuFault *fault)
{
    if (memory_region_is_ram_device(t->mr)) {
        return edgpu_access_ram_device(t, buf, false, addr, fault);
    }
    memcpy(buf, edgpu_target_ram(t), t->len);
    return true;
}

/* The only way to invalidate what was translated from these bytes. */
static void edgpu_ram_written(MemoryRegion *mr, void *ram, uint64_t len)
{
    memory_region_ref(mr);
    address_space_unmap(&address_space_memory, ram, len, true, len);
}

/* As memmove(): @buf may be the very bytes that are written. */
static bool edgpu_write_target(EdgpuTarget *t, const void *buf, uint64_t addr,
                               EdgpuFault *fault)
{
    void *ram;

    if (memory_region_is_ram_device(t->mr)) {
        return edgpu_access_ram_device(t, (void *)buf, true, addr, fault);
    }
    ram = edgpu_target_ram(t);
    memmove(ram, buf, t->len);
    edgpu_ram_written(t->mr, ram, t->len);
    return true;
}

/* There is no other state than D0 and D3hot. */
bool edgpu_powered(EdgpuState *s)
{
    PCIDevice *pci = PCI_DEVICE(s);

    return !(pci_get_word(pci->config + pci->pm_cap + PCI_PM_CTRL) &
             PCI_PM_CTRL_STATE_MASK);
}

bool edgpu_bus_master(EdgpuState *s)
{
    return pci_get_word(PCI_DEVICE(s)->config + PCI_COMMAND) &
           PCI_COMMAND_MASTER;
}

/* All that can be known before the access; counts it. */
static bool edgpu_dma_allowed(EdgpuState *s, uint64_t addr, uint64_t len,
                              DMADirection direction, EdgpuFault *fault)
{
    if (!edgpu_dma_reachable(s, addr, len, fault)) {
        return false;
    }
    if (!edgpu_powered(s)) {
        return edgpu_refuse(fault, EDGPU_FAULT_POWER, 0);
    }
    if (!edgpu_bus_master(s)) {
        return edgpu_refuse(fault, EDGPU_FAULT_BUS_MASTER, addr);
    }
    edgpu_stats_count_access(&s->stats, addr + len - 1);
    /* Other processors see accesses in the order in which they are made. */
    dma_barrier(pci_get_address_space(PCI_DEVICE(s)), direction);
    return true;
}

static bool edgpu_dma_refused(bool write, const EdgpuFault *fault)
{
    trace_edgpu_dma_refused(edgpu_fault_name(fault->kind), write, fault->addr);
    return false;
}

/* @t: what the first of the bytes lead to. */
static bool edgpu_read_from(EdgpuState *s, EdgpuTarget *t, uint64_t addr,
                            void *buf, uint64_t len, EdgpuFault *fault)
{
    for (;;) {
        if (!edgpu_read_target(t, buf, addr, fault)) {
            return edgpu_dma_refused(false, fault);
        }
        s->stats.dma_read_bytes += t->len;
        addr += t->len;
        buf += t->len;
        len -= t->len;
        if (!len) {
            return true;
        }
        if (!edgpu_translate(s, addr, len, false, t, fault)) {
            return edgpu_dma_refused(false, fault);
        }
    }
}

static bool edgpu_begin_read(EdgpuState *s, uint64_t addr, uint64_t len,
                             EdgpuTarget *t, EdgpuFault *fault)
{
    trace_edgpu_dma(false, addr, len);
    return (edgpu_dma_allowed(s, addr, len, DMA_DIRECTION_TO_DEVICE, fault) &&
            edgpu_translate(s, addr, len, false, t, fault)) ||
           edgpu_dma_refused(false, fault);
}

bool edgpu_dma_read(EdgpuState *s, uint64_t addr, void *buf, uint64_t len,
                    EdgpuFault *fault)
{
    EdgpuTarget t;

    return edgpu_begin_read(s, addr, len, &t, fault) &&
           edgpu_read_from(s, &t, addr, buf, len, fault);
}

const void *edgpu_dma_map_read(EdgpuState *s, uint64_t addr, void *buf,
                               uint64_t len, EdgpuFault *fault)
{
    EdgpuTarget t;

    if (!edgpu_begin_read(s, addr, len, &t, fault)) {
        return NULL;
    }
    if (t.len < len || memory_region_is_ram_device(t.mr)) {
        return edgpu_read_from(s, &t, addr, buf, len, fault) ? buf : NULL;
    }
    s->stats.dma_read_bytes += len;
    return edgpu_target_ram(&t);
}

bool edgpu_dma_write(EdgpuState *s, uint64_t addr, const void *buf,
                     uint64_t len, void *bounce, EdgpuFault *fault)
{
    trace_edgpu_dma(true, addr, len);
    if (!edgpu_dma_allowed(s, addr, len, DMA_DIRECTION_FROM_DEVICE, fault)) {
        return edgpu_dma_refused(true, fault);
    }
    while (len) {
        EdgpuTarget t;

        if (!edgpu_translate(s, addr, len, true, &t, fault)) {
            return edgpu_dma_refused(true, fault);
        }
        if (t.len < len && buf != bounce) {
            /* A later piece may be of what an earlier one overwrites. */
            buf = memcpy(bounce, buf, len);
        }
        if (!edgpu_write_target(&t, buf, addr, fault)) {
            return edgpu_dma_refused(true, fault);
        }
        s->stats.dma_write_bytes += t.len;
        addr += t.len;
        buf += t.len;
        bounce += t.len;
        len -= t.len;
    }
    return true;
}

uint8_t *edgpu_vram(EdgpuState *s, uint64_t offset, uint64_t len,
                    EdgpuFault *fault)
{
    if (offset > s->vram_size || len > s->vram_size - offset) {
        edgpu_refuse(fault, EDGPU_FAULT_VRAM_RANGE, MAX(offset, s->vram_size));
        return NULL;
    }
    return (uint8_t *)memory_region_get_ram_ptr(&s->vram) + offset;
}

void edgpu_vram_written(EdgpuState *s, uint64_t offset, uint64_t len)
{
    edgpu_ram_written(&s->vram,
                      (uint8_t *)memory_region_get_ram_ptr(&s->vram) + offset,
                      len);
}
