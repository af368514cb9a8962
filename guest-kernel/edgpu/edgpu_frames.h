/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _EDGPU_FRAMES_H_
#define _EDGPU_FRAMES_H_

struct dentry;
struct edgpu_device;

void edgpu_frames_init(struct edgpu_device *edgpu, struct dentry *root);

#endif
