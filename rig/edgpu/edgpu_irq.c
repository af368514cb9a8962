/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * edgpu's interrupts and fault events: which are sent, and when.
 */
#include "qemu/osdep.h"
#include "qapi/qapi-events-edgpu.h"
#include "qemu/timer.h"
#include "hw/pci/msi.h"
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

    if (msix_enabled(pci) && edgpu_powered(s) &&
        edgpu_bus_master(s) && !edgpu_message_dropped(s, vector)) {
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
    /* A bit that is set already gets its message when it is enabled. */
    edgpu_notify_bits(s, s->irq_status & ~old);
}

void edgpu_fence_completed(EdgpuState *s, unsigned engine)
{
    edgpu_raise(s, edgpu_irq_bit(EDGPU_IRQ_FENCE_SHIFT, engine));
}

/* ---- Events for the host ---- */

/* So many at once, and one more after each interval. */
#define EDGPU_EVENT_BURST       100
#define EDGPU_EVENT_INTERVAL_NS (10 * SCALE_MS)

static bool edgpu_event_allowed(EdgpuEventLimit *limit)
{
    uint64_t now = qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL);
    uint64_t start = MAX(limit->charged_until, now);

    if (start - now > (EDGPU_EVENT_BURST - 1) * EDGPU_EVENT_INTERVAL_NS) {
        limit->suppressed++;
        return false;
    }
    limit->charged_until = start + EDGPU_EVENT_INTERVAL_NS;
    return true;
}

/* @e: the engine that has stopped; NULL for the display, and for a message. */
static void edgpu_report_fault(EdgpuState *s, const EdgpuEngine *e,
                               bool display, EdgpuFault fault)
{
    g_autofree char *path = NULL;
    uint64_t suppressed = s->fault_events.suppressed;

    edgpu_stats_count_fault(&s->stats, fault.kind);
    if (!edgpu_event_allowed(&s->fault_events)) {
        return;
    }
    path = object_get_canonical_path(OBJECT(s));
    qapi_event_send_edgpu_fault(path, e, e ? e->index : 0,
                                e, e ? e->fault_slot : 0, display, display,
                                fault.kind - 1, fault.addr, s->dma_bits,
                                suppressed, suppressed);
    s->fault_events.suppressed = 0;
}

void edgpu_engine_faulted(EdgpuState *s, const EdgpuEngine *e)
{
    trace_edgpu_fault(e->index, e->fault_slot, edgpu_fault_name(e->fault.kind),
                      e->fault.addr);
    edgpu_report_fault(s, e, false, e->fault);
    edgpu_raise(s, edgpu_irq_bit(EDGPU_IRQ_FAULT_SHIFT, e->index));
}

/* Nobody waits for a frame, so there is no message. */
void edgpu_display_faulted(EdgpuState *s)
{
    const EdgpuFault *fault = &s->display.fault;

    trace_edgpu_display_fault(edgpu_fault_name(fault->kind), fault->addr);
    edgpu_report_fault(s, NULL, true, *fault);
}

/* A message is a DMA write of 4 bytes. */
void edgpu_send_message(PCIDevice *pci, MSIMessage msg)
{
    EdgpuState *s = EDGPU(pci);
    EdgpuFault fault;

    if (!edgpu_bus_master(s)) {
        return;                 /* unmasked when it may not be sent */
    }
    if (!edgpu_within_limit(s, msg.address, sizeof(msg.data),
                            &s->stats.max_irq_address, &fault)) {
        trace_edgpu_irq_refused(msg.address);
        edgpu_report_fault(s, NULL, false, fault);
        return;
    }
    trace_edgpu_irq(msg.address, msg.data);
    s->stats.irqs++;
    s->send_message(pci, msg);
}
