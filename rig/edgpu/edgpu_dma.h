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

/* Is all of [addr, addr + len) within dma-bits? Touches nothing. */
bool edgpu_dma_reachable(EdgpuState *s, uint64_t addr, uint64_t len,
                         EdgpuFault *fault);

/*
 * The only way to system memory. Bytes below the faulting address have been
 * transferred, none from there on.
 */
bool edgpu_dma(EdgpuState *s, uint64_t addr, void *buf, uint64_t len,
               bool write, EdgpuFault *fault);

/* The only way to VRAM: its bytes, or NULL if the range leaves it. */
uint8_t *edgpu_vram(EdgpuState *s, uint64_t offset, uint64_t len,
                    EdgpuFault *fault);
void edgpu_vram_written(EdgpuState *s, uint64_t offset, uint64_t len);

#endif /* EDGPU_DMA_H */
