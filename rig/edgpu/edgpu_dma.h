/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The only ways of an edgpu's engines to memory: every access is checked here.
 *
 * The functions that return bool, or a pointer, set *@fault when they return
 * false or NULL.
 */
#ifndef EDGPU_DMA_H
#define EDGPU_DMA_H

typedef struct EdgpuState EdgpuState;

typedef struct EdgpuFault {
    uint32_t kind;              /* EDGPU_FAULT_* */
    uint64_t addr;              /* the first that offends */
} EdgpuFault;

bool edgpu_refuse(EdgpuFault *fault, uint32_t kind, uint64_t addr);

/* What configuration space allows: is it in D0, may it write to the bus? */
bool edgpu_powered(EdgpuState *s);
bool edgpu_bus_master(EdgpuState *s);

/*
 * Is all of [addr, addr + len) within dma-bits? Touches nothing; raises
 * *@highest to the last byte that was asked for.
 */
bool edgpu_within_limit(EdgpuState *s, uint64_t addr, uint64_t len,
                        uint64_t *highest, EdgpuFault *fault);
/* The same of an engine's access. */
bool edgpu_dma_reachable(EdgpuState *s, uint64_t addr, uint64_t len,
                         EdgpuFault *fault);

/*
 * The only ways to system memory. Where a write faults, the bytes below the
 * faulting address have been written, none from there on.
 */
bool edgpu_dma_read(EdgpuState *s, uint64_t addr, void *buf, uint64_t len,
                    EdgpuFault *fault);
/* Where the bytes are, until the BQL is let go: in place, or copied to @buf. */
const void *edgpu_dma_map_read(EdgpuState *s, uint64_t addr, void *buf,
                               uint64_t len, EdgpuFault *fault);
/*
 * All of @buf is as good as read before the first byte is written, even if the
 * address leads to it: @bounce, of the same size, may be needed for that.
 */
bool edgpu_dma_write(EdgpuState *s, uint64_t addr, const void *buf,
                     uint64_t len, void *bounce, EdgpuFault *fault);

/* The only way to VRAM: its bytes, or NULL if the range leaves it. */
uint8_t *edgpu_vram(EdgpuState *s, uint64_t offset, uint64_t len,
                    EdgpuFault *fault);
void edgpu_vram_written(EdgpuState *s, uint64_t offset, uint64_t len);

#endif /* EDGPU_DMA_H */
