/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An edgpu's display.
 *
 * QEMU asks for a picture when somebody looks at it, and only then is a frame
 * read: there is no timer.
 */
#include "qemu/osdep.h"
#include "qemu/bswap.h"
#include "qemu/log.h"
#include "ui/surface.h"
#include "edgpu.h"
#include "edgpu_compat.h"
#include "edgpu_span.h"
#include "trace.h"

#define EDGPU_PIXEL_SIZE        4

/* Of the console before anything was shown. */
#define EDGPU_DEFAULT_WIDTH     640
#define EDGPU_DEFAULT_HEIGHT    480

static bool edgpu_frame_valid(const EdgpuFrame *f)
{
    return f->width && f->width <= EDGPU_MAX_DISP_SIZE &&
           f->height && f->height <= EDGPU_MAX_DISP_SIZE &&
           f->stride >= f->width * EDGPU_PIXEL_SIZE &&
           f->stride <= EDGPU_MAX_DISP_STRIDE &&
           f->stride % EDGPU_PIXEL_SIZE == 0 &&
           f->nents <= EDGPU_MAX_SG_ENTRIES;
}

/* Its last line ends with its last pixel. */
static uint64_t edgpu_frame_size(const EdgpuFrame *f)
{
    return (uint64_t)f->stride * (f->height - 1) +
           f->width * EDGPU_PIXEL_SIZE;
}

/* ---- Registers ---- */

void edgpu_display_set_control(EdgpuState *s, uint32_t control)
{
    EdgpuDisplay *d = &s->display;

    d->fault = (EdgpuFault) { };
    d->frame = d->next;
    d->enabled = control & EDGPU_DISP_ENABLE;
    if (d->enabled && !edgpu_frame_valid(&d->frame)) {
        qemu_log_mask(LOG_GUEST_ERROR, "edgpu: there can't be a frame of %u x "
                      "%u pixels, a line each %u bytes, in %u pieces\n",
                      d->frame.width, d->frame.height, d->frame.stride,
                      d->frame.nents);
        d->enabled = false;
    }
}

void edgpu_display_reset(EdgpuState *s)
{
    QemuConsole *console = s->display.console;

    s->display = (EdgpuDisplay) { .console = console };
}

/* ---- The picture ---- */

static bool edgpu_read_frame(EdgpuState *s, uint8_t *to, uint64_t left,
                             EdgpuFault *fault)
{
    const EdgpuFrame *f = &s->display.frame;
    EdgpuSpan span = { };
    bool ok = edgpu_span_set(&span, s, false, f->base, left, f->nents, fault);

    while (ok && left) {
        uint64_t len = edgpu_span_left(&span);

        ok = edgpu_dma_read(s, edgpu_span_addr(&span), to, len, fault);
        edgpu_span_advance(&span, len);
        to += len;
        left -= len;
    }
    edgpu_span_clear(&span);
    return ok;
}

static void edgpu_draw_frame(EdgpuDisplay *d, const uint8_t *bytes)
{
    DisplaySurface *surface;

    qemu_console_resize(d->console, d->frame.width, d->frame.height);
    surface = qemu_console_surface(d->console);
    for (uint32_t y = 0; y < d->frame.height; y++) {
        const uint8_t *from = bytes + (uint64_t)y * d->frame.stride;
        uint32_t *to = surface_data(surface) + y * surface_stride(surface);

        for (uint32_t x = 0; x < d->frame.width; x++) {
            to[x] = ldl_le_p(from + x * EDGPU_PIXEL_SIZE);
        }
    }
}

static void edgpu_draw_nothing(EdgpuDisplay *d)
{
    int width = qemu_console_get_width(d->console, EDGPU_DEFAULT_WIDTH);
    int height = qemu_console_get_height(d->console, EDGPU_DEFAULT_HEIGHT);
    DisplaySurface *surface;

    qemu_console_resize(d->console, width, height);
    surface = qemu_console_surface(d->console);
    memset(surface_data(surface), 0, surface_stride(surface) * height);
}

static bool edgpu_show_frame(EdgpuState *s)
{
    EdgpuDisplay *d = &s->display;
    uint64_t size = edgpu_frame_size(&d->frame);
    g_autofree uint8_t *bytes = g_malloc(size);

    trace_edgpu_frame(d->frame.width, d->frame.height, d->frame.base,
                      d->frame.nents);
    if (!edgpu_read_frame(s, bytes, size, &d->fault)) {
        d->fault_count++;
        edgpu_display_faulted(s);
        return false;
    }
    s->stats.frames++;
    edgpu_draw_frame(d, bytes);
    return true;
}

/* Done when it returns, which later versions of QEMU are told. */
static bool edgpu_display_update(void *opaque)
{
    EdgpuState *s = opaque;
    EdgpuDisplay *d = &s->display;

    if (!d->enabled || d->fault.kind || s->dead || !edgpu_powered(s) ||
        !edgpu_show_frame(s)) {
        edgpu_draw_nothing(d);
    }
    qemu_console_update_full(d->console);
    return true;
}

static const GraphicHwOps edgpu_display_ops = {
    .gfx_update = (void *)edgpu_display_update,
};

void edgpu_display_init(EdgpuState *s)
{
    s->display.console = qemu_graphic_console_create(DEVICE(s), 0,
                                                     &edgpu_display_ops, s);
}

void edgpu_display_exit(EdgpuState *s)
{
    qemu_graphic_console_close(s->display.console);
}

/* ---- Migration ---- */

static bool edgpu_display_needed(void *opaque)
{
    return EDGPU(opaque)->has_display;
}

static int edgpu_display_post_load(void *opaque, int version_id)
{
    EdgpuState *s = opaque;
    const EdgpuDisplay *d = &s->display;

    return s->has_display && d->fault.kind < EDGPU_FAULT_KINDS &&
           (!d->enabled || edgpu_frame_valid(&d->frame)) ? 0 : -EINVAL;
}

static const VMStateDescription vmstate_edgpu_frame = {
    .name = "edgpu-frame",
    .version_id = 1,
    .minimum_version_id = 1,
    .fields = (const VMStateField[]) {
        VMSTATE_UINT64(base, EdgpuFrame),
        VMSTATE_UINT32(nents, EdgpuFrame),
        VMSTATE_UINT32(width, EdgpuFrame),
        VMSTATE_UINT32(height, EdgpuFrame),
        VMSTATE_UINT32(stride, EdgpuFrame),
        VMSTATE_END_OF_LIST()
    }
};

const VMStateDescription vmstate_edgpu_display = {
    .name = "edgpu/display",
    .version_id = 1,
    .minimum_version_id = 1,
    .needed = edgpu_display_needed,
    .post_load = edgpu_display_post_load,
    .fields = (const VMStateField[]) {
        VMSTATE_BOOL(display.enabled, EdgpuState),
        VMSTATE_STRUCT(display.next, EdgpuState, 1, vmstate_edgpu_frame,
                       EdgpuFrame),
        VMSTATE_STRUCT(display.frame, EdgpuState, 1, vmstate_edgpu_frame,
                       EdgpuFrame),
        VMSTATE_UINT32(display.fault.kind, EdgpuState),
        VMSTATE_UINT64(display.fault.addr, EdgpuState),
        VMSTATE_UINT32(display.fault_count, EdgpuState),
        VMSTATE_UINT64(stats.frames, EdgpuState),
        VMSTATE_END_OF_LIST()
    }
};
