/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * edgpu's QMP commands, as edgpu.qapi describes them.
 */
#include "qemu/osdep.h"
#include "qapi/clone-visitor.h"
#include "qapi/error.h"
#include "qapi/qapi-commands-edgpu.h"
#include "qapi/qapi-visit-edgpu.h"
#include "system/runstate.h"
#include "edgpu.h"

static EdgpuState *edgpu_find(const char *path, Error **errp)
{
    /* A part of a path would do, too, and none at all for the only device. */
    Object *obj = *path == '/' ? object_resolve_path_type(path, TYPE_EDGPU, NULL)
                               : NULL;

    if (!obj || !DEVICE(obj)->realized) {
        error_setg(errp, "'%s' is not the QOM path of an edgpu device", path);
        return NULL;
    }
    /* Until a stream was loaded whole, its content has not been checked. */
    if (runstate_check(RUN_STATE_INMIGRATE) ||
        runstate_check(RUN_STATE_RESTORE_VM)) {
        error_setg(errp, "The state of '%s' has not been loaded", path);
        return NULL;
    }
    return EDGPU(obj);
}

void qmp_edgpu_inject(const char *path, EdgpuFailureList *failures,
                      Error **errp)
{
    EdgpuState *s = edgpu_find(path, errp);

    if (s) {
        edgpu_add_failures(s, failures, errp);
    }
}

void qmp_edgpu_clear_failures(const char *path, Error **errp)
{
    EdgpuState *s = edgpu_find(path, errp);

    if (s) {
        edgpu_clear_failures(s);
    }
}

EdgpuFailureList *qmp_query_edgpu_failures(const char *path, Error **errp)
{
    EdgpuState *s = edgpu_find(path, errp);

    return s ? edgpu_injector_describe(&s->injector) : NULL;
}

/* Engines and vCPUs count under the BQL, which is held here. */
EdgpuStatistics *qmp_query_edgpu_statistics(const char *path, Error **errp)
{
    EdgpuState *s = edgpu_find(path, errp);

    return s ? QAPI_CLONE(EdgpuStatistics, &s->stats) : NULL;
}

void qmp_edgpu_reset_statistics(const char *path, Error **errp)
{
    EdgpuState *s = edgpu_find(path, errp);

    if (s) {
        s->stats = (EdgpuStatistics) { };
    }
}
