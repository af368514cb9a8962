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

/*
 * The RAM that an access starts in, or NULL if it starts in none; *@len becomes
 * what of it leads there. No RAM goes away while the BQL is held.
 */
static MemoryRegion *edgpu_dma_ram(AddressSpace *as, uint64_t addr,
                                   uint64_t *len, bool write, hwaddr *offset)
{
    MemoryRegion *mr;
    hwaddr piece = *len;

    RCU_READ_LOCK_GUARD();
    mr = address_space_translate(as, addr, offset, &piece, write, edgpu_attrs);
    *len = piece;
    return memory_access_is_direct(mr, write, edgpu_attrs) ? mr : NULL;
}

/* For what has no bytes to copy from or to, but may answer all the same. */
static bool edgpu_dma_other(EdgpuState *s, uint64_t addr, void *buf,
                            uint64_t len, bool write, EdgpuFault *fault)
{
    PCIDevice *pci = PCI_DEVICE(s);
    AddressSpace *as = pci_get_address_space(pci);
    DMADirection direction = write ? DMA_DIRECTION_FROM_DEVICE
                                   : DMA_DIRECTION_TO_DEVICE;

    return pci_dma_rw(pci, addr, buf, len, direction,
                      edgpu_attrs) == MEMTX_OK ||
           edgpu_refuse(fault, edgpu_dma_fault_kind(as, addr, write), addr);
}

/* May be less than *@len, if the IOMMU has more to say. */
static bool edgpu_read_piece(EdgpuState *s, uint64_t addr, void *buf,
                             uint64_t *len, EdgpuFault *fault)
{
    hwaddr offset;
    MemoryRegion *mr = edgpu_dma_ram(pci_get_address_space(PCI_DEVICE(s)),
                                     addr, len, false, &offset);

    if (!mr) {
        return edgpu_dma_other(s, addr, buf, *len, false, fault);
    }
    memcpy(buf, (uint8_t *)memory_region_get_ram_ptr(mr) + offset, *len);
    return true;
}

/* As memmove(): @buf may be the very bytes that are written. */
static void edgpu_write_ram(AddressSpace *as, MemoryRegion *mr, hwaddr offset,
                            const void *buf, uint64_t len)
{
    void *ram = (uint8_t *)memory_region_get_ram_ptr(mr) + offset;

    memmove(ram, buf, len);
    /* The only way to invalidate what was translated from these bytes. */
    memory_region_ref(mr);
    address_space_unmap(as, ram, len, true, len);
}

/* All that can be known before the access; counts it. */
static bool edgpu_dma_allowed(EdgpuState *s, uint64_t addr, uint64_t len,
                              EdgpuFault *fault)
{
    PCIDevice *pci = PCI_DEVICE(s);

    if (!edgpu_dma_reachable(s, addr, len, fault) ||
        !edgpu_powered(s, fault)) {
        return false;
    }
    if (!(pci_get_word(pci->config + PCI_COMMAND) & PCI_COMMAND_MASTER)) {
        return edgpu_refuse(fault, EDGPU_FAULT_BUS_MASTER, addr);
    }
    edgpu_stats_count_access(&s->stats, addr + len - 1);
    return true;
}

static bool edgpu_dma_refused(bool write, const EdgpuFault *fault)
{
    trace_edgpu_dma_refused(edgpu_fault_name(fault->kind), write, fault->addr);
    return false;
}

static bool edgpu_read_pieces(EdgpuState *s, uint64_t addr, void *buf,
                              uint64_t len, EdgpuFault *fault)
{
    while (len) {
        uint64_t piece = len;

        if (!edgpu_read_piece(s, addr, buf, &piece, fault)) {
            return edgpu_dma_refused(false, fault);
        }
        s->stats.dma_read_bytes += piece;
        addr += piece;
        buf += piece;
        len -= piece;
    }
    return true;
}

bool edgpu_dma_read(EdgpuState *s, uint64_t addr, void *buf, uint64_t len,
                    EdgpuFault *fault)
{
    trace_edgpu_dma(false, addr, len);
    if (!edgpu_dma_allowed(s, addr, len, fault)) {
        return edgpu_dma_refused(false, fault);
    }
    return edgpu_read_pieces(s, addr, buf, len, fault);
}

const void *edgpu_dma_see(EdgpuState *s, uint64_t addr, void *buf,
                          uint64_t len, EdgpuFault *fault)
{
    uint64_t run = len;
    MemoryRegion *mr;
    hwaddr offset;

    trace_edgpu_dma(false, addr, len);
    if (!edgpu_dma_allowed(s, addr, len, fault)) {
        edgpu_dma_refused(false, fault);
        return NULL;
    }
    mr = edgpu_dma_ram(pci_get_address_space(PCI_DEVICE(s)), addr, &run, false,
                       &offset);
    if (!mr || run < len) {
        return edgpu_read_pieces(s, addr, buf, len, fault) ? buf : NULL;
    }
    s->stats.dma_read_bytes += len;
    return (uint8_t *)memory_region_get_ram_ptr(mr) + offset;
}

bool edgpu_dma_write(EdgpuState *s, uint64_t addr, const void *buf,
                     uint64_t len, void *bounce, EdgpuFault *fault)
{
    AddressSpace *as = pci_get_address_space(PCI_DEVICE(s));

    trace_edgpu_dma(true, addr, len);
    if (!edgpu_dma_allowed(s, addr, len, fault)) {
        return edgpu_dma_refused(true, fault);
    }
    while (len) {
        uint64_t piece = len;
        hwaddr offset;
        MemoryRegion *mr = edgpu_dma_ram(as, addr, &piece, true, &offset);

        if (piece < len && buf != bounce) {
            /* A later piece may be of what an earlier one overwrites. */
            buf = memcpy(bounce, buf, len);
        }
        if (mr) {
            edgpu_write_ram(as, mr, offset, buf, piece);
        } else if (!edgpu_dma_other(s, addr, (void *)buf, piece, true,
                                    fault)) {
            return edgpu_dma_refused(true, fault);
        }
        s->stats.dma_write_bytes += piece;
        addr += piece;
        buf += piece;
        bounce += piece;
        len -= piece;
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
    memory_region_set_dirty(&s->vram, offset, len);
}
