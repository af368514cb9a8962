/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * edgpu's resets and power states, and what each of them clears.
 */
#include "qemu/osdep.h"
#include "qemu/range.h"
#include "hw/pci/pcie.h"
#include "edgpu.h"

void edgpu_reset_hold(Object *obj, ResetType type)
{
    EdgpuState *s = EDGPU(obj);

    if (type == RESET_TYPE_COLD && !s->function_reset) {
        s->injector.count = 0;
        edgpu_revive(s);
    }
    for (unsigned i = 0; i < s->engine_count; i++) {
        edgpu_engine_cold_reset(&s->engine[i]);
    }
    edgpu_display_reset(s);
    s->scratch = 0;
    s->irq_status = 0;
    s->irq_enable = 0;
    /* A snapshot brings VRAM and generation along. */
    if (type != RESET_TYPE_SNAPSHOT_LOAD) {
        edgpu_lose_vram(s, type == RESET_TYPE_WAKEUP ? "wakeup" : "cold");
    }
}

static void edgpu_power_changed(EdgpuState *s)
{
    if (edgpu_powered(s)) {
        /* No_Soft_Reset is clear: the way back is a function reset. */
        pci_device_reset(PCI_DEVICE(s));
        return;
    }
    for (unsigned i = 0; i < s->engine_count; i++) {
        edgpu_engine_power_off(&s->engine[i]);
    }
}

uint32_t edgpu_config_read(PCIDevice *pci, uint32_t addr, int len)
{
    return EDGPU(pci)->dead ? UINT32_MAX
                            : pci_default_read_config(pci, addr, len);
}

/* Does the write leave memory decoding, and with it the aperture, on? */
static bool edgpu_turns_memory_on(uint32_t addr, uint32_t value, int len)
{
    return range_covers_byte(addr, len, PCI_COMMAND) &&
           (value >> 8 * (PCI_COMMAND - addr)) & PCI_COMMAND_MEMORY;
}

void edgpu_config_write(PCIDevice *pci, uint32_t addr, uint32_t value,
                        int len)
{
    EdgpuState *s = EDGPU(pci);
    bool was_powered = edgpu_powered(s);

    if (s->dead) {
        return;
    }
    if (edgpu_turns_memory_on(addr, value, len)) {
        edgpu_scramble_rest(s);
    }
    /* A reset that comes out of these is one that the guest asked for. */
    s->function_reset = true;
    pci_default_write_config(pci, addr, value, len);
    if (was_powered != edgpu_powered(s)) {
        edgpu_power_changed(s);
    }
    if (pci->exp.exp_cap) {
        pcie_cap_flr_write_config(pci, addr, value, len);
    }
    s->function_reset = false;
}
