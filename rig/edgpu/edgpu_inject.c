/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What an edgpu device is asked to do wrong, and when: one-shot failures that
 * wait for the k-th event of their kind.
 */
#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qapi/util.h"
#include "edgpu_inject.h"

static const EdgpuInjectEvent injection_events[EDGPU_FAILURE_KIND__MAX] = {
    [EDGPU_FAILURE_KIND_HANG] = EDGPU_EVENT_START,
    [EDGPU_FAILURE_KIND_ERROR] = EDGPU_EVENT_START,
    [EDGPU_FAILURE_KIND_DELAY] = EDGPU_EVENT_START,
    [EDGPU_FAILURE_KIND_FLIP] = EDGPU_EVENT_RETIRE,
    [EDGPU_FAILURE_KIND_DROP_IRQ] = EDGPU_EVENT_MESSAGE,
    [EDGPU_FAILURE_KIND_DEAD] = EDGPU_EVENT_START,
    [EDGPU_FAILURE_KIND_UNPLUG] = EDGPU_EVENT_START,
};

/* ---- From QAPI ---- */

static bool check_range(const char *member, uint64_t value, uint64_t min,
                        uint64_t max, Error **errp)
{
    if (value < min || value > max) {
        error_setg(errp, "'%s' must be %" PRIu64 " to %" PRIu64, member, min,
                   max);
        return false;
    }
    return true;
}

static bool read_engine(const EdgpuEngineFailure *from,
                        const EdgpuInjectLimits *limits,
                        EdgpuInjection *injection, Error **errp)
{
    if (!from->has_engine) {
        return true;
    }
    injection->index = from->engine;
    return check_range("engine", from->engine, 0, limits->engines - 1, errp);
}

static bool read_delay(const EdgpuDelay *from, const EdgpuInjectLimits *limits,
                       EdgpuInjection *injection, Error **errp)
{
    injection->ns = from->ns;
    return read_engine(qapi_EdgpuDelay_base(from), limits, injection, errp) &&
           check_range("ns", from->ns, 1, EDGPU_MAX_DELAY_NS, errp);
}

static bool read_flip(const EdgpuFlip *from, const EdgpuInjectLimits *limits,
                      EdgpuInjection *injection, Error **errp)
{
    injection->offset = from->offset;
    injection->bit = from->has_bit ? from->bit : 0;
    return read_engine(qapi_EdgpuFlip_base(from), limits, injection, errp) &&
           check_range("offset", from->offset, 0, limits->vram_size - 1,
                       errp) &&
           check_range("bit", injection->bit, 0, 7, errp);
}

static bool read_dropped_message(const EdgpuDroppedMessage *from,
                                 const EdgpuInjectLimits *limits,
                                 EdgpuInjection *injection, Error **errp)
{
    if (!from->has_vector) {
        return true;
    }
    injection->index = from->vector;
    return check_range("vector", from->vector, 0, limits->vectors - 1, errp);
}

static bool read_arm(const EdgpuFailure *from, const EdgpuInjectLimits *limits,
                     EdgpuInjection *injection, Error **errp)
{
    switch (from->kind) {
    case EDGPU_FAILURE_KIND_HANG:
        return read_engine(&from->u.hang, limits, injection, errp);
    case EDGPU_FAILURE_KIND_ERROR:
        return read_engine(&from->u.error, limits, injection, errp);
    case EDGPU_FAILURE_KIND_DELAY:
        return read_delay(&from->u.delay, limits, injection, errp);
    case EDGPU_FAILURE_KIND_FLIP:
        return read_flip(&from->u.flip, limits, injection, errp);
    case EDGPU_FAILURE_KIND_DROP_IRQ:
        return read_dropped_message(&from->u.drop_irq, limits, injection,
                                    errp);
    case EDGPU_FAILURE_KIND_DEAD:
        return read_engine(&from->u.dead, limits, injection, errp);
    case EDGPU_FAILURE_KIND_UNPLUG:
        return read_engine(&from->u.unplug, limits, injection, errp);
    default:
        g_assert_not_reached();
    }
}

/* Does it happen at once where nothing says when? */
static bool may_be_now(EdgpuFailureKind kind)
{
    return kind == EDGPU_FAILURE_KIND_FLIP ||
           kind == EDGPU_FAILURE_KIND_DEAD ||
           kind == EDGPU_FAILURE_KIND_UNPLUG;
}

static bool read_failure(const EdgpuFailure *from,
                         const EdgpuInjectLimits *limits,
                         EdgpuInjection *injection, Error **errp)
{
    *injection = (EdgpuInjection) {
        .kind = from->kind, .index = EDGPU_INJECT_ANY,
    };
    if (!read_arm(from, limits, injection, errp)) {
        return false;
    }
    if (!from->has_at) {
        injection->at = !(may_be_now(from->kind) &&
                          injection->index == EDGPU_INJECT_ANY);
        return true;
    }
    injection->at = from->at;
    /* QEMU takes a negative number for a large one. */
    return check_range("at", from->at, 1, INT64_MAX, errp);
}

bool edgpu_injector_add(EdgpuInjector *inj, const EdgpuFailureList *failures,
                        const EdgpuInjectLimits *limits, Error **errp)
{
    ERRP_GUARD();
    EdgpuInjector with = *inj;
    unsigned i = 0;

    if (!failures) {
        error_setg(errp, "The list of failures is empty");
        return false;
    }
    for (; failures; failures = failures->next, i++) {
        EdgpuInjection one;

        if (!read_failure(failures->value, limits, &one, errp)) {
            error_prepend(errp, "Failure %u of the list (%s): ", i + 1,
                          EdgpuFailureKind_str(failures->value->kind));
            return false;
        }
        if (with.count == EDGPU_MAX_INJECTIONS) {
            error_setg(errp, "No more than %u failures can be pending",
                       EDGPU_MAX_INJECTIONS);
            return false;
        }
        with.pending[with.count++] = one;
    }
    *inj = with;
    return true;
}

/* ---- To QAPI ---- */

EdgpuFailure *edgpu_injection_describe(const EdgpuInjection *injection)
{
    EdgpuFailure *to = g_new0(EdgpuFailure, 1);
    bool any = injection->index == EDGPU_INJECT_ANY;
    const EdgpuEngineFailure engine = {
        .has_engine = !any, .engine = any ? 0 : injection->index,
    };

    to->kind = injection->kind;
    to->has_at = injection->at != 0;
    to->at = injection->at;
    switch (to->kind) {
    case EDGPU_FAILURE_KIND_HANG:
        to->u.hang = engine;
        break;
    case EDGPU_FAILURE_KIND_ERROR:
        to->u.error = engine;
        break;
    case EDGPU_FAILURE_KIND_DELAY:
        *qapi_EdgpuDelay_base(&to->u.delay) = engine;
        to->u.delay.ns = injection->ns;
        break;
    case EDGPU_FAILURE_KIND_FLIP:
        *qapi_EdgpuFlip_base(&to->u.flip) = engine;
        to->u.flip.offset = injection->offset;
        to->u.flip.has_bit = true;
        to->u.flip.bit = injection->bit;
        break;
    case EDGPU_FAILURE_KIND_DROP_IRQ:
        to->u.drop_irq = (EdgpuDroppedMessage) {
            .has_vector = !any, .vector = any ? 0 : injection->index,
        };
        break;
    case EDGPU_FAILURE_KIND_DEAD:
        to->u.dead = engine;
        break;
    case EDGPU_FAILURE_KIND_UNPLUG:
        to->u.unplug = engine;
        break;
    default:
        g_assert_not_reached();
    }
    return to;
}

EdgpuFailureList *edgpu_injector_describe(const EdgpuInjector *inj)
{
    EdgpuFailureList *list = NULL;
    EdgpuFailureList **tail = &list;

    for (uint32_t i = 0; i < inj->count; i++) {
        QAPI_LIST_APPEND(tail, edgpu_injection_describe(&inj->pending[i]));
    }
    return list;
}

/* ---- The list ---- */

bool edgpu_injector_has(const EdgpuInjector *inj, EdgpuFailureKind kind)
{
    for (uint32_t i = 0; i < inj->count; i++) {
        if (inj->pending[i].kind == kind) {
            return true;
        }
    }
    return false;
}

void edgpu_injector_count(EdgpuInjector *inj, EdgpuInjectEvent event,
                          uint32_t index)
{
    for (uint32_t i = 0; i < inj->count; i++) {
        EdgpuInjection *one = &inj->pending[i];

        if (one->at && injection_events[one->kind] == event &&
            (one->index == index || one->index == EDGPU_INJECT_ANY)) {
            one->at--;
        }
    }
}

bool edgpu_injector_take(EdgpuInjector *inj, EdgpuInjectEvent event,
                         EdgpuInjection *due)
{
    for (uint32_t i = 0; i < inj->count; i++) {
        EdgpuInjection *one = &inj->pending[i];

        if (!one->at && (event == EDGPU_EVENT_NOW ||
                         injection_events[one->kind] == event)) {
            *due = *one;
            inj->count--;
            memmove(one, one + 1, (inj->count - i) * sizeof(*one));
            return true;
        }
    }
    return false;
}

/* ---- Migration ---- */

bool edgpu_injector_valid(const EdgpuInjector *inj,
                          const EdgpuInjectLimits *limits)
{
    for (uint32_t i = 0; i < inj->count; i++) {
        const EdgpuInjection *one = &inj->pending[i];

        if (one->kind >= EDGPU_FAILURE_KIND__MAX || !one->at ||
            one->ns > EDGPU_MAX_DELAY_NS || one->bit > 7 ||
            one->offset >= limits->vram_size) {
            return false;
        }
    }
    return true;
}

static const VMStateDescription vmstate_edgpu_injection = {
    .name = "edgpu-injection",
    .version_id = 1,
    .minimum_version_id = 1,
    .fields = (const VMStateField[]) {
        VMSTATE_UINT32(kind, EdgpuInjection),
        VMSTATE_UINT32(index, EdgpuInjection),
        VMSTATE_UINT64(at, EdgpuInjection),
        VMSTATE_UINT64(ns, EdgpuInjection),
        VMSTATE_UINT64(offset, EdgpuInjection),
        VMSTATE_UINT32(bit, EdgpuInjection),
        VMSTATE_END_OF_LIST()
    }
};

/* Before as many are loaded: a stream may come from anywhere. */
static bool injector_count_valid(void *opaque, int version_id)
{
    return ((EdgpuInjector *)opaque)->count <= EDGPU_MAX_INJECTIONS;
}

const VMStateDescription vmstate_edgpu_injector = {
    .name = "edgpu-injector",
    .version_id = 1,
    .minimum_version_id = 1,
    .fields = (const VMStateField[]) {
        VMSTATE_UINT32(count, EdgpuInjector),
        VMSTATE_VALIDATE("number of injections", injector_count_valid),
        VMSTATE_STRUCT_VARRAY_UINT32(pending, EdgpuInjector, count, 1,
                                     vmstate_edgpu_injection, EdgpuInjection),
        VMSTATE_END_OF_LIST()
    }
};
