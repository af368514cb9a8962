/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * edgpu's registers, as a table: what each reads and what a write to it does.
 */
#include "qemu/osdep.h"
#include "qemu/bitops.h"
#include "qemu/log.h"
#include "edgpu.h"
#include "trace.h"

typedef enum EdgpuAccess {
    EDGPU_RO,
    EDGPU_RW,
    EDGPU_WO,                   /* reads 0 */
} EdgpuAccess;

/* @e is the engine of an engine register, NULL of any other. */
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
EDGPU_GETTER(get_displays, s->has_display)
EDGPU_GETTER(get_display_control, s->display.enabled ? EDGPU_DISP_ENABLE : 0)
EDGPU_GETTER(get_display_width, s->display.next.width)
EDGPU_GETTER(get_display_height, s->display.next.height)
EDGPU_GETTER(get_display_stride, s->display.next.stride)
EDGPU_GETTER(get_display_nents, s->display.next.nents)
EDGPU_GETTER(get_display_base, s->display.next.base)
EDGPU_GETTER(get_display_fault_kind, s->display.fault.kind)
EDGPU_GETTER(get_display_fault_addr, s->display.fault.addr)
EDGPU_GETTER(get_display_fault_count, s->display.fault_count)
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
    edgpu_set_irq_enable(s, value);
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

static void set_display_control(EdgpuState *s, EdgpuEngine *e, uint64_t value)
{
    edgpu_display_set_control(s, value);
}

static void set_display_width(EdgpuState *s, EdgpuEngine *e, uint64_t value)
{
    s->display.next.width = value;
}

static void set_display_height(EdgpuState *s, EdgpuEngine *e, uint64_t value)
{
    s->display.next.height = value;
}

static void set_display_stride(EdgpuState *s, EdgpuEngine *e, uint64_t value)
{
    s->display.next.stride = value;
}

static void set_display_nents(EdgpuState *s, EdgpuEngine *e, uint64_t value)
{
    s->display.next.nents = value;
}

static void set_display_base(EdgpuState *s, EdgpuEngine *e, uint64_t value)
{
    s->display.next.base = value;
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
    { "DISPLAYS", EDGPU_REG_DISPLAYS, 4, EDGPU_RO, 0, get_displays },
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

static const EdgpuReg edgpu_display_regs[] = {
    { "DISP_CONTROL", EDGPU_DISP_CONTROL, 4, EDGPU_RW, 0, get_display_control,
      set_display_control },
    { "DISP_WIDTH", EDGPU_DISP_WIDTH, 4, EDGPU_RW, 0, get_display_width,
      set_display_width },
    { "DISP_HEIGHT", EDGPU_DISP_HEIGHT, 4, EDGPU_RW, 0, get_display_height,
      set_display_height },
    { "DISP_STRIDE", EDGPU_DISP_STRIDE, 4, EDGPU_RW, 0, get_display_stride,
      set_display_stride },
    { "DISP_NENTS", EDGPU_DISP_NENTS, 4, EDGPU_RW, 0, get_display_nents,
      set_display_nents },
    { "DISP_FAULT_COUNT", EDGPU_DISP_FAULT_COUNT, 4, EDGPU_RO, 0,
      get_display_fault_count },
    { "DISP_BASE", EDGPU_DISP_BASE, 8, EDGPU_RW, 0, get_display_base,
      set_display_base },
    { "DISP_FAULT_KIND", EDGPU_DISP_FAULT_KIND, 4, EDGPU_RO, 0,
      get_display_fault_kind },
    { "DISP_FAULT_ADDR", EDGPU_DISP_FAULT_ADDR, 8, EDGPU_RO, 0,
      get_display_fault_addr },
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
    } else if (addr >= EDGPU_DISPLAY_BASE) {
        if (!s->has_display) {
            return NULL;
        }
        offset = addr - EDGPU_DISPLAY_BASE;
        reg = edgpu_find_reg(edgpu_display_regs, ARRAY_SIZE(edgpu_display_regs),
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

    if (s->dead) {
        return UINT64_MAX;
    }
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

    if (s->dead) {
        return;
    }
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
const MemoryRegionOps edgpu_regs_ops = {
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
