/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The only ways of an edgpu's engines to memory: every access is checked here.
 *
 * No access is clamped, wrapped or skipped; one that may not be made is a
 * fault.
 */
#include "qemu/osdep.h"
#include "edgpu.h"
#include "trace.h"

bool edgpu_refuse(EdgpuFault *fault, uint32_t kind, uint64_t addr)
{
    *fault = (EdgpuFault) { .kind = kind, .addr = addr };
    return false;
}

bool edgpu_dma_reachable(EdgpuState *s, uint64_t addr, uint64_t len,
                         EdgpuFault *fault)
{
    uint64_t limit = UINT64_MAX >> (64 - s->dma_bits);
    bool wraps = len - 1 > UINT64_MAX - addr;
    uint64_t last = wraps ? UINT64_MAX : addr + len - 1;

    edgpu_stats_count_request(&s->stats, last);
    if (addr > limit || wraps) {
        return edgpu_refuse(fault, EDGPU_FAULT_DMA_LIMIT, addr);
    }
    if (last > limit) {
        return edgpu_refuse(fault, EDGPU_FAULT_DMA_LIMIT, limit + 1);
    }
    return true;
}

/* No doorbells of other devices, or our own: only memory. */
static const MemTxAttrs edgpu_attrs = { .memory = 1 };

/*
 * An IOMMU that refuses and an empty address look alike in a MemTxResult:
 * ask the IOMMU, if @addr leads into one.
 */
static uint32_t edgpu_dma_fault_kind(AddressSpace *as, uint64_t addr,
                                     bool write)
{
    MemoryRegionSection section = memory_region_find(as->root, addr, 1);
    IOMMUMemoryRegion *iommu;
    uint32_t kind = EDGPU_FAULT_DMA_HOLE;

    if (!section.mr) {
        return kind;
    }
    iommu = memory_region_get_iommu(section.mr);
    if (iommu) {
        IOMMUMemoryRegionClass *imrc = IOMMU_MEMORY_REGION_GET_CLASS(iommu);
        IOMMUAccessFlags access = write ? IOMMU_WO : IOMMU_RO;
        IOMMUTLBEntry entry;

        entry = imrc->translate(iommu, section.offset_within_region, access,
                                memory_region_iommu_attrs_to_index(iommu,
                                                            edgpu_attrs));
        if (!(entry.perm & access)) {
            kind = EDGPU_FAULT_IOMMU;
        }
    }
    memory_region_unref(section.mr);
    return kind;
}

/* One contiguous piece at a time: pci_dma_rw() goes on behind what failed. */
static bool edgpu_dma_piece(EdgpuState *s, uint64_t addr, void *buf,
                            uint64_t *len, bool write, EdgpuFault *fault)
{
    PCIDevice *pci = PCI_DEVICE(s);
    AddressSpace *as = pci_get_address_space(pci);
    DMADirection direction = write ? DMA_DIRECTION_FROM_DEVICE
                                   : DMA_DIRECTION_TO_DEVICE;
    hwaddr piece = *len;

    WITH_RCU_READ_LOCK_GUARD() {
        hwaddr offset;

        address_space_translate(as, addr, &offset, &piece, write, edgpu_attrs);
    }
    if (pci_dma_rw(pci, addr, buf, piece, direction,
                   edgpu_attrs) != MEMTX_OK) {
        return edgpu_refuse(fault, edgpu_dma_fault_kind(as, addr, write),
                            addr);
    }
    *len = piece;
    return true;
}

static bool edgpu_dma_checked(EdgpuState *s, uint64_t addr, void *buf,
                              uint64_t len, bool write, EdgpuFault *fault)
{
    PCIDevice *pci = PCI_DEVICE(s);
    uint64_t *bytes = write ? &s->stats.dma_write_bytes
                            : &s->stats.dma_read_bytes;

    if (!edgpu_dma_reachable(s, addr, len, fault) ||
        !edgpu_powered(s, fault)) {
        return false;
    }
    if (!(pci_get_word(pci->config + PCI_COMMAND) & PCI_COMMAND_MASTER)) {
        return edgpu_refuse(fault, EDGPU_FAULT_BUS_MASTER, addr);
    }
    edgpu_stats_count_access(&s->stats, addr + len - 1);
    while (len) {
        uint64_t piece = len;

        if (!edgpu_dma_piece(s, addr, buf, &piece, write, fault)) {
            return false;
        }
        *bytes += piece;
        addr += piece;
        buf += piece;
        len -= piece;
    }
    return true;
}

bool edgpu_dma(EdgpuState *s, uint64_t addr, void *buf, uint64_t len,
               bool write, EdgpuFault *fault)
{
    trace_edgpu_dma(write, addr, len);
    if (edgpu_dma_checked(s, addr, buf, len, write, fault)) {
        return true;
    }
    trace_edgpu_dma_refused(edgpu_fault_name(fault->kind), write, fault->addr);
    return false;
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
    memory_region_set_dirty(&s->vram, offset, len);
}
