/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * XXH64 over data that arrives in pieces.
 */
#include "qemu/osdep.h"
#include "qemu/bswap.h"
#include "qemu/xxhash.h"
#include "edgpu_xxh64.h"

#define STRIPE 32

void edgpu_xxh64_init(EdgpuXxh64 *h, uint64_t seed)
{
    *h = (EdgpuXxh64) {
        .seed = seed,
        .lane = {
            seed + XXH_PRIME64_1 + XXH_PRIME64_2,
            seed + XXH_PRIME64_2,
            seed,
            seed - XXH_PRIME64_1,
        },
    };
}

static const uint8_t *hash_stripes(EdgpuXxh64 *h, const uint8_t *p, size_t n)
{
    uint64_t a = h->lane[0], b = h->lane[1], c = h->lane[2], d = h->lane[3];

    for (; n; n--, p += STRIPE) {
        a = XXH64_round(a, ldq_le_p(p));
        b = XXH64_round(b, ldq_le_p(p + 8));
        c = XXH64_round(c, ldq_le_p(p + 16));
        d = XXH64_round(d, ldq_le_p(p + 24));
    }
    h->lane[0] = a;
    h->lane[1] = b;
    h->lane[2] = c;
    h->lane[3] = d;
    return p;
}

void edgpu_xxh64_update(EdgpuXxh64 *h, const uint8_t *data, size_t len)
{
    size_t held = h->len % STRIPE;

    h->len += len;
    if (held) {
        size_t n = MIN(len, STRIPE - held);

        memcpy(h->tail + held, data, n);
        data += n;
        len -= n;
        if (held + n < STRIPE) {
            return;
        }
        hash_stripes(h, h->tail, 1);
    }
    data = hash_stripes(h, data, len / STRIPE);
    memcpy(h->tail, data, len % STRIPE);
}

uint64_t edgpu_xxh64_digest(const EdgpuXxh64 *h)
{
    const uint8_t *p = h->tail, *end = p + h->len % STRIPE;
    uint64_t hash;

    if (h->len >= STRIPE) {
        hash = XXH64_mergerounds(h->lane[0], h->lane[1],
                                 h->lane[2], h->lane[3]);
    } else {
        hash = h->seed + XXH_PRIME64_5;
    }
    hash += h->len;

    for (; end - p >= 8; p += 8) {
        hash ^= XXH64_round(0, ldq_le_p(p));
        hash = rol64(hash, 27) * XXH_PRIME64_1 + XXH_PRIME64_4;
    }
    if (end - p >= 4) {
        hash ^= (uint32_t)ldl_le_p(p) * XXH_PRIME64_1;
        hash = rol64(hash, 23) * XXH_PRIME64_2 + XXH_PRIME64_3;
        p += 4;
    }
    for (; p < end; p++) {
        hash ^= *p * XXH_PRIME64_5;
        hash = rol64(hash, 11) * XXH_PRIME64_1;
    }
    return XXH64_avalanche(hash);
}

const VMStateDescription vmstate_edgpu_xxh64 = {
    .name = "edgpu-xxh64",
    .version_id = 1,
    .minimum_version_id = 1,
    .fields = (const VMStateField[]) {
        VMSTATE_UINT64(seed, EdgpuXxh64),
        VMSTATE_UINT64(len, EdgpuXxh64),
        VMSTATE_UINT64_ARRAY(lane, EdgpuXxh64, 4),
        VMSTATE_UINT8_ARRAY(tail, EdgpuXxh64, 32),
        VMSTATE_END_OF_LIST()
    }
};
