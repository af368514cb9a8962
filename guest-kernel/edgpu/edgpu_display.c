// SPDX-License-Identifier: GPL-2.0
/*
 * The display, for KMS: one plane, one CRTC, one connector.
 *
 * It reads a frame right from the pages of an object in system memory, which
 * are pinned for as long as that is shown. While it is on, the device does not
 * nap.
 */

#include <linux/dma-resv.h>

#include <drm/drm_atomic.h>
#include <drm/drm_atomic_helper.h>
#include <drm/drm_drv.h>
#include <drm/drm_edid.h>
#include <drm/drm_fourcc.h>
#include <drm/drm_framebuffer.h>
#include <drm/drm_gem_atomic_helper.h>
#include <drm/drm_gem_framebuffer_helper.h>
#include <drm/drm_modeset_helper_vtables.h>
#include <drm/drm_panic.h>
#include <drm/drm_probe_helper.h>

#include "edgpu_bo.h"
#include "edgpu_display.h"
#include "edgpu_drv.h"
#include "edgpu_entry.h"
#include "edgpu_knobs.h"
#include "edgpu_prime.h"
#include "edgpu_scanout.h"
#include "edgpu_tt.h"

#define EDGPU_PREFERRED_WIDTH	1024
#define EDGPU_PREFERRED_HEIGHT	768

static const u32 edgpu_display_formats[] = { DRM_FORMAT_XRGB8888 };

static struct edgpu_bo *edgpu_fb_bo(struct drm_framebuffer *fb)
{
	return gem_to_edgpu_bo(fb->obj[0]);
}

static int edgpu_display_pin(struct edgpu_bo *bo)
{
	struct ttm_operation_ctx ctx = edgpu_bo_ctx(bo);
	struct drm_gem_object *gem = &bo->base.base;
	int ret;

	ret = dma_resv_lock_interruptible(gem->resv, NULL);
	if (ret)
		return ret;
	ret = edgpu_gem_pin(gem);
	if (!ret) {
		ret = edgpu_tt_make_resident(&bo->base, &ctx);
		if (ret || edgpu_knobs_scanout_unpinned())
			edgpu_gem_unpin(gem);
	}
	dma_resv_unlock(gem->resv);
	return ret;
}

static void edgpu_display_unpin(struct edgpu_bo *bo)
{
	struct drm_gem_object *gem = &bo->base.base;

	if (edgpu_knobs_scanout_unpinned())
		return;
	dma_resv_lock(gem->resv, NULL);
	edgpu_gem_unpin(gem);
	dma_resv_unlock(gem->resv);
}

static int edgpu_plane_prepare_fb(struct drm_plane *plane, struct drm_plane_state *state)
{
	int ret;

	if (!state->fb)
		return 0;
	ret = drm_gem_plane_helper_prepare_fb(plane, state);
	return ret ?: edgpu_display_pin(edgpu_fb_bo(state->fb));
}

static void edgpu_plane_cleanup_fb(struct drm_plane *plane, struct drm_plane_state *state)
{
	if (state->fb)
		edgpu_display_unpin(edgpu_fb_bo(state->fb));
}

static int edgpu_plane_atomic_check(struct drm_plane *plane, struct drm_atomic_commit *commit)
{
	struct drm_plane_state *state = drm_atomic_get_new_plane_state(commit, plane);
	struct drm_crtc_state *crtc_state = NULL;

	if (state->crtc)
		crtc_state = drm_atomic_get_new_crtc_state(commit, state->crtc);
	if (state->fb && (state->fb->pitches[0] > EDGPU_MAX_DISP_STRIDE ||
			  state->fb->pitches[0] % sizeof(u32)))
		return -EINVAL;
	return drm_atomic_helper_check_plane_state(state, crtc_state, DRM_PLANE_NO_SCALING,
						   DRM_PLANE_NO_SCALING, false, false);
}

static void edgpu_plane_atomic_update(struct drm_plane *plane, struct drm_atomic_commit *commit)
{
	struct drm_plane_state *state = drm_atomic_get_new_plane_state(commit, plane);
	struct edgpu_device *edgpu = to_edgpu(plane->dev);
	struct drm_framebuffer *fb = state->fb;
	struct edgpu_frame frame;

	if (!state->visible) {
		edgpu_scanout_hide(edgpu);
		return;
	}
	frame = (struct edgpu_frame) {
		.width = drm_rect_width(&state->dst),
		.height = drm_rect_height(&state->dst),
		.stride = fb->pitches[0],
	};
	edgpu_scanout_show(edgpu, &frame, to_edgpu_tt(edgpu_fb_bo(fb)->base.ttm)->dma_address,
			   fb->offsets[0] + (u64)(state->src.y1 >> 16) * fb->pitches[0] +
			   (state->src.x1 >> 16) * sizeof(u32));
}

static void edgpu_plane_atomic_disable(struct drm_plane *plane, struct drm_atomic_commit *commit)
{
	edgpu_scanout_hide(to_edgpu(plane->dev));
}

/* In a panic: what is shown is pinned, and nobody changes that any more. */
static int edgpu_plane_get_scanout_buffer(struct drm_plane *plane, struct drm_scanout_buffer *sb)
{
	struct drm_plane_state *state = plane->state;
	struct drm_framebuffer *fb = state ? state->fb : NULL;

	if (!fb || fb->offsets[0] || state->src.x1 || state->src.y1 ||
	    !ttm_tt_is_populated(edgpu_fb_bo(fb)->base.ttm))
		return -ENODEV;
	sb->format = fb->format;
	sb->width = fb->width;
	sb->height = fb->height;
	sb->pitch[0] = fb->pitches[0];
	sb->pages = edgpu_fb_bo(fb)->base.ttm->pages;
	return 0;
}

static const struct drm_plane_helper_funcs edgpu_plane_helper_funcs = {
	.prepare_fb = edgpu_plane_prepare_fb,
	.cleanup_fb = edgpu_plane_cleanup_fb,
	.atomic_check = edgpu_plane_atomic_check,
	.atomic_update = edgpu_plane_atomic_update,
	.atomic_disable = edgpu_plane_atomic_disable,
	.get_scanout_buffer = edgpu_plane_get_scanout_buffer,
};

static const struct drm_plane_funcs edgpu_plane_funcs = {
	.update_plane = drm_atomic_helper_update_plane,
	.disable_plane = drm_atomic_helper_disable_plane,
	.destroy = drm_plane_cleanup,
	.reset = drm_atomic_helper_plane_reset,
	.atomic_duplicate_state = drm_atomic_helper_plane_duplicate_state,
	.atomic_destroy_state = drm_atomic_helper_plane_destroy_state,
};

static int edgpu_crtc_atomic_check(struct drm_crtc *crtc, struct drm_atomic_commit *commit)
{
	struct drm_crtc_state *state = drm_atomic_get_new_crtc_state(commit, crtc);

	return state->enable ? drm_atomic_helper_check_crtc_primary_plane(state) : 0;
}

/* A device that can't be woken shows nothing. */
static void edgpu_crtc_atomic_enable(struct drm_crtc *crtc, struct drm_atomic_commit *commit)
{
	struct edgpu_device *edgpu = to_edgpu(crtc->dev);

	edgpu->display.powered = !edgpu_power_get(edgpu);
}

static void edgpu_crtc_atomic_disable(struct drm_crtc *crtc, struct drm_atomic_commit *commit)
{
	struct edgpu_device *edgpu = to_edgpu(crtc->dev);

	edgpu_scanout_hide(edgpu);
	if (edgpu->display.powered)
		edgpu_power_put(edgpu, true);
	edgpu->display.powered = false;
}

static const struct drm_crtc_helper_funcs edgpu_crtc_helper_funcs = {
	.atomic_check = edgpu_crtc_atomic_check,
	.atomic_enable = edgpu_crtc_atomic_enable,
	.atomic_disable = edgpu_crtc_atomic_disable,
};

static const struct drm_crtc_funcs edgpu_crtc_funcs = {
	.reset = drm_atomic_helper_crtc_reset,
	.destroy = drm_crtc_cleanup,
	.set_config = drm_atomic_helper_set_config,
	.page_flip = drm_atomic_helper_page_flip,
	.atomic_duplicate_state = drm_atomic_helper_crtc_duplicate_state,
	.atomic_destroy_state = drm_atomic_helper_crtc_destroy_state,
};

static const struct drm_encoder_funcs edgpu_encoder_funcs = {
	.destroy = drm_encoder_cleanup,
};

static int edgpu_connector_get_modes(struct drm_connector *connector)
{
	int count = drm_add_modes_noedid(connector, EDGPU_SCANOUT_MAX_WIDTH,
					 EDGPU_SCANOUT_MAX_HEIGHT);

	drm_set_preferred_mode(connector, EDGPU_PREFERRED_WIDTH, EDGPU_PREFERRED_HEIGHT);
	return count;
}

static const struct drm_connector_helper_funcs edgpu_connector_helper_funcs = {
	.get_modes = edgpu_connector_get_modes,
};

static const struct drm_connector_funcs edgpu_connector_funcs = {
	.fill_modes = drm_helper_probe_single_connector_modes,
	.destroy = drm_connector_cleanup,
	.reset = drm_atomic_helper_connector_reset,
	.atomic_duplicate_state = drm_atomic_helper_connector_duplicate_state,
	.atomic_destroy_state = drm_atomic_helper_connector_destroy_state,
};

static const struct drm_mode_config_funcs edgpu_mode_config_funcs = {
	.fb_create = drm_gem_fb_create,
	.atomic_check = drm_atomic_helper_check,
	.atomic_commit = drm_atomic_helper_commit,
};

/* In D0 before there is a frame, and until there is none. */
static const struct drm_mode_config_helper_funcs edgpu_mode_config_helper_funcs = {
	.atomic_commit_tail = drm_atomic_helper_commit_tail_rpm,
};

static int edgpu_display_init_pipe(struct edgpu_device *edgpu)
{
	struct edgpu_display *display = &edgpu->display;
	struct drm_device *drm = &edgpu->drm;
	int ret;

	ret = drm_universal_plane_init(drm, &display->plane, 0, &edgpu_plane_funcs,
				       edgpu_display_formats, ARRAY_SIZE(edgpu_display_formats),
				       NULL, DRM_PLANE_TYPE_PRIMARY, NULL);
	if (ret)
		return ret;
	drm_plane_helper_add(&display->plane, &edgpu_plane_helper_funcs);

	ret = drm_crtc_init_with_planes(drm, &display->crtc, &display->plane, NULL,
					&edgpu_crtc_funcs, NULL);
	if (ret)
		return ret;
	drm_crtc_helper_add(&display->crtc, &edgpu_crtc_helper_funcs);

	ret = drm_encoder_init(drm, &display->encoder, &edgpu_encoder_funcs,
			       DRM_MODE_ENCODER_VIRTUAL, NULL);
	if (ret)
		return ret;
	display->encoder.possible_crtcs = drm_crtc_mask(&display->crtc);

	ret = drm_connector_init(drm, &display->connector, &edgpu_connector_funcs,
				 DRM_MODE_CONNECTOR_VIRTUAL);
	if (ret)
		return ret;
	drm_connector_helper_add(&display->connector, &edgpu_connector_helper_funcs);
	return drm_connector_attach_encoder(&display->connector, &display->encoder);
}

/**
 * edgpu_display_init() - let KMS know of the display
 * @edgpu: the device, not registered
 *
 * Without a display, the device is none for KMS.
 *
 * Return: 0 or a negative error code.
 */
int edgpu_display_init(struct edgpu_device *edgpu)
{
	struct drm_device *drm = &edgpu->drm;
	int ret;

	if (!edgpu->scanout.exists)
		drm->driver_features &= ~(DRIVER_MODESET | DRIVER_ATOMIC);
	if (!drm_core_check_feature(drm, DRIVER_MODESET))
		return 0;

	ret = drmm_mode_config_init(drm);
	if (ret)
		return ret;
	drm->mode_config.max_width = EDGPU_SCANOUT_MAX_WIDTH;
	drm->mode_config.max_height = EDGPU_SCANOUT_MAX_HEIGHT;
	drm->mode_config.preferred_depth = 24;
	drm->mode_config.funcs = &edgpu_mode_config_funcs;
	drm->mode_config.helper_private = &edgpu_mode_config_helper_funcs;

	ret = edgpu_display_init_pipe(edgpu);
	if (!ret)
		drm_mode_config_reset(drm);
	return ret;
}

/**
 * edgpu_display_fini() - let go of what is shown
 * @edgpu: the device, unplugged, whose display was stopped before that
 */
void edgpu_display_fini(struct edgpu_device *edgpu)
{
	if (drm_core_check_feature(&edgpu->drm, DRIVER_MODESET))
		drm_atomic_helper_shutdown(&edgpu->drm);
}
