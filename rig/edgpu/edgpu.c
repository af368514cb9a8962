/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * edgpu: an emulated discrete GPU for testing memory management.
 *
 * The PCI function: its BARs and capabilities, properties and state. The
 * datasheet is edgpu.md, the layout edgpu_regs.h.
 */
#include "qemu/osdep.h"
#include "qemu/module.h"
#include "qemu/units.h"
#include "qapi/error.h"
#include "qapi/visitor.h"
#include "hw/pci/msix.h"
#include "hw/pci/pcie.h"
#include "migration/vmstate.h"
#include "edgpu.h"
#include "edgpu_compat.h"
#include "trace.h"

#define EDGPU_MIN_DMA_BITS      12
#define EDGPU_MAX_DMA_BITS      64
#define EDGPU_MIN_VRAM_SIZE     (1 * MiB)
#define EDGPU_MAX_VRAM_SIZE     (64 * GiB)
#define EDGPU_MIN_APERTURE_SIZE (64 * KiB)
#define EDGPU_MIN_BANDWIDTH     (64 * KiB)
#define EDGPU_MAX_LATENCY_NS    (60 * NANOSECONDS_PER_SECOND)

/* ---- Realize and unrealize ---- */

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
    memory_region_init(&s->vram_bar, OBJECT(s), "edgpu-vram-bar",
                       s->aperture_size);
    pci_register_bar(pci, EDGPU_BAR_REGS, PCI_BASE_ADDRESS_SPACE_MEMORY,
                     &s->regs);
    pci_register_bar(pci, EDGPU_BAR_VRAM,
                     PCI_BASE_ADDRESS_SPACE_MEMORY |
                     PCI_BASE_ADDRESS_MEM_TYPE_64 |
                     PCI_BASE_ADDRESS_MEM_PREFETCH, &s->vram_bar);
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
    if (s->has_display) {
        edgpu_display_exit(s);
    }
    edgpu_scramble_exit(s);
    edgpu_removal_exit(s);
    /* A region in another keeps the device alive, though both are its own. */
    memory_region_del_subregion(&s->vram_bar, &s->aperture);
    msix_uninit_exclusive_bar(pci);
    if (pci->exp.exp_cap) {
        pcie_cap_exit(pci);
    }
}

static void edgpu_slice_ended(EdgpuState *s, uint64_t ns)
{
    s->stats.slice_ns += ns;
}

static const EdgpuEngineOps edgpu_engine_ops = {
    .starting = edgpu_command_starting,
    .retiring = edgpu_command_retiring,
    .fence_completed = edgpu_fence_completed,
    .faulted = edgpu_engine_faulted,
    .slice_ended = edgpu_slice_ended,
};

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
    /* Keeps the device alive: not before all that may fail. */
    memory_region_add_subregion(&s->vram_bar, 0, &s->aperture);
    for (unsigned i = 0; i < s->engine_count; i++) {
        EdgpuEngine *e = &s->engine[i];

        e->ops = &edgpu_engine_ops;
        e->throttle = &s->throttle;
        e->pace = &s->pace;
        edgpu_engine_init(e, s, i);
    }
    if (s->has_display) {
        edgpu_display_init(s);
    }
    edgpu_removal_init(s);
    edgpu_scramble_init(s);
}

static DeviceRealize edgpu_parent_realize;

/* The base class decides how messages are sent after edgpu_realize(). */
static void edgpu_realize_whole(DeviceState *dev, Error **errp)
{
    EdgpuState *s = EDGPU(dev);
    PCIDevice *pci = PCI_DEVICE(dev);

    edgpu_parent_realize(dev, errp);
    s->send_message = pci->msi_trigger;
    if (s->send_message) {
        pci->msi_trigger = edgpu_send_message;
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

/* Both hold from the next unit or command on. */
static void edgpu_get_u64(Object *obj, Visitor *v, const char *name,
                          void *opaque, Error **errp)
{
    uint64_t *field = (void *)obj + (uintptr_t)opaque;

    visit_type_uint64(v, name, field, errp);
}

static void edgpu_set_bandwidth(Object *obj, Visitor *v, const char *name,
                                void *opaque, Error **errp)
{
    uint64_t bandwidth;

    if (!visit_type_size(v, name, &bandwidth, errp)) {
        return;
    }
    if (bandwidth && bandwidth < EDGPU_MIN_BANDWIDTH) {
        error_setg(errp, "bandwidth must be 0 (no limit) or at least %u bytes "
                   "a second", (unsigned)EDGPU_MIN_BANDWIDTH);
        return;
    }
    trace_edgpu_throttle(name, bandwidth);
    EDGPU(obj)->throttle.bandwidth = bandwidth;
}

static void edgpu_set_latency(Object *obj, Visitor *v, const char *name,
                              void *opaque, Error **errp)
{
    uint64_t latency;

    if (!visit_type_uint64(v, name, &latency, errp)) {
        return;
    }
    if (latency > EDGPU_MAX_LATENCY_NS) {
        error_setg(errp, "latency-ns must be 0 to %llu", EDGPU_MAX_LATENCY_NS);
        return;
    }
    trace_edgpu_throttle(name, latency);
    EDGPU(obj)->throttle.latency_ns = latency;
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
    DEFINE_PROP_BOOL("display", EdgpuState, has_display, false),
};

/* ---- Migration ---- */

static int edgpu_post_load(void *opaque, int version_id)
{
    EdgpuState *s = opaque;

    bool dead = s->dead;

    if (s->dma_bits < EDGPU_MIN_DMA_BITS ||
        s->dma_bits > EDGPU_MAX_DMA_BITS ||
        (s->throttle.bandwidth &&
         s->throttle.bandwidth < EDGPU_MIN_BANDWIDTH) ||
        s->throttle.latency_ns > EDGPU_MAX_LATENCY_NS ||
        !edgpu_failure_valid(s)) {
        return -EINVAL;
    }
    s->dead = !dead;
    edgpu_set_dead(s, dead);
    /* The clock may be an earlier one. */
    s->pace = (EdgpuPace) { };
    return 0;
}

static const VMStateDescription vmstate_edgpu = {
    .name = TYPE_EDGPU,
    .version_id = 2,
    .minimum_version_id = 2,
    .post_load = edgpu_post_load,
    .fields = (const VMStateField[]) {
        VMSTATE_PCI_DEVICE(parent_obj, EdgpuState),
        VMSTATE_MSIX(parent_obj, EdgpuState),
        EDGPU_VMSTATE_EQUAL(UINT32, engine_count,
                            "engines differs from the source's"),
        EDGPU_VMSTATE_EQUAL(UINT64, aperture_size,
                            "aperture-size differs from the source's"),
        VMSTATE_UINT32(dma_bits, EdgpuState),
        VMSTATE_UINT64(throttle.bandwidth, EdgpuState),
        VMSTATE_UINT64(throttle.latency_ns, EdgpuState),
        VMSTATE_STRUCT(injector, EdgpuState, 1, vmstate_edgpu_injector,
                       EdgpuInjector),
        VMSTATE_BOOL(dead, EdgpuState),
        VMSTATE_UINT32(vram_generation, EdgpuState),
        VMSTATE_UINT32(scratch, EdgpuState),
        VMSTATE_UINT32(irq_status, EdgpuState),
        VMSTATE_UINT32(irq_enable, EdgpuState),
        VMSTATE_STRUCT_VARRAY_UINT32(engine, EdgpuState, engine_count, 1,
                                     vmstate_edgpu_engine, EdgpuEngine),
        VMSTATE_STRUCT(stats, EdgpuState, 1, vmstate_edgpu_stats,
                       EdgpuStatistics),
        VMSTATE_UINT64(fault_events.charged_until, EdgpuState),
        VMSTATE_UINT64(fault_events.suppressed, EdgpuState),
        VMSTATE_END_OF_LIST()
    },
    .subsections = (const VMStateDescription * const []) {
        &vmstate_edgpu_display,
        NULL
    }
};

/* ---- Type ---- */

static void edgpu_class_init(ObjectClass *klass, EDGPU_CLASS_DATA *data)
{
    DeviceClass *dc = DEVICE_CLASS(klass);
    PCIDeviceClass *k = PCI_DEVICE_CLASS(klass);
    ResettableClass *rc = RESETTABLE_CLASS(klass);

    device_class_set_parent_realize(dc, edgpu_realize_whole,
                                    &edgpu_parent_realize);
    k->realize = edgpu_realize;
    k->exit = edgpu_exit;
    k->config_read = edgpu_config_read;
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
    object_class_property_add(klass, "bandwidth", "size", edgpu_get_u64,
        edgpu_set_bandwidth, NULL,
        (void *)offsetof(EdgpuState, throttle.bandwidth));
    object_class_property_set_description(klass, "bandwidth",
        "Bytes a second of each engine, on the virtual clock; 0: no limit");
    object_class_property_add(klass, "latency-ns", "uint64", edgpu_get_u64,
        edgpu_set_latency, NULL,
        (void *)offsetof(EdgpuState, throttle.latency_ns));
    object_class_property_set_description(klass, "latency-ns",
        "Virtual time that each command takes beside its bytes");
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
