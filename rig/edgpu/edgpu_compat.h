/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What differs between the releases of QEMU that the device builds with, 10.0
 * to 11.1.
 */
#ifndef EDGPU_COMPAT_H
#define EDGPU_COMPAT_H

#define EDGPU_QEMU_SINCE(major, minor) \
    (QEMU_VERSION_MAJOR > (major) || \
     (QEMU_VERSION_MAJOR == (major) && QEMU_VERSION_MINOR >= (minor)))

#if EDGPU_QEMU_SINCE(10, 1)
#define EDGPU_CLASS_DATA const void
#define EDGPU_INTERFACES const InterfaceInfo
#else
#define EDGPU_CLASS_DATA void
#define EDGPU_INTERFACES InterfaceInfo
#endif

#if EDGPU_QEMU_SINCE(11, 0)
#include "hw/core/qdev-properties.h"
#else
#include "hw/qdev-properties.h"
#endif

/* The message about a field that differs has no hint any more in 11.1. */
#if EDGPU_QEMU_SINCE(11, 1)
#define EDGPU_VMSTATE_EQUAL(type, field, hint) \
    VMSTATE_##type##_EQUAL(field, EdgpuState)
#else
#define EDGPU_VMSTATE_EQUAL(type, field, hint) \
    VMSTATE_##type##_EQUAL(field, EdgpuState, hint)
#define qemu_console_update_full    dpy_gfx_update_full
#define qemu_graphic_console_create graphic_console_init
#define qemu_graphic_console_close  graphic_console_close
#endif

#endif /* EDGPU_COMPAT_H */
