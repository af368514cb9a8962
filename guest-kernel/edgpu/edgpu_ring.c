// SPDX-License-Identifier: GPL-2.0
/*
 * Writing jobs: commands, scatter lists and a fence, into the memory that an
 * engine reads them from.
 */

#include <linux/jiffies.h>

#include "edgpu_drv.h"
#include "edgpu_engine.h"
#include "edgpu_fence.h"

static_assert(sizeof(struct edgpu_command) == EDGPU_CMD_SIZE);
static_assert(offsetof(struct edgpu_command, value) == EDGPU_CMD_VALUE);
static_assert(sizeof(struct edgpu_sg) == EDGPU_SG_SIZE);
static_assert(EDGPU_RING_SLOTS <= EDGPU_MAX_SLOTS);
/* Both are indexed by counters that wrap. */
static_assert(!(EDGPU_RING_SLOTS & (EDGPU_RING_SLOTS - 1)));
static_assert(!(EDGPU_RING_SG_ENTRIES & (EDGPU_RING_SG_ENTRIES - 1)));

static u32 ring_free_slots(struct edgpu_ring *ring)
{
	return (ring->head - ring->tail - 1) % EDGPU_RING_SLOTS;
}

static void ring_write_slot(struct edgpu_ring *ring,
			    const struct edgpu_command *cmd)
{
	lockdep_assert_held(&ring->lock);

	if (ring->head == ring->tail)
		ring->progress = jiffies;
	ring->slots[ring->tail] = *cmd;
	ring->slot_sg[ring->tail] = ring->sg_pushed;
	ring->tail = (ring->tail + 1) % EDGPU_RING_SLOTS;
}

static void ring_write_fence(struct edgpu_ring *ring)
{
	const struct edgpu_command cmd = {
		.opcode = cpu_to_le32(EDGPU_OP_FENCE),
		.flags = cpu_to_le32(EDGPU_FLAG_IRQ),
		.value = cpu_to_le64(++ring->seqno),
	};

	ring_write_slot(ring, &cmd);
}

static int ring_refusal(struct edgpu_ring *ring)
{
	return READ_ONCE(ring->edgpu->wedged) ? -EIO : -ENODEV;
}

/* Whether the job being written has lost its ring. */
static int ring_lost(struct edgpu_ring *ring)
{
	lockdep_assert_held(&ring->lock);

	if (!ring->running)
		return ring_refusal(ring);
	return ring->epoch == ring->emit_epoch ? 0 : -EIO;
}

/*
 * One slot stays in reserve for a fence command: the one that ends the job,
 * or the one that tells us when there is space again.
 */
static bool ring_has_slot(struct edgpu_ring *ring)
{
	return ring_free_slots(ring) >= 2;
}

/* A list does not wrap around the end of the memory. */
static bool ring_has_sg(struct edgpu_ring *ring, u32 count)
{
	u32 offset = ring->sg_tail % EDGPU_RING_SG_ENTRIES;
	u32 skip = offset + count > EDGPU_RING_SG_ENTRIES ?
		   EDGPU_RING_SG_ENTRIES - offset : 0;

	return ring->sg_tail - ring->sg_head + skip + count <= EDGPU_RING_SG_ENTRIES;
}

static bool ring_has_space(struct edgpu_ring *ring, u32 sg_count)
{
	bool ready;
	LIST_HEAD(done);

	spin_lock_irq(&ring->lock);
	edgpu_engine_update(ring, &done);
	ready = ring_lost(ring) ||
		(ring_has_slot(ring) && ring_has_sg(ring, sg_count));
	spin_unlock_irq(&ring->lock);

	edgpu_fences_signal(&done, 0);
	return ready;
}

/*
 * Wait for a slot and @sg_count scatter list entries. Returns with the lock
 * held. Not interruptible, since the job may have begun; the watchdog ends it.
 */
static int ring_lock_with_space(struct edgpu_ring *ring, u32 sg_count)
{
	int ret;

	lockdep_assert_held(&ring->emit);

	spin_lock_irq(&ring->lock);
	ret = ring_lost(ring);
	if (ret)
		return ret;

	if (ring_has_slot(ring) && ring_has_sg(ring, sg_count))
		return 0;

	/* A full ring ends with a fence already: only that takes the last slot. */
	if (ring_free_slots(ring)) {
		ring_write_fence(ring);
		edgpu_engine_kick(ring);
	}
	spin_unlock_irq(&ring->lock);

	wait_event(ring->space, ring_has_space(ring, sg_count));

	spin_lock_irq(&ring->lock);
	return ring_lost(ring);
}

/**
 * edgpu_ring_begin() - begin to write a job
 * @ring: the ring
 *
 * Call when entered. End with edgpu_ring_commit() or
 * edgpu_ring_cancel(); until then nothing may be allocated that could wait for
 * a fence.
 *
 * Return: 0, -ENODEV if the device is gone or asleep, -EIO if it is wedged.
 */
int edgpu_ring_begin(struct edgpu_ring *ring)
{
	int ret = 0;

	mutex_lock(&ring->emit);
	spin_lock_irq(&ring->lock);
	ring->emit_epoch = ring->epoch;
	/* Of a job that was cancelled. */
	ring->sg_pushed = ring->sg_tail;
	if (!ring->running)
		ret = ring_refusal(ring);
	spin_unlock_irq(&ring->lock);
	if (ret)
		mutex_unlock(&ring->emit);
	return ret;
}

/**
 * edgpu_ring_alloc_sg() - space for a scatter list
 * @ring: the ring, between begin and commit
 * @count: entries, at most EDGPU_RING_MAX_SG
 * @sg: out: the entries, for the caller to fill
 * @dma: out: where the device finds them
 *
 * The list belongs to the command pushed next, and is free again when that is
 * done. May wait for earlier work.
 *
 * Return: 0, -EIO if the job was lost in a reset, -ENODEV, or -E2BIG.
 */
int edgpu_ring_alloc_sg(struct edgpu_ring *ring, u32 count,
			struct edgpu_sg **sg, dma_addr_t *dma)
{
	u32 offset;
	int ret;

	if (count > EDGPU_RING_MAX_SG)
		return -E2BIG;

	ret = ring_lock_with_space(ring, count);
	if (!ret) {
		offset = ring->sg_tail % EDGPU_RING_SG_ENTRIES;
		if (offset + count > EDGPU_RING_SG_ENTRIES) {
			ring->sg_tail += EDGPU_RING_SG_ENTRIES - offset;
			offset = 0;
		}
		ring->sg_tail += count;
		*sg = ring->sg + offset;
		*dma = ring->sg_dma + (u64)offset * sizeof(**sg);
	}
	spin_unlock_irq(&ring->lock);
	return ret;
}

/**
 * edgpu_ring_push() - write one command
 * @ring: the ring, between begin and commit
 * @cmd: the command
 *
 * May wait for earlier work. The engine need not see the command before
 * edgpu_ring_commit().
 *
 * Return: 0, -EIO if the job was lost in a reset, -ENODEV.
 */
int edgpu_ring_push(struct edgpu_ring *ring, const struct edgpu_command *cmd)
{
	int ret;

	ret = ring_lock_with_space(ring, 0);
	if (!ret) {
		/* Not before: a fence may go first, which must not free its lists. */
		ring->sg_pushed = ring->sg_tail;
		ring_write_slot(ring, cmd);
	}
	spin_unlock_irq(&ring->lock);
	return ret;
}

/**
 * edgpu_ring_commit() - end a job and have it run
 * @ring: the ring, since edgpu_ring_begin()
 * @fence: what signals when the job is done
 *
 * The job has at least one command. On success the caller owns a reference to
 * &edgpu_fence.base. On failure the job is lost, no part of it runs any more,
 * and the memory of @fence stays the caller's.
 *
 * Return: 0, -EIO if the job was lost in a reset, -ENODEV.
 */
int edgpu_ring_commit(struct edgpu_ring *ring, struct edgpu_fence *fence)
{
	int ret;

	spin_lock_irq(&ring->lock);
	ret = ring_lost(ring);
	if (!ret) {
		ring_write_fence(ring);
		edgpu_fence_init(fence, ring->engine, ring->context, ring->seqno);
		dma_fence_get(&fence->base);
		list_add_tail(&fence->link, &ring->pending);
		edgpu_engine_kick(ring);
	}
	spin_unlock_irq(&ring->lock);
	mutex_unlock(&ring->emit);
	return ret;
}

/**
 * edgpu_ring_cancel() - end a job of which a push or alloc_sg has failed
 * @ring: the ring, since edgpu_ring_begin()
 *
 * Those fail when the ring was lost, and the job's commands with it; then
 * nothing is left to undo. Callers that stop for another reason must not have
 * pushed anything.
 */
void edgpu_ring_cancel(struct edgpu_ring *ring)
{
	mutex_unlock(&ring->emit);
}
