/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _EDGPU_RUNTIME_H_
#define _EDGPU_RUNTIME_H_

struct device;
struct edgpu_device;

/**
 * struct edgpu_runtime - what came of the device having nothing to do
 */
struct edgpu_runtime {
	/** @suspends: how often it went to D3hot */
	unsigned int suspends;
	/** @resumes: how often it came back from there */
	unsigned int resumes;
	/** @busy: how often engines were at work when it was about to */
	unsigned int busy;
	/** @refused: how often there was no place for what is in VRAM */
	unsigned int refused;
};

int edgpu_runtime_suspend(struct device *dev);
int edgpu_runtime_resume(struct device *dev);

void edgpu_runtime_init(struct edgpu_device *edgpu);
void edgpu_runtime_fini(struct edgpu_device *edgpu);

#endif
