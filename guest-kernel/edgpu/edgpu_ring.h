/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _EDGPU_RING_H_
#define _EDGPU_RING_H_

#include <linux/jiffies.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "edgpu_regs.h"

struct edgpu_device;
struct edgpu_fence;

#define EDGPU_RING_SLOTS	1024u
#define EDGPU_RING_SG_ENTRIES	65536u
/* While there is work, the watchdog looks at it so often. */
#define EDGPU_WATCHDOG_PERIOD	HZ
/* The longest list: half of them, or it might not fit between the ends. */
#define EDGPU_RING_MAX_SG	(EDGPU_RING_SG_ENTRIES / 2)

/* struct edgpu_command - one ring slot as the engine reads it. */
struct edgpu_command {
	__le32 opcode;
	__le32 flags;
	__le64 src;
	__le64 dst;
	__le64 len;
	__le32 src_nents;
	__le32 dst_nents;
	__le64 value;
	__le64 reserved[2];
};

/* struct edgpu_sg - one scatter list entry as the engine reads it. */
struct edgpu_sg {
	__le64 addr;
	__le64 len;
};

/**
 * struct edgpu_ring - one engine and the memory it reads its work from
 *
 * Jobs are written by one task at a time, between edgpu_ring_begin() and
 * edgpu_ring_commit() or edgpu_ring_cancel(). Commands and the scatter lists
 * they refer to are consumed in order, so both memories are plain FIFOs, all
 * allocated at probe: no memory is needed to get work done.
 *
 * A reset of the engine takes all the work on the ring with it, including
 * what the job just being written has pushed so far; that job finds out by
 * @epoch.
 */
struct edgpu_ring {
	/** @edgpu: the device */
	struct edgpu_device *edgpu;
	/** @engine: index of the engine */
	unsigned int engine;
	/** @name: for people */
	const char *name;
	/** @context: of the fences */
	u64 context;
	/** @slots: the commands, EDGPU_RING_SLOTS of them */
	struct edgpu_command *slots;
	/** @slots_dma: their address for the device */
	dma_addr_t slots_dma;
	/** @sg: scatter list entries, EDGPU_RING_SG_ENTRIES of them */
	struct edgpu_sg *sg;
	/** @sg_dma: their address for the device */
	dma_addr_t sg_dma;

	/** @emit: held while a job is written; outside of @lock */
	struct mutex emit;
	/** @emit_epoch: @epoch when the job began; under @emit */
	u32 emit_epoch;

	/** @lock: protects all below; taken in interrupts */
	spinlock_t lock;
	/** @running: false while the device is asleep, gone or wedged */
	bool running;
	/** @epoch: counts resets */
	u32 epoch;
	/** @head: first slot not known to be executed */
	u32 head;
	/** @tail: first slot not written */
	u32 tail;
	/** @sg_head: first entry still in use, counted without wrapping */
	u32 sg_head;
	/** @sg_tail: first entry not in use, counted without wrapping */
	u32 sg_tail;
	/** @sg_pushed: first entry behind those of commands that were pushed */
	u32 sg_pushed;
	/** @slot_sg: @sg_pushed when each slot was written: freed along with it */
	u32 slot_sg[EDGPU_RING_SLOTS];
	/** @seqno: of the last fence command */
	u64 seqno;
	/** @completed: last fence value seen */
	u64 completed;
	/** @pending: fences not yet signalled, oldest first */
	struct list_head pending;
	/** @progress: when the engine was last seen to move on, in jiffies */
	unsigned long progress;
	/** @faults: faults seen */
	u64 faults;
	/** @timeouts: resets because of no progress */
	u64 timeouts;
	/** @late: times the watchdog found work done before an interrupt did */
	u64 late;

	/** @space: woken when slots and entries become free */
	wait_queue_head_t space;
	/** @watchdog: runs while there is work */
	struct delayed_work watchdog;
};

u32 edgpu_ring_read(struct edgpu_ring *ring, u32 reg);
u64 edgpu_ring_readq(struct edgpu_ring *ring, u32 reg);
void edgpu_ring_program(struct edgpu_ring *ring);
void edgpu_ring_reset(struct edgpu_ring *ring, struct list_head *lost);
void edgpu_ring_update(struct edgpu_ring *ring, struct list_head *done);
bool edgpu_ring_is_idle(struct edgpu_ring *ring);

int edgpu_ring_begin(struct edgpu_ring *ring);
int edgpu_ring_alloc_sg(struct edgpu_ring *ring, u32 count,
			struct edgpu_sg **sg, dma_addr_t *dma);
int edgpu_ring_push(struct edgpu_ring *ring, const struct edgpu_command *cmd);
int edgpu_ring_commit(struct edgpu_ring *ring, struct edgpu_fence *fence);
void edgpu_ring_cancel(struct edgpu_ring *ring);

#endif
