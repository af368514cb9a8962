/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * edgpu failing on demand: what each injection does when its time has come.
 */
#include "qemu/osdep.h"
#include "qapi/qapi-events-edgpu.h"
#include "edgpu.h"
#include "trace.h"

/* ---- What happens ---- */

static void edgpu_flip(EdgpuState *s, const EdgpuInjection *due)
{
    uint8_t *vram = memory_region_get_ram_ptr(&s->vram);

    edgpu_scramble_rest(s);
    vram[due->offset] ^= 1 << due->bit;
    edgpu_vram_written(s, due->offset, 1);
}

static void edgpu_report_injection(EdgpuState *s, const EdgpuInjection *due)
{
    g_autofree char *path = object_get_canonical_path(OBJECT(s));
    g_autoptr(EdgpuFailure) failure = edgpu_injection_describe(due);

    trace_edgpu_injected(EdgpuFailureKind_str(due->kind), due->index, due->ns,
                         due->offset, due->bit);
    s->stats.injected++;
    qapi_event_send_edgpu_injected(path, failure);
}

static bool edgpu_injection_needs_engine(const EdgpuInjection *due)
{
    return due->kind == EDGPU_FAILURE_KIND_HANG ||
           due->kind == EDGPU_FAILURE_KIND_ERROR ||
           due->kind == EDGPU_FAILURE_KIND_DELAY;
}

/* @e: the engine it happens to; NULL where none is meant. */
static bool edgpu_inject(EdgpuState *s, EdgpuEngine *e,
                         const EdgpuInjection *due, EdgpuFault *fault)
{
    if (s->dead && edgpu_injection_needs_engine(due)) {
        return true;            /* its engine died of an earlier one */
    }
    edgpu_report_injection(s, due);
    switch (due->kind) {
    case EDGPU_FAILURE_KIND_HANG:
        e->hung = true;
        break;
    case EDGPU_FAILURE_KIND_ERROR:
        return edgpu_refuse(fault, EDGPU_FAULT_HARDWARE, 0);
    case EDGPU_FAILURE_KIND_DELAY:
        e->delay_ns = due->ns;
        break;
    case EDGPU_FAILURE_KIND_FLIP:
        edgpu_flip(s, due);
        break;
    case EDGPU_FAILURE_KIND_UNPLUG:
        edgpu_remove(s);
        break;
    case EDGPU_FAILURE_KIND_DEAD:
        edgpu_set_dead(s, true);
        break;
    }
    return true;
}

bool edgpu_command_starting(EdgpuState *s, EdgpuEngine *e, EdgpuFault *fault)
{
    EdgpuInjection due;
    bool ok = true;

    edgpu_injector_count(&s->injector, EDGPU_EVENT_START, e->index);
    while (edgpu_injector_take(&s->injector, EDGPU_EVENT_START, &due)) {
        ok &= edgpu_inject(s, e, &due, fault);
    }
    /* A device that died has neither engines nor faults. */
    return ok || s->dead;
}

void edgpu_command_retiring(EdgpuState *s, EdgpuEngine *e)
{
    EdgpuInjection due;

    s->stats.commands++;
    edgpu_injector_count(&s->injector, EDGPU_EVENT_RETIRE, e->index);
    while (edgpu_injector_take(&s->injector, EDGPU_EVENT_RETIRE, &due)) {
        edgpu_inject(s, e, &due, NULL);
    }
}

bool edgpu_message_dropped(EdgpuState *s, unsigned vector)
{
    EdgpuInjection due;
    bool dropped = false;

    edgpu_injector_count(&s->injector, EDGPU_EVENT_MESSAGE, vector);
    while (edgpu_injector_take(&s->injector, EDGPU_EVENT_MESSAGE, &due)) {
        edgpu_report_injection(s, &due);
        dropped = true;
    }
    return dropped;
}

/* ---- What is pending ---- */

static EdgpuInjectLimits edgpu_inject_limits(const EdgpuState *s)
{
    return (EdgpuInjectLimits) {
        .engines = s->engine_count,
        .vectors = EDGPU_VECTOR_ENGINE + s->engine_count,
        .vram_size = s->vram_size,
    };
}

void edgpu_add_failures(EdgpuState *s, const EdgpuFailureList *failures,
                        Error **errp)
{
    EdgpuInjectLimits limits = edgpu_inject_limits(s);
    EdgpuInjector with = s->injector;
    EdgpuInjection due;

    if (!edgpu_injector_add(&with, failures, &limits, errp)) {
        return;
    }
    if (edgpu_injector_has(&with, EDGPU_FAILURE_KIND_UNPLUG) &&
        !edgpu_is_removable(s, errp)) {
        return;
    }
    s->injector = with;
    while (edgpu_injector_take(&s->injector, EDGPU_EVENT_NOW, &due)) {
        edgpu_inject(s, NULL, &due, NULL);
    }
}

void edgpu_clear_failures(EdgpuState *s)
{
    s->injector.count = 0;
    if (s->dead) {
        edgpu_revive(s);
        /* Configuration space, too: as after power-on. */
        pci_device_reset(PCI_DEVICE(s));
    }
}

bool edgpu_failure_valid(EdgpuState *s)
{
    EdgpuInjectLimits limits = edgpu_inject_limits(s);

    return edgpu_injector_valid(&s->injector, &limits);
}
