// SPDX-License-Identifier: GPL-2.0
/*
 * The ring of an engine: its registers, and the memory that it reads jobs from,
 * which are commands, scatter lists and a fence.
 */

#include "edgpu_drv.h"
#include "edgpu_fence.h"

static_assert(sizeof(struct edgpu_command) == EDGPU_CMD_SIZE);
static_assert(offsetof(struct edgpu_command, value) == EDGPU_CMD_VALUE);
static_assert(sizeof(struct edgpu_sg) == EDGPU_SG_SIZE);
static_assert(EDGPU_RING_SLOTS <= EDGPU_MAX_SLOTS);
/* Both are indexed by counters that wrap. */
static_assert(!(EDGPU_RING_SLOTS & (EDGPU_RING_SLOTS - 1)));
static_assert(!(EDGPU_RING_SG_ENTRIES & (EDGPU_RING_SG_ENTRIES - 1)));

static u32 edgpu_ring_reg(struct edgpu_ring *ring, u32 reg)
{
	return EDGPU_ENGINE_BASE + ring->engine * EDGPU_ENGINE_STRIDE + reg;
}

/**
 * edgpu_ring_read() - read a register of the engine
 * @ring: its ring
 * @reg: EDGPU_ENG_*
 *
 * Return: its value.
 */
u32 edgpu_ring_read(struct edgpu_ring *ring, u32 reg)
{
	return edgpu_read(ring->edgpu, edgpu_ring_reg(ring, reg));
}

/**
 * edgpu_ring_readq() - read a register of 64 bits
 * @ring: its ring
 * @reg: EDGPU_ENG_*
 *
 * Return: its value.
 */
u64 edgpu_ring_readq(struct edgpu_ring *ring, u32 reg)
{
	return edgpu_readq(ring->edgpu, edgpu_ring_reg(ring, reg));
}

static void edgpu_ring_write(struct edgpu_ring *ring, u32 reg, u32 value)
{
	edgpu_write(ring->edgpu, edgpu_ring_reg(ring, reg), value);
}

/**
 * edgpu_ring_update() - take note of what the engine has done
 * @ring: its ring, locked
 * @done: the fences go there, for edgpu_fences_signal()
 */
void edgpu_ring_update(struct edgpu_ring *ring, struct list_head *done)
{
	struct edgpu_fence *fence, *next;
	u64 completed;
	u32 head;

	lockdep_assert_held(&ring->lock);

	if (!ring->running)
		return;

	/*
	 * The slot first: a fence in a slot already left behind has been
	 * written by then.
	 */
	head = edgpu_ring_read(ring, EDGPU_ENG_HEAD);
	completed = edgpu_ring_readq(ring, EDGPU_ENG_FENCE);

	/* A device that has gone away reads as all ones. */
	if (head >= EDGPU_RING_SLOTS || completed > ring->seqno)
		return;

	if (head != ring->head) {
		u32 last = (head - 1) % EDGPU_RING_SLOTS;

		ring->sg_head = ring->slot_sg[last];
		ring->head = head;
		ring->progress = jiffies;
	}

	if (completed == ring->completed)
		return;

	ring->completed = completed;
	ring->progress = jiffies;
	list_for_each_entry_safe(fence, next, &ring->pending, link) {
		if (fence->base.seqno > completed)
			break;
		list_move_tail(&fence->link, done);
	}
}

/**
 * edgpu_ring_reset() - stop the engine and forget its work
 * @ring: its ring, locked
 * @lost: the fences of what was not done go there
 */
void edgpu_ring_reset(struct edgpu_ring *ring, struct list_head *lost)
{
	lockdep_assert_held(&ring->lock);

	edgpu_ring_write(ring, EDGPU_ENG_CONTROL, EDGPU_CONTROL_RESET);
	ring->epoch++;
	ring->head = 0;
	ring->tail = 0;
	ring->sg_head = 0;
	ring->sg_tail = 0;
	ring->sg_pushed = 0;
	list_splice_tail_init(&ring->pending, lost);
}

/**
 * edgpu_ring_program() - tell the engine where its ring is
 * @ring: its ring, locked, after a reset
 */
void edgpu_ring_program(struct edgpu_ring *ring)
{
	lockdep_assert_held(&ring->lock);

	writeq(ring->slots_dma,
	       ring->edgpu->regs + edgpu_ring_reg(ring, EDGPU_ENG_RING_BASE));
	edgpu_ring_write(ring, EDGPU_ENG_RING_SIZE, EDGPU_RING_SLOTS);
}

/**
 * edgpu_ring_is_idle() - whether all work on a ring is done, or failed
 * @ring: the ring
 *
 * Return: true if so.
 */
bool edgpu_ring_is_idle(struct edgpu_ring *ring)
{
	LIST_HEAD(done);
	bool idle;

	spin_lock_irq(&ring->lock);
	edgpu_ring_update(ring, &done);
	idle = !ring->running ||
	       (ring->head == ring->tail && list_empty(&ring->pending));
	spin_unlock_irq(&ring->lock);

	edgpu_fences_signal(&done, 0);
	return idle;
}

/* Have the engine do all that was written so far. */
static void edgpu_ring_kick(struct edgpu_ring *ring)
{
	lockdep_assert_held(&ring->lock);

	edgpu_ring_write(ring, EDGPU_ENG_TAIL, ring->tail);
	queue_delayed_work(ring->edgpu->wq, &ring->watchdog, EDGPU_WATCHDOG_PERIOD);
}

static u32 edgpu_ring_free_slots(struct edgpu_ring *ring)
{
	return (ring->head - ring->tail - 1) % EDGPU_RING_SLOTS;
}

static void edgpu_ring_write_slot(struct edgpu_ring *ring,
				  const struct edgpu_command *cmd)
{
	lockdep_assert_held(&ring->lock);

	if (ring->head == ring->tail)
		ring->progress = jiffies;
	ring->slots[ring->tail] = *cmd;
	ring->slot_sg[ring->tail] = ring->sg_pushed;
	ring->tail = (ring->tail + 1) % EDGPU_RING_SLOTS;
}

static void edgpu_ring_write_fence(struct edgpu_ring *ring)
{
	const struct edgpu_command cmd = {
		.opcode = cpu_to_le32(EDGPU_OP_FENCE),
		.flags = cpu_to_le32(EDGPU_FLAG_IRQ),
		.value = cpu_to_le64(++ring->seqno),
	};

	edgpu_ring_write_slot(ring, &cmd);
}

static int edgpu_ring_refusal(struct edgpu_ring *ring)
{
	return READ_ONCE(ring->edgpu->wedged) ? -EIO : -ENODEV;
}

/* Whether the job being written has lost its ring. */
static int edgpu_ring_lost(struct edgpu_ring *ring)
{
	lockdep_assert_held(&ring->lock);

	if (!ring->running)
		return edgpu_ring_refusal(ring);
	return ring->epoch == ring->emit_epoch ? 0 : -EIO;
}

/*
 * One slot stays in reserve for a fence command: the one that ends the job,
 * or the one that tells us when there is space again.
 */
static bool edgpu_ring_has_slot(struct edgpu_ring *ring)
{
	return edgpu_ring_free_slots(ring) >= 2;
}

/* A list does not wrap around the end of the memory. */
static bool edgpu_ring_has_sg(struct edgpu_ring *ring, u32 count)
{
	u32 offset = ring->sg_tail % EDGPU_RING_SG_ENTRIES;
	u32 skip = offset + count > EDGPU_RING_SG_ENTRIES ?
		   EDGPU_RING_SG_ENTRIES - offset : 0;

	return ring->sg_tail - ring->sg_head + skip + count <= EDGPU_RING_SG_ENTRIES;
}

static bool edgpu_ring_has_space(struct edgpu_ring *ring, u32 sg_count)
{
	bool ready;
	LIST_HEAD(done);

	spin_lock_irq(&ring->lock);
	edgpu_ring_update(ring, &done);
	ready = edgpu_ring_lost(ring) ||
		(edgpu_ring_has_slot(ring) && edgpu_ring_has_sg(ring, sg_count));
	spin_unlock_irq(&ring->lock);

	edgpu_fences_signal(&done, 0);
	return ready;
}

/*
 * Wait for a slot and @sg_count scatter list entries. Returns with the lock
 * held. Not interruptible, since the job may have begun; the watchdog ends it.
 */
static int edgpu_ring_lock_with_space(struct edgpu_ring *ring, u32 sg_count)
{
	int ret;

	lockdep_assert_held(&ring->emit);

	spin_lock_irq(&ring->lock);
	ret = edgpu_ring_lost(ring);
	if (ret)
		return ret;

	if (edgpu_ring_has_slot(ring) && edgpu_ring_has_sg(ring, sg_count))
		return 0;

	/* A full ring ends with a fence already: only that takes the last slot. */
	if (edgpu_ring_free_slots(ring)) {
		edgpu_ring_write_fence(ring);
		edgpu_ring_kick(ring);
	}
	spin_unlock_irq(&ring->lock);

	wait_event(ring->space, edgpu_ring_has_space(ring, sg_count));

	spin_lock_irq(&ring->lock);
	return edgpu_ring_lost(ring);
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
		ret = edgpu_ring_refusal(ring);
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

	ret = edgpu_ring_lock_with_space(ring, count);
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

	ret = edgpu_ring_lock_with_space(ring, 0);
	if (!ret) {
		/* Not before: a fence may go first, which must not free its lists. */
		ring->sg_pushed = ring->sg_tail;
		edgpu_ring_write_slot(ring, cmd);
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
	ret = edgpu_ring_lost(ring);
	if (!ret) {
		edgpu_ring_write_fence(ring);
		edgpu_fence_init(fence, ring->engine, ring->context, ring->seqno);
		dma_fence_get(&fence->base);
		list_add_tail(&fence->link, &ring->pending);
		edgpu_ring_kick(ring);
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
