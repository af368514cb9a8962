/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One command of an edgpu engine: read it, check all of it, move its bytes in
 * bounded steps, write its result.
 */
#include "qemu/osdep.h"
#include "qemu/bswap.h"
#include "qemu/bitops.h"
#include "qemu/units.h"
#include "edgpu_command.h"

/* Bytes moved at once, through a buffer that stays in the host's cache. */
#define EDGPU_UNIT              (64 * KiB)

#define EDGPU_FLAGS_SRC         (EDGPU_FLAG_SRC_VRAM | EDGPU_FLAG_SRC_SG)
#define EDGPU_FLAGS_DST         (EDGPU_FLAG_DST_VRAM | EDGPU_FLAG_DST_SG)

/* ---- Moving bytes ---- */

/* A unit of the source, where it is or in the bounce buffer. */
static const void *work_map_src(EdgpuWork *w, uint64_t skip, uint64_t len,
                            EdgpuFault *fault)
{
    uint64_t addr = edgpu_span_addr(&w->src) + skip;

    return w->src.vram ? edgpu_vram(w->gpu, addr, len, fault)
                       : edgpu_dma_map_read(w->gpu, addr, w->bounce, len, fault);
}

static bool work_write(EdgpuWork *w, uint64_t skip, const void *buf,
                       uint64_t len, EdgpuFault *fault)
{
    uint64_t addr = edgpu_span_addr(&w->dst) + skip;
    uint8_t *vram;

    if (!w->dst.vram) {
        return edgpu_dma_write(w->gpu, addr, buf, len, w->bounce, fault);
    }
    vram = edgpu_vram(w->gpu, addr, len, fault);
    if (!vram) {
        return false;
    }
    memmove(vram, buf, len);
    edgpu_vram_written(w->gpu, addr, len);
    return true;
}

/*
 * The source may be an alias of the destination (VRAM seen through its own
 * BAR, two IOVAs for one page): a unit is moved as by memmove().
 */
static bool work_copy(EdgpuWork *w, uint64_t len, EdgpuFault *fault)
{
    /* A backward copy is linear: one entry on each side, from the end. */
    uint64_t skip = w->backward ? w->cmd.len - w->done - len : 0;
    const void *unit = work_map_src(w, skip, len, fault);

    return unit && work_write(w, skip, unit, len, fault);
}

static bool work_fill(EdgpuWork *w, uint64_t len, EdgpuFault *fault)
{
    /* Entries of a scatter list may end in the middle of the pattern. */
    uint64_t pattern = ror64(w->cmd.value, 8 * (w->done % 8));

    for (uint64_t i = 0; i < ROUND_UP(len, 8); i += 8) {
        stq_le_p(w->bounce + i, pattern);
    }
    return work_write(w, 0, w->bounce, len, fault);
}

static bool work_hash(EdgpuWork *w, uint64_t len, EdgpuFault *fault)
{
    const void *unit = work_map_src(w, 0, len, fault);

    if (unit) {
        edgpu_xxh64_update(&w->hash, unit, len);
    }
    return unit;
}

/* ---- Commands ---- */

/* What an opcode may ask for; anything else in its slot is a bad command. */
typedef struct EdgpuOp {
    uint32_t flags;             /* allowed */
    uint32_t align;             /* of len; 0 if len must be 0 */
    bool src;                   /* reads len bytes at src */
    bool dst;                   /* writes len bytes at dst; a result if not */
    bool (*move)(EdgpuWork *w, uint64_t len, EdgpuFault *fault);
} EdgpuOp;

static const EdgpuOp edgpu_ops[EDGPU_OPS] = {
    [EDGPU_OP_NOP] = { },
    [EDGPU_OP_COPY] = {
        .flags = EDGPU_FLAGS_SRC | EDGPU_FLAGS_DST,
        .align = 1, .src = true, .dst = true, .move = work_copy,
    },
    [EDGPU_OP_FILL] = {
        .flags = EDGPU_FLAGS_DST,
        .align = 8, .dst = true, .move = work_fill,
    },
    [EDGPU_OP_CHECKSUM] = {
        .flags = EDGPU_FLAGS_SRC | EDGPU_FLAG_DST_VRAM,
        .align = 1, .src = true, .move = work_hash,
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

/* Bytes that are written at dst; 0 where the command writes none. */
static uint64_t command_dst_len(const EdgpuCommand *cmd)
{
    return edgpu_ops[cmd->opcode].dst ? cmd->len
           : command_has_result(cmd) ? EDGPU_RESULT_SIZE : 0;
}

/* ---- The steps of a command ---- */

static bool command_check(const EdgpuCommand *cmd, EdgpuFault *fault)
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
    return edgpu_refuse(fault, EDGPU_FAULT_BAD_COMMAND, cmd->opcode);
}

bool edgpu_work_fetch(EdgpuWork *w, uint64_t addr, EdgpuFault *fault)
{
    EdgpuCommand *cmd = &w->cmd;
    uint8_t slot[EDGPU_CMD_SIZE];

    if (!edgpu_dma_read(w->gpu, addr, slot, sizeof(slot), fault)) {
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
    return true;
}

/* memmove(): a linear copy upwards onto itself starts from the end. */
static bool command_copies_backward(const EdgpuCommand *cmd)
{
    bool src_vram = cmd->flags & EDGPU_FLAG_SRC_VRAM;
    bool dst_vram = cmd->flags & EDGPU_FLAG_DST_VRAM;

    return cmd->opcode == EDGPU_OP_COPY &&
           !cmd->src_nents && !cmd->dst_nents && src_vram == dst_vram &&
           cmd->dst > cmd->src && cmd->dst - cmd->src < cmd->len;
}

bool edgpu_work_start(EdgpuWork *w, EdgpuFault *fault)
{
    const EdgpuCommand *cmd = &w->cmd;
    uint64_t dst_len;

    if (!command_check(cmd, fault)) {
        return false;
    }
    if (edgpu_ops[cmd->opcode].src &&
        !edgpu_span_set(&w->src, w->gpu, cmd->flags & EDGPU_FLAG_SRC_VRAM,
                        cmd->src, cmd->len, cmd->src_nents, fault)) {
        return false;
    }
    dst_len = command_dst_len(cmd);
    if (dst_len &&
        !edgpu_span_set(&w->dst, w->gpu, cmd->flags & EDGPU_FLAG_DST_VRAM,
                        cmd->dst, dst_len, cmd->dst_nents, fault)) {
        return false;
    }
    edgpu_xxh64_init(&w->hash, cmd->value);
    w->backward = command_copies_backward(cmd);
    w->done = 0;
    w->started = true;
    return true;
}

static uint64_t work_unit(const EdgpuWork *w)
{
    const EdgpuOp *op = &edgpu_ops[w->cmd.opcode];
    uint64_t len = MIN(w->cmd.len - w->done, EDGPU_UNIT);

    if (w->backward) {
        return len;
    }
    if (op->src) {
        len = MIN(len, edgpu_span_left(&w->src));
    }
    if (op->dst) {
        len = MIN(len, edgpu_span_left(&w->dst));
    }
    return len;
}

bool edgpu_work_move(EdgpuWork *w, uint64_t *len, EdgpuFault *fault)
{
    const EdgpuOp *op = &edgpu_ops[w->cmd.opcode];

    *len = work_unit(w);
    if (!op->move(w, *len, fault)) {
        return false;
    }
    w->done += *len;
    if (op->src && !w->backward) {
        edgpu_span_advance(&w->src, *len);
    }
    if (op->dst && !w->backward) {
        edgpu_span_advance(&w->dst, *len);
    }
    return true;
}

bool edgpu_work_finish(EdgpuWork *w, EdgpuFault *fault)
{
    const EdgpuCommand *cmd = &w->cmd;
    uint8_t result[EDGPU_RESULT_SIZE];

    if (!command_has_result(cmd)) {
        return true;
    }
    stq_le_p(result, cmd->opcode == EDGPU_OP_CHECKSUM ?
                     edgpu_xxh64_digest(&w->hash) : cmd->value);
    return work_write(w, 0, result, sizeof(result), fault);
}

void edgpu_work_clear(EdgpuWork *w)
{
    edgpu_span_clear(&w->src);
    edgpu_span_clear(&w->dst);
    w->cmd = (EdgpuCommand) { };
    w->hash = (EdgpuXxh64) { };
    w->started = false;
    w->backward = false;
    w->done = 0;
}

void edgpu_work_init(EdgpuWork *w, EdgpuState *gpu)
{
    w->gpu = gpu;
    w->bounce = g_malloc(EDGPU_UNIT);
}

void edgpu_work_exit(EdgpuWork *w)
{
    edgpu_work_clear(w);
    g_clear_pointer(&w->bounce, g_free);
}

/* ---- Migration ---- */

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

/* A command that has not started has nothing but its bounce buffer. */
static bool work_is_clear(const EdgpuWork *w)
{
    return !w->backward && !w->done && edgpu_span_is_clear(&w->src) &&
           edgpu_span_is_clear(&w->dst);
}

bool edgpu_work_valid(const EdgpuWork *w)
{
    const EdgpuCommand *cmd = &w->cmd;
    const EdgpuOp *op;
    EdgpuFault ignored;
    uint64_t left;

    if (!w->started) {
        return work_is_clear(w);
    }
    if (!command_check(cmd, &ignored) || w->done > cmd->len ||
        w->backward != command_copies_backward(cmd)) {
        return false;
    }
    op = &edgpu_ops[cmd->opcode];
    /* The operands of a backward copy stay at their start. */
    left = w->backward ? cmd->len : cmd->len - w->done;
    return edgpu_span_holds(&w->src, op->src ? left : 0) &&
           edgpu_span_holds(&w->dst, op->dst ? left : command_dst_len(cmd));
}

const VMStateDescription vmstate_edgpu_work = {
    .name = "edgpu-work",
    .version_id = 1,
    .minimum_version_id = 1,
    .fields = (const VMStateField[]) {
        VMSTATE_BOOL(started, EdgpuWork),
        VMSTATE_BOOL(backward, EdgpuWork),
        VMSTATE_STRUCT(cmd, EdgpuWork, 1, vmstate_edgpu_command,
                       EdgpuCommand),
        VMSTATE_STRUCT(src, EdgpuWork, 1, vmstate_edgpu_span, EdgpuSpan),
        VMSTATE_STRUCT(dst, EdgpuWork, 1, vmstate_edgpu_span, EdgpuSpan),
        VMSTATE_UINT64(done, EdgpuWork),
        VMSTATE_STRUCT(hash, EdgpuWork, 1, vmstate_edgpu_xxh64, EdgpuXxh64),
        VMSTATE_END_OF_LIST()
    }
};
