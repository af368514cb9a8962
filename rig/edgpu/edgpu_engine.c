/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * edgpu's engines: a ring of commands each, executed in bounded slices.
 *
 * A command goes through three steps: start (fetch, decode, check the whole of
 * it), transfer (one chunk at a time) and finish. The timer runs steps until
 * it has done a slice's worth, then gives the VM a chance; all that must
 * survive between two slices is in EdgpuEngine and migrates.
 */
#include "qemu/osdep.h"
#include "qemu/bswap.h"
#include "qemu/host-utils.h"
#include "qemu/log.h"
#include "qemu/units.h"
#include "edgpu_engine.h"
#include "edgpu_regs.h"
#include "trace.h"

/* Bytes moved at once, through a buffer that stays in the host's cache. */
#define EDGPU_CHUNK             (64 * KiB)
/* Work done under one hold of the BQL... */
#define EDGPU_SLICE             (1 * MiB)
/* ... where no step counts for less than this, */
#define EDGPU_STEP_COST         (1 * KiB)
/* and the virtual time from one slice to the next. */
#define EDGPU_SLICE_NS          1000

#define EDGPU_FLAGS_SRC         (EDGPU_FLAG_SRC_VRAM | EDGPU_FLAG_SRC_SG)
#define EDGPU_FLAGS_DST         (EDGPU_FLAG_DST_VRAM | EDGPU_FLAG_DST_SG)

static bool edgpu_fail(EdgpuFault *fault, uint32_t kind, uint64_t addr)
{
    *fault = (EdgpuFault) { .kind = kind, .addr = addr };
    return false;
}

/* ---- Spans ---- */

static void span_clear(EdgpuSpan *span)
{
    g_free(span->list);
    *span = (EdgpuSpan) { };
}

static void span_set_linear(EdgpuSpan *span, uint64_t addr, uint64_t len)
{
    span->list_size = EDGPU_SG_SIZE;
    span->list = g_malloc(EDGPU_SG_SIZE);
    stq_le_p(span->list + EDGPU_SG_ADDR, addr);
    stq_le_p(span->list + EDGPU_SG_LEN, len);
}

/* Fetched once, so that the guest can't change it after the checks. */
static bool span_fetch_list(EdgpuSpan *span, EdgpuState *gpu, uint64_t addr,
                            uint32_t nents, EdgpuFault *fault)
{
    span->list_size = nents * EDGPU_SG_SIZE;
    span->list = g_malloc(span->list_size);
    return edgpu_dma(gpu, addr, span->list, span->list_size, false, fault);
}

static bool span_check_range(EdgpuState *gpu, bool vram, uint64_t addr,
                             uint64_t len, EdgpuFault *fault)
{
    return vram ? edgpu_vram(gpu, addr, len, fault) != NULL
                : edgpu_dma_reachable(gpu, addr, len, fault);
}

/* @at is the DMA address of the list, for the fault register. */
static bool span_check_list(EdgpuSpan *span, EdgpuState *gpu, uint64_t at,
                            uint64_t len, EdgpuFault *fault)
{
    uint64_t left = len;

    for (uint32_t i = 0; i < span->list_size; i += EDGPU_SG_SIZE) {
        uint64_t entry_addr = ldq_le_p(span->list + i + EDGPU_SG_ADDR);
        uint64_t entry_len = ldq_le_p(span->list + i + EDGPU_SG_LEN);
        bool last = i + EDGPU_SG_SIZE == span->list_size;

        if (!entry_len || entry_len > left || (last && entry_len != left)) {
            return edgpu_fail(fault, EDGPU_FAULT_BAD_COMMAND, at + i);
        }
        if (!span_check_range(gpu, span->vram, entry_addr, entry_len, fault)) {
            return false;
        }
        left -= entry_len;
    }
    return true;
}

static bool span_set_up(EdgpuSpan *span, EdgpuState *gpu, bool vram,
                        uint64_t addr, uint64_t len, uint32_t nents,
                        EdgpuFault *fault)
{
    span->vram = vram;
    if (!nents) {
        span_set_linear(span, addr, len);
        return span_check_range(gpu, vram, addr, len, fault);
    }
    return span_fetch_list(span, gpu, addr, nents, fault) &&
           span_check_list(span, gpu, addr, len, fault);
}

static uint64_t span_addr(const EdgpuSpan *span)
{
    return ldq_le_p(span->list + span->next + EDGPU_SG_ADDR) + span->offset;
}

/* Bytes from here to the end of the entry. */
static uint64_t span_left(const EdgpuSpan *span)
{
    return ldq_le_p(span->list + span->next + EDGPU_SG_LEN) - span->offset;
}

static void span_advance(EdgpuSpan *span, uint64_t len)
{
    if (len < span_left(span)) {
        span->offset += len;
    } else {
        span->next += EDGPU_SG_SIZE;
        span->offset = 0;
    }
}

/* ---- Moving bytes ---- */

static bool engine_read(EdgpuEngine *e, bool vram, uint64_t addr, void *buf,
                        uint64_t len, EdgpuFault *fault)
{
    if (vram) {
        uint8_t *p = edgpu_vram(e->gpu, addr, len, fault);

        if (p) {
            memcpy(buf, p, len);
        }
        return p != NULL;
    }
    return edgpu_dma(e->gpu, addr, buf, len, false, fault);
}

static bool engine_write(EdgpuEngine *e, bool vram, uint64_t addr,
                         const void *buf, uint64_t len, EdgpuFault *fault)
{
    if (vram) {
        uint8_t *p = edgpu_vram(e->gpu, addr, len, fault);

        if (p) {
            memcpy(p, buf, len);
            edgpu_vram_written(e->gpu, addr, len);
        }
        return p != NULL;
    }
    return edgpu_dma(e->gpu, addr, (void *)buf, len, true, fault);
}

/*
 * Every copy goes through the bounce buffer: the source may be an alias of
 * the destination (VRAM seen through its own BAR, two IOVAs for one page), and
 * QEMU's DMA read is a memcpy().
 */
static bool engine_copy(EdgpuEngine *e, uint64_t len, EdgpuFault *fault)
{
    /* A backward copy is linear: one entry on each side, from the end. */
    uint64_t skip = e->backward ? e->cmd.len - e->done - len : 0;

    return engine_read(e, e->src.vram, span_addr(&e->src) + skip,
                       e->bounce, len, fault) &&
           engine_write(e, e->dst.vram, span_addr(&e->dst) + skip,
                        e->bounce, len, fault);
}

static bool engine_fill(EdgpuEngine *e, uint64_t len, EdgpuFault *fault)
{
    /* Entries of a scatter list may end in the middle of the pattern. */
    uint64_t pattern = ror64(e->cmd.value, 8 * (e->done % 8));

    for (uint64_t i = 0; i < ROUND_UP(len, 8); i += 8) {
        stq_le_p(e->bounce + i, pattern);
    }
    return engine_write(e, e->dst.vram, span_addr(&e->dst), e->bounce, len,
                        fault);
}

static bool engine_hash(EdgpuEngine *e, uint64_t len, EdgpuFault *fault)
{
    if (!engine_read(e, e->src.vram, span_addr(&e->src), e->bounce, len,
                     fault)) {
        return false;
    }
    edgpu_xxh64_update(&e->hash, e->bounce, len);
    return true;
}

/* ---- Commands ---- */

/* What an opcode may ask for; anything else in its slot is a bad command. */
typedef struct EdgpuOp {
    uint32_t flags;             /* allowed */
    uint32_t align;             /* of len; 0 if len must be 0 */
    bool src;                   /* reads len bytes at src */
    bool dst;                   /* writes len bytes at dst; a result if not */
    bool (*move)(EdgpuEngine *e, uint64_t len, EdgpuFault *fault);
} EdgpuOp;

static const EdgpuOp edgpu_ops[EDGPU_OPS] = {
    [EDGPU_OP_NOP] = { },
    [EDGPU_OP_COPY] = {
        .flags = EDGPU_FLAGS_SRC | EDGPU_FLAGS_DST,
        .align = 1, .src = true, .dst = true, .move = engine_copy,
    },
    [EDGPU_OP_FILL] = {
        .flags = EDGPU_FLAGS_DST,
        .align = 8, .dst = true, .move = engine_fill,
    },
    [EDGPU_OP_CHECKSUM] = {
        .flags = EDGPU_FLAGS_SRC | EDGPU_FLAG_DST_VRAM,
        .align = 1, .src = true, .move = engine_hash,
    },
    [EDGPU_OP_FENCE] = {
        .flags = EDGPU_FLAG_DST_VRAM | EDGPU_FLAG_WRITEBACK | EDGPU_FLAG_IRQ,
    },
};

/* A result is a hash or the value of a fence. */
#define EDGPU_RESULT_SIZE       8

static bool command_has_result(const EdgpuCommand *cmd)
{
    return cmd->opcode == EDGPU_OP_CHECKSUM ||
           (cmd->flags & EDGPU_FLAG_WRITEBACK);
}

/* ---- The life of a command ---- */

static bool engine_check_slot(const EdgpuCommand *cmd, EdgpuFault *fault)
{
    const EdgpuOp *op;
    bool src_sg = cmd->flags & EDGPU_FLAG_SRC_SG;
    bool dst_sg = cmd->flags & EDGPU_FLAG_DST_SG;

    if (cmd->opcode >= EDGPU_OPS) {
        goto bad;
    }
    op = &edgpu_ops[cmd->opcode];
    if ((cmd->flags & ~op->flags) || cmd->reserved[0] || cmd->reserved[1]) {
        goto bad;
    }
    if (op->align ? !cmd->len || cmd->len > EDGPU_MAX_LEN ||
                    cmd->len % op->align
                  : cmd->len != 0) {
        goto bad;
    }
    if (src_sg != (cmd->src_nents != 0) ||
        dst_sg != (cmd->dst_nents != 0) ||
        cmd->src_nents > EDGPU_MAX_SG_ENTRIES ||
        cmd->dst_nents > EDGPU_MAX_SG_ENTRIES) {
        goto bad;
    }
    return true;
bad:
    return edgpu_fail(fault, EDGPU_FAULT_BAD_COMMAND, cmd->opcode);
}

static bool engine_fetch(EdgpuEngine *e, EdgpuFault *fault)
{
    EdgpuCommand *cmd = &e->cmd;
    uint8_t slot[EDGPU_CMD_SIZE];
    uint64_t offset = (uint64_t)e->head * EDGPU_CMD_SIZE;

    if (e->ring_base > UINT64_MAX - offset) {
        return edgpu_fail(fault, EDGPU_FAULT_DMA_LIMIT, e->ring_base);
    }
    if (!edgpu_dma(e->gpu, e->ring_base + offset, slot, sizeof(slot), false,
                   fault)) {
        return false;
    }
    *cmd = (EdgpuCommand) {
        .opcode = ldl_le_p(slot + EDGPU_CMD_OPCODE),
        .flags = ldl_le_p(slot + EDGPU_CMD_FLAGS),
        .src = ldq_le_p(slot + EDGPU_CMD_SRC),
        .dst = ldq_le_p(slot + EDGPU_CMD_DST),
        .len = ldq_le_p(slot + EDGPU_CMD_LEN),
        .src_nents = ldl_le_p(slot + EDGPU_CMD_SRC_NENTS),
        .dst_nents = ldl_le_p(slot + EDGPU_CMD_DST_NENTS),
        .value = ldq_le_p(slot + EDGPU_CMD_VALUE),
        .reserved = {
            ldq_le_p(slot + EDGPU_CMD_RESERVED),
            ldq_le_p(slot + EDGPU_CMD_RESERVED + 8),
        },
    };
    trace_edgpu_command(e->index, e->head, cmd->opcode, cmd->flags,
                        cmd->src, cmd->dst, cmd->len);
    return true;
}

/* memmove(): a linear copy upwards onto itself starts from the end. */
static bool engine_copies_backward(const EdgpuCommand *cmd)
{
    bool src_vram = cmd->flags & EDGPU_FLAG_SRC_VRAM;
    bool dst_vram = cmd->flags & EDGPU_FLAG_DST_VRAM;

    return cmd->opcode == EDGPU_OP_COPY &&
           !cmd->src_nents && !cmd->dst_nents && src_vram == dst_vram &&
           cmd->dst > cmd->src && cmd->dst - cmd->src < cmd->len;
}

/* After this, only a hole, the IOMMU or a change of the device can fault. */
static bool engine_start(EdgpuEngine *e, EdgpuFault *fault)
{
    const EdgpuCommand *cmd = &e->cmd;
    const EdgpuOp *op;

    if (!engine_fetch(e, fault) || !engine_check_slot(cmd, fault)) {
        return false;
    }
    op = &edgpu_ops[cmd->opcode];
    if (op->src &&
        !span_set_up(&e->src, e->gpu, cmd->flags & EDGPU_FLAG_SRC_VRAM,
                     cmd->src, cmd->len, cmd->src_nents, fault)) {
        return false;
    }
    if ((op->dst || command_has_result(cmd)) &&
        !span_set_up(&e->dst, e->gpu, cmd->flags & EDGPU_FLAG_DST_VRAM,
                     cmd->dst, op->dst ? cmd->len : EDGPU_RESULT_SIZE,
                     cmd->dst_nents, fault)) {
        return false;
    }
    edgpu_xxh64_init(&e->hash, cmd->value);
    e->backward = engine_copies_backward(cmd);
    e->done = 0;
    e->started = true;
    return true;
}

static uint64_t engine_chunk(const EdgpuEngine *e)
{
    const EdgpuOp *op = &edgpu_ops[e->cmd.opcode];
    uint64_t len = MIN(e->cmd.len - e->done, EDGPU_CHUNK);

    if (e->backward) {
        return len;
    }
    if (op->src) {
        len = MIN(len, span_left(&e->src));
    }
    if (op->dst) {
        len = MIN(len, span_left(&e->dst));
    }
    return len;
}

static bool engine_transfer(EdgpuEngine *e, uint64_t len, EdgpuFault *fault)
{
    const EdgpuOp *op = &edgpu_ops[e->cmd.opcode];

    if (!op->move(e, len, fault)) {
        return false;
    }
    e->done += len;
    if (op->src && !e->backward) {
        span_advance(&e->src, len);
    }
    if (op->dst && !e->backward) {
        span_advance(&e->dst, len);
    }
    return true;
}

static bool engine_write_result(EdgpuEngine *e, uint64_t value,
                                EdgpuFault *fault)
{
    uint8_t result[EDGPU_RESULT_SIZE];

    stq_le_p(result, value);
    return engine_write(e, e->dst.vram, span_addr(&e->dst), result,
                        sizeof(result), fault);
}

static void engine_forget_command(EdgpuEngine *e)
{
    span_clear(&e->src);
    span_clear(&e->dst);
    e->cmd = (EdgpuCommand) { };
    e->hash = (EdgpuXxh64) { };
    e->started = false;
    e->backward = false;
    e->done = 0;
}

static void engine_retire(EdgpuEngine *e)
{
    trace_edgpu_command_done(e->index, e->head);
    engine_forget_command(e);
    e->head = (e->head + 1) % e->ring_size;
    edgpu_command_retired(e->gpu);
}

static bool engine_finish(EdgpuEngine *e, EdgpuFault *fault)
{
    const EdgpuCommand *cmd = &e->cmd;
    bool irq = cmd->flags & EDGPU_FLAG_IRQ;

    if (command_has_result(cmd)) {
        uint64_t result = cmd->opcode == EDGPU_OP_CHECKSUM ?
                          edgpu_xxh64_digest(&e->hash) : cmd->value;

        if (!engine_write_result(e, result, fault)) {
            return false;
        }
    }
    if (cmd->opcode == EDGPU_OP_FENCE) {
        e->fence = cmd->value;
    }
    engine_retire(e);
    if (irq) {
        /* Last: who is woken by it sees the command retired. */
        edgpu_fence_completed(e->gpu, e->index);
    }
    return true;
}

/* ---- The timer ---- */

static bool engine_busy(const EdgpuEngine *e)
{
    return e->head != e->tail && !e->fault.kind;
}

static void engine_fault(EdgpuEngine *e, EdgpuFault fault)
{
    timer_del(&e->timer);
    engine_forget_command(e);
    e->fault = fault;
    e->fault_slot = e->head;
    e->fault_count++;
    edgpu_engine_faulted(e->gpu, e);
}

/* One step of the command at head; *@cost is the work it was, in bytes. */
static bool engine_step(EdgpuEngine *e, uint64_t *cost, EdgpuFault *fault)
{
    if (!edgpu_powered(e->gpu, fault)) {
        return false;
    }
    if (!e->started) {
        if (!engine_start(e, fault)) {
            return false;
        }
        *cost = e->src.list_size + e->dst.list_size;
    }
    if (e->done < e->cmd.len) {
        uint64_t len = engine_chunk(e);

        *cost += len;
        if (!engine_transfer(e, len, fault)) {
            return false;
        }
    }
    return e->done < e->cmd.len || engine_finish(e, fault);
}

static void engine_schedule(EdgpuEngine *e)
{
    timer_mod(&e->timer,
              qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL) + EDGPU_SLICE_NS);
}

static void engine_slice(void *opaque)
{
    EdgpuEngine *e = opaque;
    uint64_t work = 0;

    while (work < EDGPU_SLICE && engine_busy(e)) {
        EdgpuFault fault;
        uint64_t cost = 0;

        if (!engine_step(e, &cost, &fault)) {
            engine_fault(e, fault);
            return;
        }
        work += MAX(cost, EDGPU_STEP_COST);
    }
    if (engine_busy(e)) {
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
        return;                 /* the ring is forgotten with the fault */
    }
    /* A tail that falls back would take submitted slots away, or lap head. */
    if (tail >= e->ring_size ||
        engine_distance(e, tail) < engine_distance(e, e->tail)) {
        engine_fault(e, (EdgpuFault) { EDGPU_FAULT_RING_OVERRUN, tail });
        return;
    }
    e->tail = tail;
    if (engine_busy(e) && !timer_pending(&e->timer)) {
        engine_schedule(e);
    }
}

void edgpu_engine_reset(EdgpuEngine *e)
{
    trace_edgpu_engine_reset(e->index);
    timer_del(&e->timer);
    engine_forget_command(e);
    e->ring_base = 0;
    e->ring_size = 0;
    e->head = 0;
    e->tail = 0;
    e->fault = (EdgpuFault) { };
    e->fault_slot = 0;
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
    e->bounce = g_malloc(EDGPU_CHUNK);
    timer_init_ns(&e->timer, QEMU_CLOCK_VIRTUAL, engine_slice, e);
}

void edgpu_engine_exit(EdgpuEngine *e)
{
    timer_del(&e->timer);
    engine_forget_command(e);
    g_clear_pointer(&e->bounce, g_free);
}

/* ---- Migration ---- */

/* Before the list is allocated: a stream may come from anywhere. */
static bool span_list_size_valid(void *opaque, int version_id)
{
    EdgpuSpan *span = opaque;

    return span->list_size % EDGPU_SG_SIZE == 0 &&
           span->list_size <= EDGPU_MAX_SG_ENTRIES * EDGPU_SG_SIZE;
}

static const VMStateDescription vmstate_edgpu_span = {
    .name = "edgpu-span",
    .version_id = 1,
    .minimum_version_id = 1,
    .fields = (const VMStateField[]) {
        VMSTATE_BOOL(vram, EdgpuSpan),
        VMSTATE_UINT32(list_size, EdgpuSpan),
        VMSTATE_VALIDATE("scatter list size", span_list_size_valid),
        VMSTATE_VBUFFER_ALLOC_UINT32(list, EdgpuSpan, 0, NULL, list_size),
        VMSTATE_UINT32(next, EdgpuSpan),
        VMSTATE_UINT64(offset, EdgpuSpan),
        VMSTATE_END_OF_LIST()
    }
};

static const VMStateDescription vmstate_edgpu_command = {
    .name = "edgpu-command",
    .version_id = 1,
    .minimum_version_id = 1,
    .fields = (const VMStateField[]) {
        VMSTATE_UINT32(opcode, EdgpuCommand),
        VMSTATE_UINT32(flags, EdgpuCommand),
        VMSTATE_UINT64(src, EdgpuCommand),
        VMSTATE_UINT64(dst, EdgpuCommand),
        VMSTATE_UINT64(len, EdgpuCommand),
        VMSTATE_UINT32(src_nents, EdgpuCommand),
        VMSTATE_UINT32(dst_nents, EdgpuCommand),
        VMSTATE_UINT64(value, EdgpuCommand),
        VMSTATE_END_OF_LIST()
    }
};

static int engine_pre_load(void *opaque)
{
    engine_forget_command(opaque);
    return 0;
}

/* Do the entries from here on hold just @left bytes, as a slice relies on? */
static bool span_loaded_well(const EdgpuSpan *span, uint64_t left)
{
    uint64_t offset = span->offset;

    if (span->next % EDGPU_SG_SIZE || span->next > span->list_size) {
        return false;
    }
    for (uint32_t i = span->next; i < span->list_size; i += EDGPU_SG_SIZE) {
        uint64_t entry_len = ldq_le_p(span->list + i + EDGPU_SG_LEN);

        if (offset >= entry_len || entry_len - offset > left) {
            return false;
        }
        left -= entry_len - offset;
        offset = 0;
    }
    return left == 0;
}

static bool command_loaded_well(const EdgpuEngine *e)
{
    const EdgpuCommand *cmd = &e->cmd;
    const EdgpuOp *op;
    EdgpuFault ignored;
    uint64_t left;

    if (!engine_check_slot(cmd, &ignored) || e->done >= cmd->len ||
        e->backward != engine_copies_backward(cmd)) {
        return false;
    }
    op = &edgpu_ops[cmd->opcode];
    left = e->backward ? cmd->len : cmd->len - e->done;
    return span_loaded_well(&e->src, op->src ? left : 0) &&
           span_loaded_well(&e->dst, op->dst ? left : EDGPU_RESULT_SIZE);
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
        (e->started && !(engine_busy(e) && command_loaded_well(e)))) {
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
        VMSTATE_BOOL(started, EdgpuEngine),
        VMSTATE_BOOL(backward, EdgpuEngine),
        VMSTATE_STRUCT(cmd, EdgpuEngine, 1, vmstate_edgpu_command,
                       EdgpuCommand),
        VMSTATE_STRUCT(src, EdgpuEngine, 1, vmstate_edgpu_span, EdgpuSpan),
        VMSTATE_STRUCT(dst, EdgpuEngine, 1, vmstate_edgpu_span, EdgpuSpan),
        VMSTATE_UINT64(done, EdgpuEngine),
        VMSTATE_STRUCT(hash, EdgpuEngine, 1, vmstate_edgpu_xxh64, EdgpuXxh64),
        VMSTATE_END_OF_LIST()
    }
};
