/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * edgpu dead, or torn out of its slot: what is left of it for the guest.
 */
#include "qemu/osdep.h"
#include "qemu/error-report.h"
#include "qemu/main-loop.h"
#include "qapi/error.h"
#include "hw/pci/pci_bridge.h"
#include "hw/pci/pci_bus.h"
#include "hw/pci/pcie_port.h"
#include "migration/misc.h"
#include "edgpu.h"
#include "trace.h"

/* ---- Dead ---- */

static uint64_t edgpu_absent_read(void *opaque, hwaddr addr, unsigned size)
{
    return UINT64_MAX;
}

static void edgpu_absent_write(void *opaque, hwaddr addr, uint64_t value,
                             unsigned size)
{
}

static const MemoryRegionOps edgpu_absent_ops = {
    .read = edgpu_absent_read,
    .write = edgpu_absent_write,
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
    memory_region_set_enabled(&s->absent_vram, dead);
    memory_region_set_enabled(&s->absent_msix, dead);
    if (dead) {
        for (unsigned i = 0; i < s->engine_count; i++) {
            edgpu_engine_reset(&s->engine[i]);
        }
    }
}

/* ---- Surprise removal ---- */

/* The port that the device is in, if it reports hot-plug to its guest. */
static PCIDevice *edgpu_hot_plug_port(EdgpuState *s, Error **errp)
{
    PCIDevice *port = pci_bridge_get_device(pci_get_bus(PCI_DEVICE(s)));
    HotplugHandler *handler = qdev_get_hotplug_handler(DEVICE(s));

    if (!port || !object_dynamic_cast(OBJECT(port), TYPE_PCIE_SLOT) ||
        (Object *)handler != OBJECT(port)) {
        error_setg(errp, "unplug needs a port with PCI Express hot-plug above "
                   "the device (pcie-root-port, and ACPI hot-plug off)");
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

static void edgpu_remove_now(void *opaque)
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

bool edgpu_is_removable(EdgpuState *s, Error **errp)
{
    return edgpu_hot_plug_port(s, errp) != NULL;
}

void edgpu_remove(EdgpuState *s)
{
    edgpu_set_dead(s, true);
    /* Not now: an engine may be at work. */
    qemu_bh_schedule(s->removal);
}

void edgpu_revive(EdgpuState *s)
{
    qemu_bh_cancel(s->removal);
    edgpu_set_dead(s, false);
}

/* ---- Realize and unrealize ---- */

void edgpu_removal_init(EdgpuState *s)
{
    PCIDevice *pci = PCI_DEVICE(s);
    MemoryRegion *msix = &pci->msix_exclusive_bar;

    memory_region_init_io(&s->absent_vram, OBJECT(s), &edgpu_absent_ops, s,
                          "edgpu-absent-vram", s->aperture_size);
    memory_region_init_io(&s->absent_msix, OBJECT(s), &edgpu_absent_ops, s,
                          "edgpu-absent-msix", memory_region_size(msix));
    memory_region_set_enabled(&s->absent_vram, false);
    memory_region_set_enabled(&s->absent_msix, false);
    memory_region_add_subregion_overlap(&s->vram_bar, 0, &s->absent_vram, 1);
    memory_region_add_subregion_overlap(msix, 0, &s->absent_msix, 1);
    /* Not guarded by the device: that would be written to when it is gone. */
    s->removal = qemu_bh_new(edgpu_remove_now, s);
}

void edgpu_removal_exit(EdgpuState *s)
{
    PCIDevice *pci = PCI_DEVICE(s);

    memory_region_del_subregion(&pci->msix_exclusive_bar, &s->absent_msix);
    memory_region_del_subregion(&s->vram_bar, &s->absent_vram);
    g_clear_pointer(&s->removal, qemu_bh_delete);
}
