/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * edgpu's QMP commands in a QEMU without the device.
 */
#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qapi/qapi-commands-edgpu.h"

static void edgpu_is_absent(Error **errp)
{
    error_setg(errp, "This QEMU is built without edgpu");
}

void qmp_edgpu_inject(const char *path, EdgpuFailureList *failures,
                      Error **errp)
{
    edgpu_is_absent(errp);
}

void qmp_edgpu_clear_failures(const char *path, Error **errp)
{
    edgpu_is_absent(errp);
}

EdgpuFailureList *qmp_query_edgpu_failures(const char *path, Error **errp)
{
    edgpu_is_absent(errp);
    return NULL;
}

EdgpuStatistics *qmp_query_edgpu_statistics(const char *path, Error **errp)
{
    edgpu_is_absent(errp);
    return NULL;
}

void qmp_edgpu_reset_statistics(const char *path, Error **errp)
{
    edgpu_is_absent(errp);
}
