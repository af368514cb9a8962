/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _EDGPU_DISPLAY_H_
#define _EDGPU_DISPLAY_H_

#include <drm/drm_connector.h>
#include <drm/drm_crtc.h>
#include <drm/drm_encoder.h>
#include <drm/drm_plane.h>

struct edgpu_device;

/**
 * struct edgpu_display - the display as user space knows it
 */
struct edgpu_display {
	/** @plane: shows one frame, the whole of the picture */
	struct drm_plane plane;
	/** @crtc: is on or off */
	struct drm_crtc crtc;
	/** @encoder: what KMS wants there to be in between */
	struct drm_encoder encoder;
	/** @connector: always connected */
	struct drm_connector connector;
	/** @powered: the device is kept in D0 for it */
	bool powered;
};

int edgpu_display_init(struct edgpu_device *edgpu);
void edgpu_display_fini(struct edgpu_device *edgpu);

#endif
