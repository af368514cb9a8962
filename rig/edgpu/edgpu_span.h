/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where the bytes of one operand of a command are, and which of them comes
 * next: one run of addresses, or a scatter list.
 */
#ifndef EDGPU_SPAN_H
#define EDGPU_SPAN_H

#include "migration/vmstate.h"
#include "edgpu_dma.h"

typedef struct EdgpuSpan {
    bool vram;
    uint32_t list_size;         /* bytes */
    uint8_t *list;              /* entries as in memory; made up if linear */
    uint32_t next;              /* offset in the list */
    uint64_t offset;            /* within that entry */
} EdgpuSpan;

/* Reads the scatter list, if @nents, and checks all of the addresses. */
bool edgpu_span_set(EdgpuSpan *span, EdgpuState *gpu, bool vram,
                    uint64_t addr, uint64_t len, uint32_t nents,
                    EdgpuFault *fault);
void edgpu_span_clear(EdgpuSpan *span);

uint64_t edgpu_span_addr(const EdgpuSpan *span);
/* Bytes from here to the end of the entry. */
uint64_t edgpu_span_left(const EdgpuSpan *span);
/* @len: not beyond the end of the entry. */
void edgpu_span_advance(EdgpuSpan *span, uint64_t len);

bool edgpu_span_is_clear(const EdgpuSpan *span);
/* Do the entries from here on hold just @left bytes, as a slice relies on? */
bool edgpu_span_holds(const EdgpuSpan *span, uint64_t left);

extern const VMStateDescription vmstate_edgpu_span;

#endif /* EDGPU_SPAN_H */
