/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _EDGPU_SVM_H_
#define _EDGPU_SVM_H_

struct drm_device;
struct drm_file;

int edgpu_svm_to_vram_ioctl(struct drm_device *drm, void *data, struct drm_file *file);

#endif
