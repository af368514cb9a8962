/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * edgpu's resets and power states, and what each of them loses.
 */
#include "qemu/osdep.h"
#include "qemu/bswap.h"
#include "hw/pci/pcie.h"
#include "edgpu.h"
#include "trace.h"

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

void edgpu_reset_hold(Object *obj, ResetType type)
{
    EdgpuState *s = EDGPU(obj);

    if (type == RESET_TYPE_COLD && !s->function_reset) {
        s->injector.count = 0;
        edgpu_set_dead(s, false);
    }
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

static unsigned edgpu_power_state(PCIDevice *pci)
{
    uint16_t pmcsr = pci_get_word(pci->config + pci->pm_cap + PCI_PM_CTRL);

    return pmcsr & PCI_PM_CTRL_STATE_MASK;
}

bool edgpu_powered(EdgpuState *s, EdgpuFault *fault)
{
    return edgpu_power_state(PCI_DEVICE(s)) == 0 ||
           edgpu_refuse(fault, EDGPU_FAULT_POWER, 0);
}

static bool edgpu_in_d3hot(PCIDevice *pci)
{
    return edgpu_power_state(pci) == 3;
}

uint32_t edgpu_config_read(PCIDevice *pci, uint32_t addr, int len)
{
    return EDGPU(pci)->dead ? UINT32_MAX
                            : pci_default_read_config(pci, addr, len);
}

void edgpu_config_write(PCIDevice *pci, uint32_t addr, uint32_t value,
                        int len)
{
    EdgpuState *s = EDGPU(pci);
    bool was_in_d3hot = edgpu_in_d3hot(pci);

    if (s->dead) {
        return;
    }
    /* A reset that comes out of these is one that the guest asked for. */
    s->function_reset = true;
    pci_default_write_config(pci, addr, value, len);
    if (pci->exp.exp_cap) {
        pcie_cap_flr_write_config(pci, addr, value, len);
    }
    /* No_Soft_Reset is clear: the way back from D3hot is a function reset. */
    if (was_in_d3hot && !edgpu_in_d3hot(pci)) {
        pci_device_reset(pci);
    }
    s->function_reset = false;
}
