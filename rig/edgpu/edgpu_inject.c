/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What an edgpu device is asked to do wrong, and when: one-shot failures that
 * wait for the k-th event of their kind.
 */
#include "qemu/osdep.h"
#include "qemu/bitops.h"
#include "qemu/ctype.h"
#include "qemu/cutils.h"
#include "qapi/error.h"
#include "edgpu_inject.h"

/* ---- The text form ---- */

typedef enum InjectKey {
    KEY_ENGINE, KEY_VECTOR, KEY_AT, KEY_NS, KEY_OFFSET, KEY_BIT, KEYS
} InjectKey;

static const char *const inject_keys[KEYS] = {
    [KEY_ENGINE] = "engine",
    [KEY_VECTOR] = "vector",
    [KEY_AT] = "at",
    [KEY_NS] = "ns",
    [KEY_OFFSET] = "offset",
    [KEY_BIT] = "bit",
};

typedef struct InjectKind {
    const char *name;
    EdgpuInjectEvent event;
    bool may_be_now;            /* happens at once if no event is named */
    unsigned allowed;           /* BIT(InjectKey) */
    unsigned needed;
} InjectKind;

#define KEYS_ENGINE     (BIT(KEY_ENGINE) | BIT(KEY_AT))

static const InjectKind inject_kinds[EDGPU_INJECT_KINDS] = {
    [EDGPU_INJECT_HANG] = { "hang", EDGPU_EVENT_START, false, KEYS_ENGINE },
    [EDGPU_INJECT_ERROR] = { "error", EDGPU_EVENT_START, false, KEYS_ENGINE },
    [EDGPU_INJECT_DELAY] = {
        "delay", EDGPU_EVENT_START, false, KEYS_ENGINE | BIT(KEY_NS),
        BIT(KEY_NS)
    },
    [EDGPU_INJECT_FLIP] = {
        "flip", EDGPU_EVENT_RETIRE, true,
        KEYS_ENGINE | BIT(KEY_OFFSET) | BIT(KEY_BIT), BIT(KEY_OFFSET)
    },
    [EDGPU_INJECT_DROP_IRQ] = {
        "drop-irq", EDGPU_EVENT_MESSAGE, false, BIT(KEY_VECTOR) | BIT(KEY_AT)
    },
    [EDGPU_INJECT_DEAD] = { "dead", EDGPU_EVENT_START, true, KEYS_ENGINE },
    [EDGPU_INJECT_UNPLUG] = { "unplug", EDGPU_EVENT_START, true, KEYS_ENGINE },
};

static bool inject_parse_kind(const char *word, uint32_t *kind, Error **errp)
{
    for (*kind = 0; *kind < EDGPU_INJECT_KINDS; (*kind)++) {
        if (g_str_equal(word, inject_kinds[*kind].name)) {
            return true;
        }
    }
    error_setg(errp, "inject: there is no '%s'; there are hang, error, delay, "
               "flip, drop-irq, dead, unplug and clear", word);
    return false;
}

/* "key=number", one of those that @kind allows. */
static bool inject_parse_word(const char *word, const InjectKind *kind,
                              uint64_t values[KEYS], unsigned *given,
                              Error **errp)
{
    const char *sign = strchr(word, '=');
    size_t len = sign ? sign - word : strlen(word);

    for (InjectKey key = 0; key < KEYS; key++) {
        if (strlen(inject_keys[key]) != len ||
            strncmp(word, inject_keys[key], len) ||
            !(kind->allowed & BIT(key))) {
            continue;
        }
        if (*given & BIT(key)) {
            error_setg(errp, "inject: '%s' is given twice", inject_keys[key]);
            return false;
        }
        if (!sign || !qemu_isdigit(sign[1]) ||
            qemu_strtou64(sign + 1, NULL, 0, &values[key]) < 0) {
            error_setg(errp, "inject: %s must be a number, as in %s=1",
                       inject_keys[key], inject_keys[key]);
            return false;
        }
        *given |= BIT(key);
        return true;
    }
    error_setg(errp, "inject: %s takes no '%.*s'", kind->name, (int)len, word);
    return false;
}

static bool inject_check(const InjectKind *kind, const uint64_t values[KEYS],
                         unsigned given, const EdgpuInjectLimits *limits,
                         Error **errp)
{
    const struct {
        uint64_t min;
        uint64_t max;
    } ranges[KEYS] = {
        [KEY_ENGINE] = { 0, limits->engines - 1 },
        [KEY_VECTOR] = { 0, limits->vectors - 1 },
        [KEY_AT] = { 1, UINT64_MAX },
        [KEY_NS] = { 1, EDGPU_MAX_DELAY_NS },
        [KEY_OFFSET] = { 0, limits->vram_size - 1 },
        [KEY_BIT] = { 0, 7 },
    };

    for (InjectKey key = 0; key < KEYS; key++) {
        if ((kind->needed & BIT(key)) && !(given & BIT(key))) {
            error_setg(errp, "inject: %s needs %s=", kind->name,
                       inject_keys[key]);
            return false;
        }
        if ((given & BIT(key)) && (values[key] < ranges[key].min ||
                                   values[key] > ranges[key].max)) {
            error_setg(errp, "inject: %s must be %" PRIu64 " to %" PRIu64,
                       inject_keys[key], ranges[key].min, ranges[key].max);
            return false;
        }
    }
    return true;
}

static bool inject_parse(const char *text, const EdgpuInjectLimits *limits,
                         EdgpuInjection *injection, Error **errp)
{
    g_auto(GStrv) words = g_strsplit_set(text, " \t\n", -1);
    uint64_t values[KEYS] = { };
    unsigned given = 0;
    const InjectKind *kind = NULL;
    InjectKey which;

    *injection = (EdgpuInjection) { };
    for (int i = 0; words[i]; i++) {
        if (!*words[i]) {
            continue;
        }
        if (kind) {
            if (!inject_parse_word(words[i], kind, values, &given, errp)) {
                return false;
            }
        } else if (inject_parse_kind(words[i], &injection->kind, errp)) {
            kind = &inject_kinds[injection->kind];
        } else {
            return false;
        }
    }
    if (!kind) {
        error_setg(errp, "inject: say what, as in 'hang engine=0 at=1'");
        return false;
    }
    if (!inject_check(kind, values, given, limits, errp)) {
        return false;
    }
    which = kind->event == EDGPU_EVENT_MESSAGE ? KEY_VECTOR : KEY_ENGINE;
    injection->index = given & BIT(which) ? values[which] : EDGPU_INJECT_ANY;
    injection->at = given & BIT(KEY_AT) ? values[KEY_AT]
                    : !(kind->may_be_now && !(given & BIT(which)));
    injection->ns = values[KEY_NS];
    injection->offset = values[KEY_OFFSET];
    injection->bit = values[KEY_BIT];
    return true;
}

char *edgpu_injection_text(const EdgpuInjection *injection)
{
    const InjectKind *kind = &inject_kinds[injection->kind];
    const char *which = kind->event == EDGPU_EVENT_MESSAGE ? "vector"
                                                           : "engine";
    g_autoptr(GString) text = g_string_new(kind->name);

    if (injection->index != EDGPU_INJECT_ANY) {
        g_string_append_printf(text, " %s=%" PRIu32, which, injection->index);
    }
    if (injection->at) {
        g_string_append_printf(text, " at=%" PRIu64, injection->at);
    }
    if (kind->allowed & BIT(KEY_NS)) {
        g_string_append_printf(text, " ns=%" PRIu64, injection->ns);
    }
    if (kind->allowed & BIT(KEY_OFFSET)) {
        g_string_append_printf(text, " offset=%" PRIu64 " bit=%" PRIu32,
                               injection->offset, injection->bit);
    }
    return g_string_free(g_steal_pointer(&text), FALSE);
}

char *edgpu_injector_text(const EdgpuInjector *inj)
{
    g_autoptr(GString) text = g_string_new("");

    for (uint32_t i = 0; i < inj->count; i++) {
        g_autofree char *one = edgpu_injection_text(&inj->pending[i]);

        g_string_append_printf(text, "%s%s", i ? "; " : "", one);
    }
    return g_string_free(g_steal_pointer(&text), FALSE);
}

/* ---- The list ---- */

bool edgpu_injector_add(EdgpuInjector *inj, const char *text,
                        const EdgpuInjectLimits *limits, Error **errp)
{
    g_auto(GStrv) parts = g_strsplit(text, ";", -1);
    EdgpuInjector with = *inj;
    int i = 0;

    do {
        EdgpuInjection one;

        if (!inject_parse(parts[i] ?: "", limits, &one, errp)) {
            return false;
        }
        if (with.count == EDGPU_MAX_INJECTIONS) {
            error_setg(errp, "inject: %u are pending, and more can't be",
                       EDGPU_MAX_INJECTIONS);
            return false;
        }
        with.pending[with.count++] = one;
    } while (parts[i] && parts[++i]);
    *inj = with;
    return true;
}

bool edgpu_injector_has(const EdgpuInjector *inj, EdgpuInjectKind kind)
{
    for (uint32_t i = 0; i < inj->count; i++) {
        if (inj->pending[i].kind == kind) {
            return true;
        }
    }
    return false;
}

/* What this one waits for. */
static EdgpuInjectEvent injection_event(const EdgpuInjection *injection)
{
    return inject_kinds[injection->kind].event;
}

void edgpu_injector_count(EdgpuInjector *inj, EdgpuInjectEvent event,
                          uint32_t index)
{
    for (uint32_t i = 0; i < inj->count; i++) {
        EdgpuInjection *one = &inj->pending[i];

        if (one->at && injection_event(one) == event &&
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
                         injection_event(one) == event)) {
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
    if (inj->count > EDGPU_MAX_INJECTIONS) {
        return false;
    }
    for (uint32_t i = 0; i < inj->count; i++) {
        const EdgpuInjection *one = &inj->pending[i];

        if (one->kind >= EDGPU_INJECT_KINDS || !one->at ||
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
