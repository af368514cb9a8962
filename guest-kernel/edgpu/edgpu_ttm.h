/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _EDGPU_TTM_H_
#define _EDGPU_TTM_H_

struct edgpu_device;

int edgpu_ttm_init(struct edgpu_device *edgpu);
void edgpu_ttm_disconnect(struct edgpu_device *edgpu);

#endif
