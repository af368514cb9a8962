/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where the bytes of one operand of a command are, and which of them comes
 * next: one run of addresses, or a scatter list.
 */
#include "qemu/osdep.h"
#include "qemu/bswap.h"
#include "edgpu_regs.h"
#include "edgpu_span.h"

void edgpu_span_clear(EdgpuSpan *span)
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
    return edgpu_dma_read(gpu, addr, span->list, span->list_size, fault);
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
            return edgpu_refuse(fault, EDGPU_FAULT_BAD_COMMAND, at + i);
        }
        if (!span_check_range(gpu, span->vram, entry_addr, entry_len, fault)) {
            return false;
        }
        left -= entry_len;
    }
    return true;
}

bool edgpu_span_set(EdgpuSpan *span, EdgpuState *gpu, bool vram,
                    uint64_t addr, uint64_t len, uint32_t nents,
                    EdgpuFault *fault)
{
    edgpu_span_clear(span);
    span->vram = vram;
    if (!nents) {
        span_set_linear(span, addr, len);
        return span_check_range(gpu, vram, addr, len, fault);
    }
    return span_fetch_list(span, gpu, addr, nents, fault) &&
           span_check_list(span, gpu, addr, len, fault);
}

uint64_t edgpu_span_addr(const EdgpuSpan *span)
{
    return ldq_le_p(span->list + span->next + EDGPU_SG_ADDR) + span->offset;
}

uint64_t edgpu_span_left(const EdgpuSpan *span)
{
    return ldq_le_p(span->list + span->next + EDGPU_SG_LEN) - span->offset;
}

void edgpu_span_advance(EdgpuSpan *span, uint64_t len)
{
    if (len < edgpu_span_left(span)) {
        span->offset += len;
    } else {
        span->next += EDGPU_SG_SIZE;
        span->offset = 0;
    }
}

/* ---- Migration ---- */

/* Before the list is allocated: a stream may come from anywhere. */
static bool span_list_size_valid(void *opaque, int version_id)
{
    EdgpuSpan *span = opaque;

    return span->list_size % EDGPU_SG_SIZE == 0 &&
           span->list_size <= EDGPU_MAX_SG_ENTRIES * EDGPU_SG_SIZE;
}

const VMStateDescription vmstate_edgpu_span = {
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

bool edgpu_span_is_clear(const EdgpuSpan *span)
{
    return !span->list_size && !span->next && !span->offset;
}

bool edgpu_span_holds(const EdgpuSpan *span, uint64_t left)
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

