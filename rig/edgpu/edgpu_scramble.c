/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is in edgpu's VRAM after it was lost.
 *
 * All of VRAM is written anew, in slices on the virtual clock, so that vCPUs
 * and main loop have the BQL for at least half of the time.  A loss also ends
 * memory decoding, without which nothing leads to VRAM: what is left when the
 * guest turns it on again is written at that moment.  It is as well when the VM
 * stops, so that nothing of this needs to be saved.
 */
#include "qemu/osdep.h"
#include "qemu/bswap.h"
#include "qemu/units.h"
#include "system/runstate.h"
#include "edgpu.h"
#include "trace.h"

/* Bytes written under one hold of the BQL, */
#define EDGPU_SCRAMBLE_SLICE    (4 * MiB)
/* and the least virtual time from one slice to the next. */
#define EDGPU_SCRAMBLE_REST_NS  1000

/*
 * Stale reads are detected: words differ from each other and from those after
 * any other loss.
 */
static void edgpu_scramble(EdgpuState *s, uint64_t len)
{
    uint64_t offset = s->vram_size - s->unscrambled;
    uint64_t *word = memory_region_get_ram_ptr(&s->vram) + offset;
    uint64_t value = s->vram_generation * 0x9e3779b97f4a7c15ull +
                     offset / sizeof(*word) * 0xd1342543de82ef95ull;

    for (uint64_t i = 0; i < len / sizeof(*word); i++) {
        word[i] = cpu_to_le64(value);
        value += 0xd1342543de82ef95ull;
    }
    edgpu_vram_written(s, offset, len);
    s->unscrambled -= len;
}

static void edgpu_scramble_slice(void *opaque)
{
    EdgpuState *s = opaque;
    uint64_t start = qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL);
    uint64_t end;

    edgpu_scramble(s, MIN(s->unscrambled, EDGPU_SCRAMBLE_SLICE));
    end = qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL);
    if (s->unscrambled) {
        timer_mod(&s->scrambler,
                  end + MAX(end - start, EDGPU_SCRAMBLE_REST_NS));
    }
}

void edgpu_scramble_rest(EdgpuState *s)
{
    timer_del(&s->scrambler);
    if (s->unscrambled) {
        edgpu_scramble(s, s->unscrambled);
    }
}

/*
 * At power-on VRAM stays zero: filling it would cost every VM its memory and
 * its start time.
 */
void edgpu_lose_vram(EdgpuState *s, const char *why)
{
    trace_edgpu_vram_lost(why, s->vram_generation + 1);
    if (s->vram_generation++ == 0) {
        return;
    }
    s->unscrambled = s->vram_size;
    if (runstate_is_running()) {
        timer_mod(&s->scrambler, qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL) +
                                 EDGPU_SCRAMBLE_REST_NS);
    } else {
        edgpu_scramble_rest(s);
    }
}

/* ---- Realize and unrealize ---- */

static void edgpu_vm_state_changed(void *opaque, bool running, RunState state)
{
    if (!running) {
        edgpu_scramble_rest(opaque);
    }
}

void edgpu_scramble_init(EdgpuState *s)
{
    timer_init_ns(&s->scrambler, QEMU_CLOCK_VIRTUAL, edgpu_scramble_slice, s);
    s->vm_state = qemu_add_vm_change_state_handler(edgpu_vm_state_changed, s);
}

void edgpu_scramble_exit(EdgpuState *s)
{
    qemu_del_vm_change_state_handler(s->vm_state);
    timer_del(&s->scrambler);
    s->unscrambled = 0;
}
