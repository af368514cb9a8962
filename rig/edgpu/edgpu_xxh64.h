/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * XXH64 over data that arrives in pieces.
 *
 * The rounds are QEMU's (qemu/xxhash.h); this adds the state between pieces.
 */
#ifndef EDGPU_XXH64_H
#define EDGPU_XXH64_H

#include "migration/vmstate.h"

typedef struct EdgpuXxh64 {
    uint64_t seed;
    uint64_t len;               /* bytes hashed so far */
    uint64_t lane[4];
    uint8_t tail[32];           /* the len % 32 bytes not yet in a lane */
} EdgpuXxh64;

void edgpu_xxh64_init(EdgpuXxh64 *h, uint64_t seed);
void edgpu_xxh64_update(EdgpuXxh64 *h, const uint8_t *data, size_t len);
uint64_t edgpu_xxh64_digest(const EdgpuXxh64 *h);

extern const VMStateDescription vmstate_edgpu_xxh64;

#endif /* EDGPU_XXH64_H */
