/* SPDX-License-Identifier: (GPL-2.0 WITH Linux-syscall-note) OR MIT */
/*
 * edgpu: user interface of the driver for the emulated dGPU.
 *
 * Every reserved or padding field must be zero and is checked. Structures only
 * grow at their end. All sizes and offsets are in bytes.
 *
 * When the device is gone, every ioctl fails with ENODEV, and mappings show
 * zeroes. When it does not answer any more, until a reset brings it back, all
 * that creates, moves or uses objects fails with EIO, as do jobs under way, and
 * access by mmap to what was in VRAM is a SIGBUS.
 * On a device with a display there are KMS and dumb buffers, which are objects in system memory.
 * A reset of the device by sysfs keeps the content of objects, in system
 * memory; if it could not, the next wait for an object fails with EIO.
 */
#ifndef _EDGPU_DRM_H_
#define _EDGPU_DRM_H_

#include <drm/drm.h>

#if defined(__cplusplus)
extern "C" {
#endif

#define DRM_EDGPU_GET_PARAM		0x00
#define DRM_EDGPU_GEM_CREATE		0x01
#define DRM_EDGPU_GEM_MMAP_OFFSET	0x02
#define DRM_EDGPU_GEM_INFO		0x03
#define DRM_EDGPU_GEM_MOVE		0x04
#define DRM_EDGPU_SUBMIT		0x05
#define DRM_EDGPU_WAIT			0x06
#define DRM_EDGPU_GEM_PREAD		0x07
#define DRM_EDGPU_GEM_PWRITE		0x08
#define DRM_EDGPU_GEM_EVICT		0x09
#define DRM_EDGPU_GEM_MADVISE		0x0a
#define DRM_EDGPU_GEM_DISCARDED		0x0b
#define DRM_EDGPU_SVM_TO_VRAM		0x0c

/* drm_edgpu_get_param.param */
#define EDGPU_PARAM_VRAM_SIZE		0
#define EDGPU_PARAM_APERTURE_SIZE	1
#define EDGPU_PARAM_ENGINES		2
#define EDGPU_PARAM_DMA_BITS		3	/* what the driver told the DMA API */
#define EDGPU_PARAM_VRAM_GENERATION	4
#define EDGPU_PARAM_BACKEND		5	/* EDGPU_PARAM_BACKEND_*, of system memory */

#define EDGPU_PARAM_BACKEND_LEGACY	0
#define EDGPU_PARAM_BACKEND_SHMEM	1
#define EDGPU_PARAM_BACKEND_BACKUP	2
/*
 * Objects are in system memory only and cached, and jobs are done, or have failed, when
 * they are submitted. There are no ioctls but GET_PARAM, GEM_CREATE, GEM_MMAP_OFFSET,
 * GEM_INFO, SUBMIT without syncobjs, and WAIT.
 */
#define EDGPU_PARAM_BACKEND_GEM		3

struct drm_edgpu_get_param {
	__u32 param;		/* EDGPU_PARAM_* */
	__u32 pad;
	__u64 value;		/* out */
};

#define EDGPU_PLACEMENT_SYSTEM		0x1
#define EDGPU_PLACEMENT_VRAM		0x2

#define EDGPU_CACHING_CACHED		0
#define EDGPU_CACHING_WRITE_COMBINED	1
#define EDGPU_CACHING_UNCACHED		2

/* If both placements are allowed, start in system memory rather than in VRAM. */
#define EDGPU_CREATE_PREFER_SYSTEM	0x1
/*
 * Its pages come from memory set aside for devices, and are given back while the
 * object is swapped out. For system memory only, EINVAL otherwise, and EOPNOTSUPP
 * if there is no such memory, or without backend shmem.
 */
#define EDGPU_CREATE_CARVEOUT		0x2
/*
 * For this file only, EPERM to export it. All private objects of a file count as
 * used when a submission uses one of them, and as busy, or failed, when one of them
 * is. What a submission uses of them has to fit: they don't make room for each other.
 */
#define EDGPU_CREATE_PRIVATE		0x4

/* A new object reads as zeroes. */
struct drm_edgpu_gem_create {
	__u64 size;		/* rounded up to pages; out: the size allocated */
	__u32 placement;	/* mask of EDGPU_PLACEMENT_*: where the engines may use it */
	__u32 caching;		/* EDGPU_CACHING_*, of its pages in system memory */
	__u32 flags;		/* EDGPU_CREATE_* */
	__u32 handle;		/* out */
};

struct drm_edgpu_gem_mmap_offset {
	__u32 handle;
	__u32 pad;
	__u64 offset;		/* out: for mmap() on the DRM file */
};

struct drm_edgpu_gem_info {
	__u32 handle;
	__u32 placement;	/* out: the one EDGPU_PLACEMENT_* where it is now */
	__u64 size;		/* out */
	__u32 caching;		/* out */
	__u32 populated;	/* out: 1 if in VRAM, or in system memory and not swapped out */
};

/*
 * Move an object now, by the copy engine; returns when it is there. Fails with
 * EIO, and leaves the object and its content where they were, if the engine
 * does.
 */
struct drm_edgpu_gem_move {
	__u32 handle;
	__u32 placement;	/* one EDGPU_PLACEMENT_* out of those it was created with */
};

#define EDGPU_CMD_COPY			1	/* the ranges must not overlap */
#define EDGPU_CMD_FILL			2	/* dst_offset and len are multiples of 8 */
#define EDGPU_CMD_CHECKSUM		3	/* dst_offset is a multiple of 8 */

#define EDGPU_MAX_CHECKSUM_LEN		0x4000000

/* Fields that an operation does not use must be zero. */
struct drm_edgpu_cmd {
	__u32 op;		/* EDGPU_CMD_* */
	__u32 pad;
	__u32 src_handle;	/* copy, checksum */
	__u32 dst_handle;	/* copy, fill; checksum: 8 bytes of result go there */
	__u64 src_offset;
	__u64 dst_offset;
	__u64 len;		/* not zero */
	__u64 value;		/* fill pattern; checksum seed */
};

/*
 * Commands of one submission, and those of earlier ones to the same engine,
 * run in order. Between engines an object that is used by both, and written by
 * one, keeps them in order.
 */
struct drm_edgpu_submit {
	__u64 cmds;		/* user pointer to struct drm_edgpu_cmd[] */
	__u32 num_cmds;		/* 1 to EDGPU_MAX_CMDS */
	__u32 engine;
	__u32 in_syncobj;	/* waited for first, or 0 */
	__u32 out_syncobj;	/* gets the fence, or 0 */
	__u64 in_point;		/* timeline point, or 0 for a binary syncobj */
	__u64 out_point;
	__u32 flags;		/* zero */
	__u32 pad;
};

#define EDGPU_MAX_CMDS			256

/*
 * Wait until every job on the object is done. Fails with EIO if one of those
 * that used it since the last wait failed, with ETIME after the timeout.
 */
struct drm_edgpu_wait {
	__u32 handle;
	__u32 pad;
	__s64 timeout_ns;	/* CLOCK_MONOTONIC, absolute */
};

/*
 * Read from, or write to, an object by CPU, wherever it is, when the jobs that
 * are in the way are done. Not for imported objects: EOPNOTSUPP. On failure,
 * part of it may be done.
 */
struct drm_edgpu_gem_rw {
	__u32 handle;
	__u32 pad;
	__u64 offset;
	__u64 len;		/* not zero */
	__u64 data;		/* user pointer */
};

/*
 * Take pages in system memory from an object that is idle, the first ones that
 * it still has, as memory pressure does. Their content stays, in memory or swap,
 * and the next use of the object brings all of it back. Only with backend shmem:
 * EOPNOTSUPP. EBUSY for an object that is pinned.
 */
struct drm_edgpu_gem_evict {
	__u32 handle;
	__u32 pad;
	__u64 size;		/* how much, 0 for a chunk; out: how much it was */
	__u64 evicted;		/* out: how much is gone in all */
};

#define EDGPU_MADVISE_WILLNEED		0
#define EDGPU_MADVISE_DONTNEED		1

/* Pages that were discarded are filled with @value, before their next use. */
#define EDGPU_MADVISE_RECREATE		0x1

/*
 * Say whether the content of an object is needed. If not, then it may be
 * discarded until it is said to be needed again, page by page, and before
 * anything else goes to swap. What was discarded reads as zeroes, or is
 * recreated. Only with backend shmem, and not for imported objects: EOPNOTSUPP.
 */
struct drm_edgpu_gem_madvise {
	__u32 handle;
	__u32 advice;		/* EDGPU_MADVISE_* */
	__u32 flags;		/* of DONTNEED: EDGPU_MADVISE_RECREATE */
	__u32 retained;		/* out: 1 if nothing was discarded, or all was recreated */
	__u64 value;		/* 64-bit pattern, with EDGPU_MADVISE_RECREATE */
};

/* Which pages have lost their content since the object was last not needed. */
struct drm_edgpu_gem_discarded {
	__u32 handle;
	__u32 pad;
	__u64 first;		/* page, a multiple of 64 */
	__u64 pages;		/* not zero */
	__u64 bitmap;		/* user pointer to __u64[(pages + 63) / 64] */
	__u64 discarded;	/* out: how many of them */
};

/*
 * Move memory of the calling process to VRAM, whichever process has opened the file. It
 * comes back when the CPU touches it, when VRAM is short, before a sleep or reset of the
 * system or the device, and when the device goes; what then can't be copied reads as
 * zeroes. A copy that fails at the touch of the CPU is a SIGBUS, with the memory still in
 * VRAM, and so is a touch of what a reset has cost its content.
 *
 * The memory is anonymous and private, and swapped in if it has to be. Fails with EFAULT for
 * addresses without memory, EINVAL for mappings of devices or of hugetlbfs, EACCES for what
 * the process can't read, EOPNOTSUPP for files and shared memory, EBUSY if somebody uses the
 * memory, or what it has to be bounced in, ENOMEM if there is no VRAM for it, EIO if the
 * engine fails, or if what a reset has cost its content is still there. What has been moved by
 * then stays there.
 */
struct drm_edgpu_svm_to_vram {
	__u64 addr;		/* a multiple of the page size */
	__u64 len;		/* likewise, and not zero */
	__u32 flags;		/* zero */
	__u32 pad;
	__u64 moved;		/* out: bytes from @addr on that are there, also on failure */
};

#define DRM_IOCTL_EDGPU_GET_PARAM \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_EDGPU_GET_PARAM, struct drm_edgpu_get_param)
#define DRM_IOCTL_EDGPU_GEM_CREATE \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_EDGPU_GEM_CREATE, struct drm_edgpu_gem_create)
#define DRM_IOCTL_EDGPU_GEM_MMAP_OFFSET \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_EDGPU_GEM_MMAP_OFFSET, struct drm_edgpu_gem_mmap_offset)
#define DRM_IOCTL_EDGPU_GEM_INFO \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_EDGPU_GEM_INFO, struct drm_edgpu_gem_info)
#define DRM_IOCTL_EDGPU_GEM_MOVE \
	DRM_IOW(DRM_COMMAND_BASE + DRM_EDGPU_GEM_MOVE, struct drm_edgpu_gem_move)
#define DRM_IOCTL_EDGPU_SUBMIT \
	DRM_IOW(DRM_COMMAND_BASE + DRM_EDGPU_SUBMIT, struct drm_edgpu_submit)
#define DRM_IOCTL_EDGPU_WAIT \
	DRM_IOW(DRM_COMMAND_BASE + DRM_EDGPU_WAIT, struct drm_edgpu_wait)
#define DRM_IOCTL_EDGPU_GEM_PREAD \
	DRM_IOW(DRM_COMMAND_BASE + DRM_EDGPU_GEM_PREAD, struct drm_edgpu_gem_rw)
#define DRM_IOCTL_EDGPU_GEM_PWRITE \
	DRM_IOW(DRM_COMMAND_BASE + DRM_EDGPU_GEM_PWRITE, struct drm_edgpu_gem_rw)
#define DRM_IOCTL_EDGPU_GEM_EVICT \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_EDGPU_GEM_EVICT, struct drm_edgpu_gem_evict)
#define DRM_IOCTL_EDGPU_GEM_MADVISE \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_EDGPU_GEM_MADVISE, struct drm_edgpu_gem_madvise)
#define DRM_IOCTL_EDGPU_GEM_DISCARDED \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_EDGPU_GEM_DISCARDED, struct drm_edgpu_gem_discarded)
#define DRM_IOCTL_EDGPU_SVM_TO_VRAM \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_EDGPU_SVM_TO_VRAM, struct drm_edgpu_svm_to_vram)

#if defined(__cplusplus)
}
#endif

#endif /* _EDGPU_DRM_H_ */
