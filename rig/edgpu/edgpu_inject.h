/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What an edgpu device is asked to do wrong, and when: one-shot failures that
 * wait for the k-th event of their kind.
 *
 * This part checks, lists, counts and hands out; edgpu_failure.c does what is
 * due. The failures are those of edgpu.qapi, described in edgpu.md.
 */
#ifndef EDGPU_INJECT_H
#define EDGPU_INJECT_H

#include "migration/vmstate.h"
#include "qapi/qapi-types-edgpu.h"

/* What they wait for. */
typedef enum EdgpuInjectEvent {
    EDGPU_EVENT_NOW,
    EDGPU_EVENT_START,          /* an engine is about to start a command */
    EDGPU_EVENT_RETIRE,         /* an engine has done all of a command */
    EDGPU_EVENT_MESSAGE,        /* a vector is about to send its message */
} EdgpuInjectEvent;

#define EDGPU_INJECT_ANY        UINT32_MAX
#define EDGPU_MAX_INJECTIONS    32
#define EDGPU_MAX_DELAY_NS      (3600 * 1000000000ull)

typedef struct EdgpuInjection {
    uint32_t kind;              /* EdgpuFailureKind */
    uint32_t index;             /* engine or vector, or EDGPU_INJECT_ANY */
    uint64_t at;                /* events until it happens; 0 is now */
    uint64_t ns;
    uint64_t offset;
    uint32_t bit;
} EdgpuInjection;

typedef struct EdgpuInjector {
    uint32_t count;
    EdgpuInjection pending[EDGPU_MAX_INJECTIONS];   /* in order of arrival */
} EdgpuInjector;

typedef struct EdgpuInjectLimits {
    uint32_t engines;
    uint32_t vectors;
    uint64_t vram_size;
} EdgpuInjectLimits;

/*
 * Adds all of @failures, or sets @errp and adds nothing. What is to happen now
 * is to be taken with EDGPU_EVENT_NOW.
 */
bool edgpu_injector_add(EdgpuInjector *inj, const EdgpuFailureList *failures,
                        const EdgpuInjectLimits *limits, Error **errp);
bool edgpu_injector_has(const EdgpuInjector *inj, EdgpuFailureKind kind);

/* One event went by: everything that waits for it is one nearer. */
void edgpu_injector_count(EdgpuInjector *inj, EdgpuInjectEvent event,
                          uint32_t index);
/* Takes out, in order of arrival, what is due at an event that was counted. */
bool edgpu_injector_take(EdgpuInjector *inj, EdgpuInjectEvent event,
                         EdgpuInjection *due);

EdgpuFailure *edgpu_injection_describe(const EdgpuInjection *injection);
EdgpuFailureList *edgpu_injector_describe(const EdgpuInjector *inj);

bool edgpu_injector_valid(const EdgpuInjector *inj,
                          const EdgpuInjectLimits *limits);

extern const VMStateDescription vmstate_edgpu_injector;

#endif /* EDGPU_INJECT_H */
