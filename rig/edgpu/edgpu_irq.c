/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * edgpu's interrupts and faults: who is told of what, and how.
 */
#include "qemu/osdep.h"
#include "qapi/qapi-events-edgpu.h"
#include "hw/pci/msix.h"
#include "edgpu.h"
#include "trace.h"

static uint32_t edgpu_irq_bit(unsigned shift, unsigned engine)
{
    return EDGPU_BIT(shift + engine);
}

static void edgpu_notify(EdgpuState *s, unsigned vector)
{
    PCIDevice *pci = PCI_DEVICE(s);
    EdgpuFault ignored;

    if (msix_enabled(pci) && edgpu_powered(s, &ignored) &&
        !edgpu_message_lost(s, vector)) {
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

void edgpu_raise(EdgpuState *s, uint32_t bits)
{
    s->irq_status |= bits;
    edgpu_notify_bits(s, bits);
}

void edgpu_set_irq_enable(EdgpuState *s, uint32_t bits)
{
    uint32_t engines = EDGPU_BIT(s->engine_count) - 1;
    uint32_t old = s->irq_enable;

    s->irq_enable = bits & (engines << EDGPU_IRQ_FENCE_SHIFT |
                            engines << EDGPU_IRQ_FAULT_SHIFT);
    /* What is pending when it is enabled is told now, or never. */
    edgpu_notify_bits(s, s->irq_status & ~old);
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
