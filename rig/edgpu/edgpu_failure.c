/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * edgpu failing on demand: what each injection does when its time has come.
 */
#include "qemu/osdep.h"
#include "qemu/error-report.h"
#include "qemu/main-loop.h"
#include "qapi/error.h"
#include "qapi/qapi-events-edgpu.h"
#include "hw/pci/pci_bridge.h"
#include "hw/pci/pci_bus.h"
#include "hw/pci/pcie_port.h"
#include "migration/misc.h"
#include "edgpu.h"
#include "trace.h"

/* ---- Dead ---- */

static uint64_t edgpu_void_read(void *opaque, hwaddr addr, unsigned size)
{
    return UINT64_MAX;
}

static void edgpu_void_write(void *opaque, hwaddr addr, uint64_t value,
                             unsigned size)
{
}

static const MemoryRegionOps edgpu_void_ops = {
    .read = edgpu_void_read,
    .write = edgpu_void_write,
    .endianness = DEVICE_LITTLE_ENDIAN,
    .valid = {
        .min_access_size = 1, .max_access_size = 8, .unaligned = true,
    },
    .impl = {
        .min_access_size = 1, .max_access_size = 8, .unaligned = true,
    },
};

void edgpu_set_dead(EdgpuState *s, bool dead)
{
    if (dead == s->dead) {
        return;
    }
    trace_edgpu_dead(dead);
    s->dead = dead;
    memory_region_set_enabled(&s->void_vram, dead);
    memory_region_set_enabled(&s->void_msix, dead);
    if (dead) {
        for (unsigned i = 0; i < s->engine_count; i++) {
            edgpu_engine_reset(&s->engine[i]);
        }
    }
}

/* ---- Surprise removal ---- */

/* The port that the device is in, if it tells its guest who comes and goes. */
static PCIDevice *edgpu_hot_plug_port(EdgpuState *s, Error **errp)
{
    PCIDevice *port = pci_bridge_get_device(pci_get_bus(PCI_DEVICE(s)));
    HotplugHandler *handler = qdev_get_hotplug_handler(DEVICE(s));

    if (!port || !object_dynamic_cast(OBJECT(port), TYPE_PCIE_SLOT) ||
        (Object *)handler != OBJECT(port)) {
        error_setg(errp, "inject: unplug needs a port with PCI Express "
                   "hot-plug above the device (pcie-root-port, and ACPI "
                   "hot-plug off)");
        return NULL;
    }
    return port;
}

/* What the port's registers say of a slot that was emptied by force. */
static void edgpu_port_is_empty(PCIDevice *port)
{
    uint8_t *cap = port->config + port->exp.exp_cap;
    uint32_t control = port->exp.exp_cap + PCI_EXP_SLTCTL;

    pci_word_test_and_clear_mask(cap + PCI_EXP_SLTSTA, PCI_EXP_SLTSTA_PDS);
    pci_word_test_and_clear_mask(cap + PCI_EXP_LNKSTA, PCI_EXP_LNKSTA_DLLLA);
    pci_word_test_and_set_mask(cap + PCI_EXP_SLTSTA,
                               PCI_EXP_SLTSTA_PDC | PCI_EXP_SLTSTA_DLLSC);
    /* Only a write to its control register makes a port look, and interrupt. */
    port->config_write(port, control, pci_get_word(port->config + control), 2);
}

static void edgpu_remove(void *opaque)
{
    EdgpuState *s = opaque;
    DeviceState *dev = DEVICE(s);
    PCIDevice *port = edgpu_hot_plug_port(s, NULL);

    if (!port || migration_is_running()) {
        warn_report("edgpu: can't be removed now, and stays as a dead device");
        return;
    }
    trace_edgpu_removed();
    object_ref(OBJECT(s));
    dev->pending_deleted_event = true;
    hotplug_handler_unplug(qdev_get_hotplug_handler(dev), dev, &error_abort);
    object_unparent(OBJECT(s));
    object_unref(OBJECT(s));
    edgpu_port_is_empty(port);
}

/* ---- Injections ---- */

static void edgpu_flip(EdgpuState *s, const EdgpuInjection *due)
{
    uint8_t *vram = memory_region_get_ram_ptr(&s->vram);

    vram[due->offset] ^= 1 << due->bit;
    edgpu_vram_written(s, due->offset, 1);
}

static void edgpu_tell(EdgpuState *s, const EdgpuInjection *due)
{
    g_autofree char *path = object_get_canonical_path(OBJECT(s));
    g_autofree char *what = edgpu_injection_text(due);

    trace_edgpu_injected(what);
    s->stats.injected++;
    qapi_event_send_edgpu_injected(path, what);
}

/* @e: the engine it happens to; NULL where none is meant. */
static bool edgpu_inject(EdgpuState *s, EdgpuEngine *e,
                         const EdgpuInjection *due, EdgpuFault *fault)
{
    edgpu_tell(s, due);
    switch (due->kind) {
    case EDGPU_INJECT_HANG:
        e->hung = true;
        break;
    case EDGPU_INJECT_ERROR:
        return edgpu_refuse(fault, EDGPU_FAULT_HARDWARE, 0);
    case EDGPU_INJECT_DELAY:
        e->delay_ns = due->ns;
        break;
    case EDGPU_INJECT_FLIP:
        edgpu_flip(s, due);
        break;
    case EDGPU_INJECT_UNPLUG:
        edgpu_set_dead(s, true);
        qemu_bh_schedule(s->removal);
        break;
    case EDGPU_INJECT_DEAD:
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

bool edgpu_message_lost(EdgpuState *s, unsigned vector)
{
    EdgpuInjection due;
    bool lost = false;

    edgpu_injector_count(&s->injector, EDGPU_EVENT_MESSAGE, vector);
    while (edgpu_injector_take(&s->injector, EDGPU_EVENT_MESSAGE, &due)) {
        edgpu_tell(s, &due);
        lost = true;
    }
    return lost;
}

/* ---- The property ---- */

static EdgpuInjectLimits edgpu_inject_limits(const EdgpuState *s)
{
    return (EdgpuInjectLimits) {
        .engines = s->engine_count,
        .vectors = EDGPU_VECTOR_ENGINE + s->engine_count,
        .vram_size = s->vram_size,
    };
}

static char *edgpu_get_inject(Object *obj, Error **errp)
{
    return edgpu_injector_text(&EDGPU(obj)->injector);
}

/* Forgets what is pending, and undoes what lasts. */
static void edgpu_clear_injections(EdgpuState *s)
{
    s->injector.count = 0;
    if (s->dead) {
        qemu_bh_cancel(s->removal);
        edgpu_set_dead(s, false);
        device_cold_reset(DEVICE(s));
    }
}

static void edgpu_set_inject(Object *obj, const char *text, Error **errp)
{
    EdgpuState *s = EDGPU(obj);
    EdgpuInjectLimits limits = edgpu_inject_limits(s);
    EdgpuInjector with = s->injector;
    EdgpuInjection due;

    if (!DEVICE(s)->realized) {
        error_setg(errp, "inject: the device must exist first; use qom-set");
        return;
    }
    if (g_str_equal(text, "clear")) {
        edgpu_clear_injections(s);
        return;
    }
    if (!edgpu_injector_add(&with, text, &limits, errp)) {
        return;
    }
    if (edgpu_injector_has(&with, EDGPU_INJECT_UNPLUG) &&
        !edgpu_hot_plug_port(s, errp)) {
        return;
    }
    s->injector = with;
    while (edgpu_injector_take(&s->injector, EDGPU_EVENT_NOW, &due)) {
        edgpu_inject(s, NULL, &due, NULL);
    }
}

void edgpu_failure_add_properties(ObjectClass *klass)
{
    object_class_property_add_str(klass, "inject", edgpu_get_inject,
                                  edgpu_set_inject);
    object_class_property_set_description(klass, "inject",
        "Failures to come, as in 'hang engine=0 at=3; drop-irq'; adds to "
        "those pending, 'clear' forgets them");
}

bool edgpu_failure_valid(EdgpuState *s)
{
    EdgpuInjectLimits limits = edgpu_inject_limits(s);

    return edgpu_injector_valid(&s->injector, &limits);
}

void edgpu_failure_init(EdgpuState *s)
{
    PCIDevice *pci = PCI_DEVICE(s);
    MemoryRegion *msix = &pci->msix_exclusive_bar;

    memory_region_init_io(&s->void_vram, OBJECT(s), &edgpu_void_ops, s,
                          "edgpu-void-vram", s->aperture_size);
    memory_region_init_io(&s->void_msix, OBJECT(s), &edgpu_void_ops, s,
                          "edgpu-void-msix", memory_region_size(msix));
    memory_region_set_enabled(&s->void_vram, false);
    memory_region_set_enabled(&s->void_msix, false);
    memory_region_add_subregion_overlap(&s->vram_bar, 0, &s->void_vram, 1);
    memory_region_add_subregion_overlap(msix, 0, &s->void_msix, 1);
    s->removal = qemu_bh_new_guarded(edgpu_remove, s,
                                     &DEVICE(s)->mem_reentrancy_guard);
}

void edgpu_failure_exit(EdgpuState *s)
{
    PCIDevice *pci = PCI_DEVICE(s);

    memory_region_del_subregion(&pci->msix_exclusive_bar, &s->void_msix);
    memory_region_del_subregion(&s->vram_bar, &s->void_vram);
    g_clear_pointer(&s->removal, qemu_bh_delete);
}
