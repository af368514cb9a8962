/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * edgpu: an emulated discrete GPU for testing memory management.
 *
 * The PCI function: configuration space, BARs, registers, interrupts, resets,
 * properties, and the checks on every access that its engines make
 * (edgpu_engine.c). The datasheet is edgpu.md, the layout edgpu_regs.h.
 */
#include "qemu/osdep.h"
#include "qemu/bswap.h"
#include "qemu/log.h"
#include "qemu/module.h"
#include "qemu/units.h"
#include "qapi/error.h"
#include "qapi/qapi-events-edgpu.h"
#include "qapi/visitor.h"
#include "hw/pci/msix.h"
#include "hw/pci/pci_device.h"
#include "hw/pci/pcie.h"
#if __has_include("hw/core/qdev-properties.h")  /* from QEMU 11 on */
#include "hw/core/qdev-properties.h"
#else
#include "hw/qdev-properties.h"
#endif
#include "migration/vmstate.h"
#include "edgpu_engine.h"
#include "edgpu_regs.h"
#include "edgpu_stats.h"
#include "trace.h"

/* QEMU 10.1 made the class data const. */
#if QEMU_VERSION_MAJOR > 10 || \
    (QEMU_VERSION_MAJOR == 10 && QEMU_VERSION_MINOR >= 1)
#define EDGPU_CLASS_DATA const void
#define EDGPU_INTERFACES const InterfaceInfo
#else
#define EDGPU_CLASS_DATA void
#define EDGPU_INTERFACES InterfaceInfo
#endif

#define TYPE_EDGPU              "edgpu"
OBJECT_DECLARE_SIMPLE_TYPE(EdgpuState, EDGPU)

#define EDGPU_MIN_DMA_BITS      12
#define EDGPU_MAX_DMA_BITS      64
#define EDGPU_MIN_VRAM_SIZE     (1 * MiB)
#define EDGPU_MAX_VRAM_SIZE     (64 * GiB)
#define EDGPU_MIN_APERTURE_SIZE (64 * KiB)
#define EDGPU_VECTORS           (EDGPU_VECTOR_ENGINE + EDGPU_MAX_ENGINES)

struct EdgpuState {
    PCIDevice parent_obj;

    MemoryRegion regs;
    MemoryRegion vram;
    MemoryRegion aperture;

    /* Properties */
    uint32_t dma_bits;
    uint32_t engine_count;
    uint64_t vram_size;
    uint64_t aperture_size;

    /* Registers */
    uint32_t vram_generation;
    uint32_t scratch;
    uint32_t irq_status;
    uint32_t irq_enable;

    EdgpuEngine engine[EDGPU_MAX_ENGINES];
    EdgpuStats stats;
};

/* ---- Interrupts ---- */

static uint32_t edgpu_irq_bit(unsigned shift, unsigned engine)
{
    return EDGPU_BIT(shift + engine);
}

static void edgpu_notify(EdgpuState *s, unsigned vector)
{
    PCIDevice *pci = PCI_DEVICE(s);
    EdgpuFault ignored;

    if (msix_enabled(pci) && edgpu_powered(s, &ignored)) {
        trace_edgpu_irq(vector);
        s->stats.irqs++;
        msix_notify(pci, vector);
    }
}

/* One message for each vector that has one of @bits enabled. */
static void edgpu_notify_bits(EdgpuState *s, uint32_t bits)
{
    bits &= s->irq_enable;
    if (bits >> EDGPU_IRQ_FAULT_SHIFT) {
        edgpu_notify(s, EDGPU_VECTOR_FAULT);
    }
    for (unsigned i = 0; i < s->engine_count; i++) {
        if (bits & edgpu_irq_bit(EDGPU_IRQ_FENCE_SHIFT, i)) {
            edgpu_notify(s, EDGPU_VECTOR_ENGINE + i);
        }
    }
}

static void edgpu_raise(EdgpuState *s, uint32_t bit)
{
    s->irq_status |= bit;
    edgpu_notify_bits(s, bit);
}

/* ---- What the engines ask for ---- */

static bool edgpu_refuse(EdgpuFault *fault, uint32_t kind, uint64_t addr)
{
    *fault = (EdgpuFault) { .kind = kind, .addr = addr };
    return false;
}

bool edgpu_powered(EdgpuState *s, EdgpuFault *fault)
{
    PCIDevice *pci = PCI_DEVICE(s);
    uint16_t pmcsr = pci_get_word(pci->config + pci->pm_cap + PCI_PM_CTRL);

    return (pmcsr & PCI_PM_CTRL_STATE_MASK) == 0 ||
           edgpu_refuse(fault, EDGPU_FAULT_POWER, 0);
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

void edgpu_command_retired(EdgpuState *s)
{
    s->stats.commands++;
}

void edgpu_fence_completed(EdgpuState *s, unsigned engine)
{
    edgpu_raise(s, edgpu_irq_bit(EDGPU_IRQ_FENCE_SHIFT, engine));
}

void edgpu_engine_faulted(EdgpuState *s, const EdgpuEngine *e)
{
    g_autofree char *path = object_get_canonical_path(OBJECT(s));

    trace_edgpu_fault(e->index, e->fault_slot, edgpu_fault_name(e->fault.kind),
                      e->fault.addr);
    edgpu_stats_count_fault(&s->stats, e->fault.kind);
    qapi_event_send_edgpu_fault(path, e->index, e->fault_slot,
                                e->fault.kind - 1, e->fault.addr, s->dma_bits);
    edgpu_raise(s, edgpu_irq_bit(EDGPU_IRQ_FAULT_SHIFT, e->index));
}

/* ---- Registers ---- */

typedef enum EdgpuAccess {
    EDGPU_RO,
    EDGPU_RW,
    EDGPU_WO,                   /* reads 0 */
} EdgpuAccess;

/* @e is the engine of an engine register, NULL of a global one. */
typedef struct EdgpuReg {
    const char *name;
    uint16_t offset;
    uint8_t size;
    EdgpuAccess access;
    uint64_t reset;             /* the value of those without a get() */
    uint64_t (*get)(const EdgpuState *s, const EdgpuEngine *e);
    void (*set)(EdgpuState *s, EdgpuEngine *e, uint64_t value);
} EdgpuReg;

#define EDGPU_GETTER(fn, expr)                                          \
    static uint64_t fn(const EdgpuState *s, const EdgpuEngine *e)       \
    {                                                                   \
        return expr;                                                    \
    }

EDGPU_GETTER(get_engines, s->engine_count)
EDGPU_GETTER(get_dma_bits, s->dma_bits)
EDGPU_GETTER(get_vram_size, s->vram_size)
EDGPU_GETTER(get_aperture_size, s->aperture_size)
EDGPU_GETTER(get_vram_generation, s->vram_generation)
EDGPU_GETTER(get_scratch, s->scratch)
EDGPU_GETTER(get_irq_status, s->irq_status)
EDGPU_GETTER(get_irq_enable, s->irq_enable)
EDGPU_GETTER(get_ring_base, e->ring_base)
EDGPU_GETTER(get_ring_size, e->ring_size)
EDGPU_GETTER(get_head, e->head)
EDGPU_GETTER(get_tail, e->tail)
EDGPU_GETTER(get_status, edgpu_engine_status(e))
EDGPU_GETTER(get_fence, e->fence)
EDGPU_GETTER(get_fault_kind, e->fault.kind)
EDGPU_GETTER(get_fault_slot, e->fault_slot)
EDGPU_GETTER(get_fault_addr, e->fault.addr)
EDGPU_GETTER(get_fault_count, e->fault_count)

static void set_scratch(EdgpuState *s, EdgpuEngine *e, uint64_t value)
{
    s->scratch = value;
}

static void set_irq_status(EdgpuState *s, EdgpuEngine *e, uint64_t value)
{
    s->irq_status &= ~value;
}

static void set_irq_enable(EdgpuState *s, EdgpuEngine *e, uint64_t value)
{
    uint32_t engines = EDGPU_BIT(s->engine_count) - 1;
    uint32_t old = s->irq_enable;

    s->irq_enable = value & (engines << EDGPU_IRQ_FENCE_SHIFT |
                             engines << EDGPU_IRQ_FAULT_SHIFT);
    /* What is pending when it is enabled is told now, or never. */
    edgpu_notify_bits(s, s->irq_status & ~old);
}

static void set_ring_base(EdgpuState *s, EdgpuEngine *e, uint64_t value)
{
    edgpu_engine_set_ring_base(e, value);
}

static void set_ring_size(EdgpuState *s, EdgpuEngine *e, uint64_t value)
{
    edgpu_engine_set_ring_size(e, value);
}

static void set_control(EdgpuState *s, EdgpuEngine *e, uint64_t value)
{
    if (value & EDGPU_CONTROL_RESET) {
        edgpu_engine_reset(e);
    }
}

static void set_tail(EdgpuState *s, EdgpuEngine *e, uint64_t value)
{
    edgpu_engine_doorbell(e, value);
}

static const EdgpuReg edgpu_global_regs[] = {
    { "ID", EDGPU_REG_ID, 4, EDGPU_RO, EDGPU_ID },
    { "VERSION", EDGPU_REG_VERSION, 4, EDGPU_RO, EDGPU_VERSION },
    { "ENGINES", EDGPU_REG_ENGINES, 4, EDGPU_RO, 0, get_engines },
    { "DMA_BITS", EDGPU_REG_DMA_BITS, 4, EDGPU_RO, 0, get_dma_bits },
    { "VRAM_SIZE", EDGPU_REG_VRAM_SIZE, 8, EDGPU_RO, 0, get_vram_size },
    { "APERTURE_SIZE", EDGPU_REG_APERTURE_SIZE, 8, EDGPU_RO, 0,
      get_aperture_size },
    { "VRAM_GENERATION", EDGPU_REG_VRAM_GENERATION, 4, EDGPU_RO, 0,
      get_vram_generation },
    { "SCRATCH", EDGPU_REG_SCRATCH, 4, EDGPU_RW, 0, get_scratch, set_scratch },
    { "IRQ_STATUS", EDGPU_REG_IRQ_STATUS, 4, EDGPU_RW, 0, get_irq_status,
      set_irq_status },
    { "IRQ_ENABLE", EDGPU_REG_IRQ_ENABLE, 4, EDGPU_RW, 0, get_irq_enable,
      set_irq_enable },
};

static const EdgpuReg edgpu_engine_regs[] = {
    { "RING_BASE", EDGPU_ENG_RING_BASE, 8, EDGPU_RW, 0, get_ring_base,
      set_ring_base },
    { "RING_SIZE", EDGPU_ENG_RING_SIZE, 4, EDGPU_RW, 0, get_ring_size,
      set_ring_size },
    { "CONTROL", EDGPU_ENG_CONTROL, 4, EDGPU_WO, 0, NULL, set_control },
    { "HEAD", EDGPU_ENG_HEAD, 4, EDGPU_RO, 0, get_head },
    { "TAIL", EDGPU_ENG_TAIL, 4, EDGPU_RW, 0, get_tail, set_tail },
    { "STATUS", EDGPU_ENG_STATUS, 4, EDGPU_RO, 0, get_status },
    { "FENCE", EDGPU_ENG_FENCE, 8, EDGPU_RO, 0, get_fence },
    { "FAULT_KIND", EDGPU_ENG_FAULT_KIND, 4, EDGPU_RO, 0, get_fault_kind },
    { "FAULT_SLOT", EDGPU_ENG_FAULT_SLOT, 4, EDGPU_RO, 0, get_fault_slot },
    { "FAULT_ADDR", EDGPU_ENG_FAULT_ADDR, 8, EDGPU_RO, 0, get_fault_addr },
    { "FAULT_COUNT", EDGPU_ENG_FAULT_COUNT, 4, EDGPU_RO, 0, get_fault_count },
};

static const EdgpuReg *edgpu_find_reg(const EdgpuReg *regs, size_t count,
                                      hwaddr offset)
{
    for (size_t i = 0; i < count; i++) {
        if (offset - regs[i].offset < regs[i].size) {
            return &regs[i];
        }
    }
    return NULL;
}

/*
 * The register that an access hits, or NULL for a hole, an engine that isn't
 * there, or an access that isn't the register's 8 bytes or 4 of its bytes.
 * *@shift: where in the register it hits, in bits.
 */
static const EdgpuReg *edgpu_decode(EdgpuState *s, hwaddr addr, unsigned size,
                                    EdgpuEngine **e, unsigned *shift)
{
    const EdgpuReg *reg;
    hwaddr offset = addr;

    *e = NULL;
    if (addr < EDGPU_ENGINE_BASE) {
        reg = edgpu_find_reg(edgpu_global_regs, ARRAY_SIZE(edgpu_global_regs),
                             offset);
    } else {
        hwaddr n = (addr - EDGPU_ENGINE_BASE) / EDGPU_ENGINE_STRIDE;

        if (n >= s->engine_count) {
            return NULL;
        }
        *e = &s->engine[n];
        offset = (addr - EDGPU_ENGINE_BASE) % EDGPU_ENGINE_STRIDE;
        reg = edgpu_find_reg(edgpu_engine_regs, ARRAY_SIZE(edgpu_engine_regs),
                             offset);
    }
    if (!reg) {
        return NULL;
    }
    offset -= reg->offset;
    *shift = offset * 8;
    return (size == reg->size && offset == 0) ||
           (size == 4 && offset % 4 == 0) ? reg : NULL;
}

static uint64_t edgpu_reg_value(const EdgpuState *s, const EdgpuReg *reg,
                                const EdgpuEngine *e)
{
    return reg->get ? reg->get(s, e) : reg->reset;
}

static uint64_t edgpu_regs_read(void *opaque, hwaddr addr, unsigned size)
{
    EdgpuState *s = opaque;
    EdgpuEngine *e;
    unsigned shift;
    const EdgpuReg *reg = edgpu_decode(s, addr, size, &e, &shift);
    uint64_t value;

    if (!reg) {
        qemu_log_mask(LOG_GUEST_ERROR, "edgpu: bad read of %u bytes at 0x%"
                      HWADDR_PRIx "\n", size, addr);
        return UINT64_MAX;
    }
    value = edgpu_reg_value(s, reg, e) >> shift;
    trace_edgpu_reg_read(reg->name, addr, size, value);
    return value;
}

static void edgpu_regs_write(void *opaque, hwaddr addr, uint64_t value,
                             unsigned size)
{
    EdgpuState *s = opaque;
    EdgpuEngine *e;
    unsigned shift;
    const EdgpuReg *reg = edgpu_decode(s, addr, size, &e, &shift);

    if (!reg || reg->access == EDGPU_RO) {
        qemu_log_mask(LOG_GUEST_ERROR, "edgpu: bad write of %u bytes at 0x%"
                      HWADDR_PRIx "\n", size, addr);
        return;
    }
    trace_edgpu_reg_write(reg->name, addr, size, value);
    if (size < reg->size) {
        value = deposit64(edgpu_reg_value(s, reg, e), shift, size * 8, value);
    }
    reg->set(s, e, value);
}

/* Every access arrives as the guest made it: edgpu_decode() judges it. */
static const MemoryRegionOps edgpu_regs_ops = {
    .read = edgpu_regs_read,
    .write = edgpu_regs_write,
    .endianness = DEVICE_LITTLE_ENDIAN,
    .valid = {
        .min_access_size = 1, .max_access_size = 8, .unaligned = true,
    },
    .impl = {
        .min_access_size = 1, .max_access_size = 8, .unaligned = true,
    },
};

/* ---- Reset and power ---- */

/*
 * Content that no reader can mistake for its own: different in every word and
 * after every loss. Only at power-on is there nothing to lose, and VRAM zero:
 * filling it would cost every VM its memory and its start time.
 */
static void edgpu_lose_vram(EdgpuState *s, const char *why)
{
    uint64_t *word = memory_region_get_ram_ptr(&s->vram);
    uint64_t value;

    trace_edgpu_vram_lost(why, s->vram_generation + 1);
    if (s->vram_generation++ == 0) {
        return;
    }
    value = s->vram_generation * 0x9e3779b97f4a7c15ull;
    for (uint64_t i = 0; i < s->vram_size / sizeof(*word); i++) {
        word[i] = cpu_to_le64(value);
        value += 0xd1342543de82ef95ull;
    }
    memory_region_set_dirty(&s->vram, 0, s->vram_size);
}

static void edgpu_reset_hold(Object *obj, ResetType type)
{
    EdgpuState *s = EDGPU(obj);

    for (unsigned i = 0; i < s->engine_count; i++) {
        edgpu_engine_cold_reset(&s->engine[i]);
    }
    s->scratch = 0;
    s->irq_status = 0;
    s->irq_enable = 0;
    /* A snapshot brings VRAM and generation along. */
    if (type != RESET_TYPE_SNAPSHOT_LOAD) {
        edgpu_lose_vram(s, type == RESET_TYPE_WAKEUP ? "wakeup" : "cold");
    }
}

static bool edgpu_in_d3hot(PCIDevice *pci)
{
    uint16_t pmcsr = pci_get_word(pci->config + pci->pm_cap + PCI_PM_CTRL);

    return (pmcsr & PCI_PM_CTRL_STATE_MASK) == 3;
}

static void edgpu_config_write(PCIDevice *pci, uint32_t addr, uint32_t value,
                               int len)
{
    bool was_in_d3hot = edgpu_in_d3hot(pci);

    pci_default_write_config(pci, addr, value, len);
    if (pci->exp.exp_cap) {
        pcie_cap_flr_write_config(pci, addr, value, len);
    }
    /* No_Soft_Reset is clear: the way back from D3hot is a function reset. */
    if (was_in_d3hot && !edgpu_in_d3hot(pci)) {
        pci_device_reset(pci);
    }
}

/* ---- Birth and death ---- */

static bool edgpu_check_properties(EdgpuState *s, Error **errp)
{
    if (s->engine_count < 1 || s->engine_count > EDGPU_MAX_ENGINES) {
        error_setg(errp, "engines must be 1 to %u", EDGPU_MAX_ENGINES);
        return false;
    }
    if (s->vram_size < EDGPU_MIN_VRAM_SIZE ||
        s->vram_size > EDGPU_MAX_VRAM_SIZE || s->vram_size % MiB) {
        error_setg(errp, "vram-size must be a multiple of 1 MiB from "
                   "1 MiB to 64 GiB");
        return false;
    }
    if (!s->aperture_size) {
        s->aperture_size = pow2floor(s->vram_size);
    }
    if (s->aperture_size < EDGPU_MIN_APERTURE_SIZE ||
        s->aperture_size > s->vram_size || !is_power_of_2(s->aperture_size)) {
        error_setg(errp, "aperture-size must be a power of two from 64 KiB "
                   "to vram-size (0x%" PRIx64 ")", s->vram_size);
        return false;
    }
    return true;
}

static bool edgpu_init_bars(EdgpuState *s, Error **errp)
{
    PCIDevice *pci = PCI_DEVICE(s);

    memory_region_init_io(&s->regs, OBJECT(s), &edgpu_regs_ops, s,
                          "edgpu-regs", EDGPU_REGS_SIZE);
    if (!memory_region_init_ram(&s->vram, OBJECT(s), "edgpu-vram",
                                s->vram_size, errp)) {
        return false;
    }
    memory_region_init_alias(&s->aperture, OBJECT(s), "edgpu-aperture",
                             &s->vram, 0, s->aperture_size);
    pci_register_bar(pci, EDGPU_BAR_REGS, PCI_BASE_ADDRESS_SPACE_MEMORY,
                     &s->regs);
    pci_register_bar(pci, EDGPU_BAR_VRAM,
                     PCI_BASE_ADDRESS_SPACE_MEMORY |
                     PCI_BASE_ADDRESS_MEM_TYPE_64 |
                     PCI_BASE_ADDRESS_MEM_PREFETCH, &s->aperture);
    if (msix_init_exclusive_bar(pci, EDGPU_VECTORS, EDGPU_BAR_MSIX, errp)) {
        return false;
    }
    for (unsigned i = 0; i < EDGPU_VECTORS; i++) {
        msix_vector_use(pci, i);
    }
    return true;
}

static bool edgpu_init_capabilities(PCIDevice *pci, Error **errp)
{
    int pm = pci_pm_init(pci, 0, errp);

    if (pm < 0) {
        return false;
    }
    pci_set_word(pci->config + pm + PCI_PM_PMC, PCI_PM_CAP_VER_1_1);
    pci_set_word(pci->wmask + pm + PCI_PM_CTRL, PCI_PM_CTRL_STATE_MASK);
    if (pci_bus_is_express(pci_get_bus(pci))) {
        int ret = pcie_endpoint_cap_init(pci, 0);

        if (ret < 0) {
            error_setg_errno(errp, -ret, "no PCI Express capability");
            return false;
        }
        pcie_cap_flr_init(pci);
    }
    return true;
}

static void edgpu_exit(PCIDevice *pci)
{
    EdgpuState *s = EDGPU(pci);

    for (unsigned i = 0; i < s->engine_count; i++) {
        edgpu_engine_exit(&s->engine[i]);
    }
    msix_uninit_exclusive_bar(pci);
    if (pci->exp.exp_cap) {
        pcie_cap_exit(pci);
    }
}

static void edgpu_realize(PCIDevice *pci, Error **errp)
{
    EdgpuState *s = EDGPU(pci);

    if (!edgpu_check_properties(s, errp) || !edgpu_init_bars(s, errp)) {
        return;
    }
    if (!edgpu_init_capabilities(pci, errp)) {
        msix_uninit_exclusive_bar(pci);
        return;
    }
    for (unsigned i = 0; i < s->engine_count; i++) {
        edgpu_engine_init(&s->engine[i], s, i);
    }
}

/* ---- Properties ---- */

static void edgpu_get_dma_bits(Object *obj, Visitor *v, const char *name,
                               void *opaque, Error **errp)
{
    visit_type_uint32(v, name, &EDGPU(obj)->dma_bits, errp);
}

/* May change under commands in progress: it holds from the next access on. */
static void edgpu_set_dma_bits(Object *obj, Visitor *v, const char *name,
                               void *opaque, Error **errp)
{
    uint32_t bits;

    if (!visit_type_uint32(v, name, &bits, errp)) {
        return;
    }
    if (bits < EDGPU_MIN_DMA_BITS || bits > EDGPU_MAX_DMA_BITS) {
        error_setg(errp, "dma-bits must be %u to %u", EDGPU_MIN_DMA_BITS,
                   EDGPU_MAX_DMA_BITS);
        return;
    }
    trace_edgpu_dma_bits(bits);
    EDGPU(obj)->dma_bits = bits;
}

static void edgpu_reset_stats(Object *obj, bool value, Error **errp)
{
    if (value) {
        EDGPU(obj)->stats = (EdgpuStats) { };
    }
}

static void edgpu_init(Object *obj)
{
    EDGPU(obj)->dma_bits = 40;
    /* On a conventional bus it has no express capability, but 4 KiB to spare */
    PCI_DEVICE(obj)->cap_present |= QEMU_PCI_CAP_EXPRESS;
}

static const Property edgpu_properties[] = {
    DEFINE_PROP_UINT32("engines", EdgpuState, engine_count, 2),
    DEFINE_PROP_SIZE("vram-size", EdgpuState, vram_size, 64 * MiB),
    DEFINE_PROP_SIZE("aperture-size", EdgpuState, aperture_size, 0),
};

/* ---- Migration ---- */

static int edgpu_post_load(void *opaque, int version_id)
{
    EdgpuState *s = opaque;

    return s->dma_bits >= EDGPU_MIN_DMA_BITS &&
           s->dma_bits <= EDGPU_MAX_DMA_BITS ? 0 : -EINVAL;
}

static const VMStateDescription vmstate_edgpu = {
    .name = TYPE_EDGPU,
    .version_id = 1,
    .minimum_version_id = 1,
    .post_load = edgpu_post_load,
    .fields = (const VMStateField[]) {
        VMSTATE_PCI_DEVICE(parent_obj, EdgpuState),
        VMSTATE_MSIX(parent_obj, EdgpuState),
        VMSTATE_UINT32_EQUAL(engine_count, EdgpuState,
                             "engines differs from the source's"),
        VMSTATE_UINT64_EQUAL(aperture_size, EdgpuState,
                             "aperture-size differs from the source's"),
        VMSTATE_UINT32(dma_bits, EdgpuState),
        VMSTATE_UINT32(vram_generation, EdgpuState),
        VMSTATE_UINT32(scratch, EdgpuState),
        VMSTATE_UINT32(irq_status, EdgpuState),
        VMSTATE_UINT32(irq_enable, EdgpuState),
        VMSTATE_STRUCT_VARRAY_UINT32(engine, EdgpuState, engine_count, 1,
                                     vmstate_edgpu_engine, EdgpuEngine),
        VMSTATE_STRUCT(stats, EdgpuState, 1, vmstate_edgpu_stats, EdgpuStats),
        VMSTATE_END_OF_LIST()
    }
};

/* ---- Type ---- */

static void edgpu_class_init(ObjectClass *klass, EDGPU_CLASS_DATA *data)
{
    DeviceClass *dc = DEVICE_CLASS(klass);
    PCIDeviceClass *k = PCI_DEVICE_CLASS(klass);
    ResettableClass *rc = RESETTABLE_CLASS(klass);

    k->realize = edgpu_realize;
    k->exit = edgpu_exit;
    k->config_write = edgpu_config_write;
    k->vendor_id = EDGPU_PCI_VENDOR_ID;
    k->device_id = EDGPU_PCI_DEVICE_ID;
    k->revision = EDGPU_VERSION;
    k->class_id = PCI_CLASS_DISPLAY_OTHER;
    rc->phases.hold = edgpu_reset_hold;
    dc->desc = "Emulated discrete GPU for tests of memory management";
    dc->vmsd = &vmstate_edgpu;
    set_bit(DEVICE_CATEGORY_DISPLAY, dc->categories);
    device_class_set_props(dc, edgpu_properties);

    object_class_property_add(klass, "dma-bits", "uint32", edgpu_get_dma_bits,
                              edgpu_set_dma_bits, NULL, NULL);
    object_class_property_set_description(klass, "dma-bits",
        "Width of a reachable DMA address, 12 to 64; may change at run time");
    object_class_property_add_bool(klass, "stats-reset", NULL,
                                   edgpu_reset_stats);
    object_class_property_set_description(klass, "stats-reset",
        "Write true to set all stat-* properties to 0");
    edgpu_stats_add_properties(klass, offsetof(EdgpuState, stats));
}

static const TypeInfo edgpu_info = {
    .name = TYPE_EDGPU,
    .parent = TYPE_PCI_DEVICE,
    .instance_size = sizeof(EdgpuState),
    .instance_init = edgpu_init,
    .class_init = edgpu_class_init,
    .interfaces = (EDGPU_INTERFACES[]) {
        { INTERFACE_PCIE_DEVICE },
        { INTERFACE_CONVENTIONAL_PCI_DEVICE },
        { }
    },
};

static void edgpu_register_types(void)
{
    type_register_static(&edgpu_info);
}

type_init(edgpu_register_types)
