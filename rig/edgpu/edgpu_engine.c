/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * edgpu's engines: a ring of commands each, executed in bounded slices.
 *
 * A command goes through three steps: start (fetch, decode, check the whole of
 * it), move (one unit at a time) and retire. The timer runs steps until it has
 * done a slice's worth, then gives the VM a chance; all that must survive
 * between two slices is in EdgpuEngine and migrates.
 */
#include "qemu/osdep.h"
#include "qemu/host-utils.h"
#include "qemu/log.h"
#include "qemu/units.h"
#include "edgpu_engine.h"
#include "trace.h"

/* Work done under one hold of the BQL... */
#define EDGPU_SLICE             (1 * MiB)
/* ... where no step counts for less than this, */
#define EDGPU_STEP_COST         512
/* and the least virtual time from one slice to the next. */
#define EDGPU_SLICE_NS          1000
/* A slice that took longer was interrupted by the host, not by its work. */
#define EDGPU_MAX_REST_NS       (100 * SCALE_MS)

/* ---- Time ---- */

static uint64_t engine_now(void)
{
    return qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL);
}

static bool engine_busy(const EdgpuEngine *e)
{
    return e->head != e->tail && !e->fault.kind;
}

static void engine_schedule(EdgpuEngine *e)
{
    uint64_t rested = MAX(e->pace->rest_until, engine_now());

    /* Later than those that found their turn taken: they come first. */
    timer_mod(&e->timer, MAX(e->due, rested + EDGPU_SLICE_NS));
}

/*
 * After each slice all engines rest for as long as it took, so that vCPUs and
 * main loop have the BQL for at least half of the time.  The virtual clock
 * stands still during a slice where time is simulated.
 */
static void engine_end_slice(EdgpuEngine *e, uint64_t start)
{
    uint64_t now = engine_now();

    e->ops->slice_ended(e->gpu, now - start);
    e->pace->rest_until = now + MIN(now - start, EDGPU_MAX_REST_NS);
}

/* Whatever comes next must wait for so long. */
static void engine_charge(EdgpuEngine *e, uint64_t ns)
{
    e->due += ns;
}

static void engine_charge_bytes(EdgpuEngine *e, uint64_t len)
{
    if (e->throttle->bandwidth) {
        engine_charge(e, DIV_ROUND_UP(len * NANOSECONDS_PER_SECOND,
                                   e->throttle->bandwidth));
    }
}

/* ---- Steps ---- */

static void engine_clear_command(EdgpuEngine *e)
{
    edgpu_work_clear(&e->work);
    e->delay_ns = 0;
    e->hung = false;
}

static void engine_fault(EdgpuEngine *e, EdgpuFault fault)
{
    timer_del(&e->timer);
    engine_clear_command(e);
    e->fault = fault;
    e->fault_slot = e->head;
    e->fault_count++;
    e->ops->faulted(e->gpu, e);
}

static bool engine_fetch(EdgpuEngine *e, EdgpuFault *fault)
{
    const EdgpuCommand *cmd = &e->work.cmd;
    uint64_t offset = (uint64_t)e->head * EDGPU_CMD_SIZE;

    if (e->ring_base > UINT64_MAX - offset) {
        return edgpu_dma_reachable(e->gpu, e->ring_base,
                                   offset + EDGPU_CMD_SIZE, fault);
    }
    if (!edgpu_work_fetch(&e->work, e->ring_base + offset, fault)) {
        return false;
    }
    trace_edgpu_command(e->index, e->head, cmd->opcode, cmd->flags,
                        cmd->src, cmd->dst, cmd->len);
    return true;
}

static bool engine_start(EdgpuEngine *e, uint64_t *cost, EdgpuFault *fault)
{
    if (!e->ops->starting(e->gpu, e, fault)) {
        return false;
    }
    if (e->hung || !engine_busy(e)) {
        return true;
    }
    if (!engine_fetch(e, fault) || !edgpu_work_start(&e->work, fault)) {
        return false;
    }
    *cost = e->work.src.list_size + e->work.dst.list_size;
    engine_charge(e, e->throttle->latency_ns);
    return true;
}

static bool engine_move(EdgpuEngine *e, uint64_t *cost, EdgpuFault *fault)
{
    if (!edgpu_work_move(&e->work, cost, fault)) {
        return false;
    }
    engine_charge_bytes(e, *cost);
    return true;
}

static bool engine_retire(EdgpuEngine *e, EdgpuFault *fault)
{
    const EdgpuCommand cmd = e->work.cmd;

    if (!edgpu_work_finish(&e->work, fault)) {
        return false;
    }
    e->ops->retiring(e->gpu, e);
    if (cmd.opcode == EDGPU_OP_FENCE) {
        e->fence = cmd.value;
    }
    trace_edgpu_command_done(e->index, e->head);
    engine_clear_command(e);
    e->head = (e->head + 1) % e->ring_size;
    if (cmd.flags & EDGPU_FLAG_IRQ) {
        /* Last: a handler that it wakes finds the command retired. */
        e->ops->fence_completed(e->gpu, e->index);
    }
    return true;
}

/* One step of the command at head; *@cost is the work it was, in bytes. */
static bool engine_step(EdgpuEngine *e, uint64_t *cost, EdgpuFault *fault)
{
    *cost = 0;
    if (!edgpu_powered(e->gpu)) {
        return edgpu_refuse(fault, EDGPU_FAULT_POWER, 0);
    }
    if (!e->work.started) {
        return engine_start(e, cost, fault);
    }
    if (e->work.done < e->work.cmd.len) {
        return engine_move(e, cost, fault);
    }
    if (e->delay_ns) {
        engine_charge(e, e->delay_ns);
        e->delay_ns = 0;
        return true;
    }
    return engine_retire(e, fault);
}

static bool engine_may_step(const EdgpuEngine *e)
{
    return engine_busy(e) && !e->hung;
}

static void engine_slice(void *opaque)
{
    EdgpuEngine *e = opaque;
    uint64_t now = engine_now();
    uint64_t work = 0;

    if (now < e->pace->rest_until) {
        timer_mod(&e->timer, e->pace->rest_until);
        return;
    }
    while (work < EDGPU_SLICE && engine_may_step(e) && e->due <= now) {
        EdgpuFault fault;
        uint64_t cost;

        if (!engine_step(e, &cost, &fault)) {
            engine_fault(e, fault);
            break;
        }
        work += MAX(cost, EDGPU_STEP_COST);
    }
    engine_end_slice(e, now);
    if (engine_may_step(e)) {
        engine_schedule(e);
    }
}

/* ---- Registers ---- */

uint32_t edgpu_engine_status(const EdgpuEngine *e)
{
    return (engine_busy(e) ? EDGPU_STATUS_BUSY : 0) |
           (e->fault.kind ? EDGPU_STATUS_FAULT : 0);
}

/* The ring stays where it is under work in progress and after a fault. */
static bool engine_ring_locked(const EdgpuEngine *e, const char *what)
{
    if (edgpu_engine_status(e) == 0) {
        return false;
    }
    qemu_log_mask(LOG_GUEST_ERROR,
                  "edgpu: engine %u: write to %s while busy or faulted\n",
                  e->index, what);
    return true;
}

void edgpu_engine_set_ring_base(EdgpuEngine *e, uint64_t base)
{
    if (!engine_ring_locked(e, "RING_BASE")) {
        e->ring_base = base & ~(uint64_t)(EDGPU_CMD_SIZE - 1);
    }
}

void edgpu_engine_set_ring_size(EdgpuEngine *e, uint32_t slots)
{
    if (engine_ring_locked(e, "RING_SIZE")) {
        return;
    }
    if (slots && (slots > EDGPU_MAX_SLOTS || !is_power_of_2(slots))) {
        qemu_log_mask(LOG_GUEST_ERROR,
                      "edgpu: engine %u: a ring can't have %u slots\n",
                      e->index, slots);
        slots = 0;
    }
    e->ring_size = slots;
    e->head = 0;
    e->tail = 0;
}

/* Slots from head up to @index, going round the ring. */
static uint32_t engine_distance(const EdgpuEngine *e, uint32_t index)
{
    return (index - e->head) & (e->ring_size - 1);
}

void edgpu_engine_doorbell(EdgpuEngine *e, uint32_t tail)
{
    trace_edgpu_doorbell(e->index, e->head, tail);
    if (e->fault.kind) {
        return;                 /* until the reset */
    }
    /* A tail that falls back would take submitted slots away, or lap head. */
    if (tail >= e->ring_size ||
        engine_distance(e, tail) < engine_distance(e, e->tail)) {
        engine_fault(e, (EdgpuFault) { EDGPU_FAULT_RING_OVERRUN, tail });
        return;
    }
    if (!engine_busy(e)) {
        e->due = engine_now();  /* no credit for the time without work */
    }
    e->tail = tail;
    if (engine_may_step(e) && !timer_pending(&e->timer)) {
        engine_schedule(e);
    }
}

void edgpu_engine_power_off(EdgpuEngine *e)
{
    if (engine_busy(e)) {
        engine_fault(e, (EdgpuFault) { EDGPU_FAULT_POWER });
    }
}

void edgpu_engine_reset(EdgpuEngine *e)
{
    trace_edgpu_engine_reset(e->index);
    timer_del(&e->timer);
    engine_clear_command(e);
    e->ring_base = 0;
    e->ring_size = 0;
    e->head = 0;
    e->tail = 0;
    e->fault = (EdgpuFault) { };
    e->fault_slot = 0;
    e->due = 0;
}

void edgpu_engine_cold_reset(EdgpuEngine *e)
{
    edgpu_engine_reset(e);
    e->fence = 0;
    e->fault_count = 0;
}

void edgpu_engine_init(EdgpuEngine *e, EdgpuState *gpu, unsigned index)
{
    e->gpu = gpu;
    e->index = index;
    edgpu_work_init(&e->work, gpu);
    timer_init_ns(&e->timer, QEMU_CLOCK_VIRTUAL, engine_slice, e);
}

void edgpu_engine_exit(EdgpuEngine *e)
{
    /* With nothing left to do: this may be called from within its slice. */
    edgpu_engine_reset(e);
    edgpu_work_exit(&e->work);
}

/* ---- Migration ---- */

static int engine_pre_load(void *opaque)
{
    engine_clear_command(opaque);
    return 0;
}

static bool ring_loaded_well(const EdgpuEngine *e)
{
    if (!e->ring_size) {
        return !e->head && !e->tail;
    }
    return e->ring_size <= EDGPU_MAX_SLOTS && is_power_of_2(e->ring_size) &&
           e->head < e->ring_size && e->tail < e->ring_size;
}

static int engine_post_load(void *opaque, int version_id)
{
    EdgpuEngine *e = opaque;

    if (!ring_loaded_well(e) || e->fault.kind >= EDGPU_FAULT_KINDS ||
        e->due > INT64_MAX / 2 || e->delay_ns > INT64_MAX / 2 ||
        (e->hung && !engine_busy(e)) ||
        (e->work.started && !engine_may_step(e)) ||
        !edgpu_work_valid(&e->work)) {
        return -EINVAL;
    }
    return 0;
}

const VMStateDescription vmstate_edgpu_engine = {
    .name = "edgpu-engine",
    .version_id = 1,
    .minimum_version_id = 1,
    .pre_load = engine_pre_load,
    .post_load = engine_post_load,
    .fields = (const VMStateField[]) {
        VMSTATE_TIMER(timer, EdgpuEngine),
        VMSTATE_UINT64(ring_base, EdgpuEngine),
        VMSTATE_UINT32(ring_size, EdgpuEngine),
        VMSTATE_UINT32(head, EdgpuEngine),
        VMSTATE_UINT32(tail, EdgpuEngine),
        VMSTATE_UINT64(fence, EdgpuEngine),
        VMSTATE_UINT32(fault.kind, EdgpuEngine),
        VMSTATE_UINT64(fault.addr, EdgpuEngine),
        VMSTATE_UINT32(fault_slot, EdgpuEngine),
        VMSTATE_UINT32(fault_count, EdgpuEngine),
        VMSTATE_STRUCT(work, EdgpuEngine, 1, vmstate_edgpu_work, EdgpuWork),
        VMSTATE_UINT64(due, EdgpuEngine),
        VMSTATE_UINT64(delay_ns, EdgpuEngine),
        VMSTATE_BOOL(hung, EdgpuEngine),
        VMSTATE_END_OF_LIST()
    }
};
