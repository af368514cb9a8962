// SPDX-License-Identifier: GPL-2.0
/*
 * The engines' rings: writing commands, fences, interrupts, recovery.
 */

#include <linux/interrupt.h>
#include <linux/jiffies.h>
#include <linux/slab.h>

#include <drm/drm_drv.h>
#include <drm/drm_managed.h>
#include <drm/drm_print.h>

#include "edgpu_drv.h"

/* An engine that moves no slot and no fence for so long is taken for hung. */
#define EDGPU_HANG_TIMEOUT	(5 * HZ)
#define EDGPU_WATCHDOG_PERIOD	HZ

static_assert(sizeof(struct edgpu_command) == EDGPU_CMD_SIZE);
static_assert(offsetof(struct edgpu_command, value) == EDGPU_CMD_VALUE);
static_assert(sizeof(struct edgpu_sg) == EDGPU_SG_SIZE);
static_assert(EDGPU_RING_SLOTS <= EDGPU_MAX_SLOTS);
/* Both are indexed by counters that wrap. */
static_assert(!(EDGPU_RING_SLOTS & (EDGPU_RING_SLOTS - 1)));
static_assert(!(EDGPU_RING_SG_ENTRIES & (EDGPU_RING_SG_ENTRIES - 1)));

static const char * const edgpu_fault_names[EDGPU_FAULT_KINDS] = {
	[EDGPU_FAULT_NONE] = "none",
	[EDGPU_FAULT_DMA_LIMIT] = "DMA address beyond the limit",
	[EDGPU_FAULT_DMA_HOLE] = "no memory at DMA address",
	[EDGPU_FAULT_IOMMU] = "DMA refused by the IOMMU",
	[EDGPU_FAULT_BUS_MASTER] = "bus mastering is off",
	[EDGPU_FAULT_POWER] = "not in D0",
	[EDGPU_FAULT_VRAM_RANGE] = "beyond the end of VRAM",
	[EDGPU_FAULT_BAD_COMMAND] = "bad command",
	[EDGPU_FAULT_RING_OVERRUN] = "ring overrun",
	[EDGPU_FAULT_HARDWARE] = "hardware error",
};

static const char * const edgpu_timeline_names[EDGPU_MAX_ENGINES] = {
	"edgpu-engine0", "edgpu-engine1", "edgpu-engine2", "edgpu-engine3",
};

static u32 ring_reg(struct edgpu_ring *ring, u32 reg)
{
	return EDGPU_ENGINE_BASE + ring->engine * EDGPU_ENGINE_STRIDE + reg;
}

static u32 ring_read(struct edgpu_ring *ring, u32 reg)
{
	return edgpu_read(ring->edgpu, ring_reg(ring, reg));
}

static u64 ring_readq(struct edgpu_ring *ring, u32 reg)
{
	return edgpu_readq(ring->edgpu, ring_reg(ring, reg));
}

static void ring_write(struct edgpu_ring *ring, u32 reg, u32 value)
{
	edgpu_write(ring->edgpu, ring_reg(ring, reg), value);
}

static const char *edgpu_fence_driver_name(struct dma_fence *fence)
{
	return "edgpu";
}

static const char *edgpu_fence_timeline_name(struct dma_fence *fence)
{
	struct edgpu_fence *f = container_of(fence, struct edgpu_fence, base);

	return edgpu_timeline_names[f->engine];
}

/*
 * No release or wait operation, so that a fence that has signalled needs this
 * module no more.
 */
static const struct dma_fence_ops edgpu_fence_ops = {
	.get_driver_name = edgpu_fence_driver_name,
	.get_timeline_name = edgpu_fence_timeline_name,
};

/**
 * edgpu_fence_alloc() - memory for the fence of a job
 *
 * Taken before the job is written, since nothing may be allocated from there
 * to its end. Free with kfree() if edgpu_ring_commit() does not take it.
 *
 * Return: the fence, not yet initialised, or NULL.
 */
struct edgpu_fence *edgpu_fence_alloc(void)
{
	return kzalloc_obj(struct edgpu_fence);
}

/* Signal and drop fences already taken off their ring. */
static void ring_signal(struct list_head *fences, int error)
{
	struct edgpu_fence *fence, *next;

	list_for_each_entry_safe(fence, next, fences, link) {
		list_del(&fence->link);
		if (error)
			dma_fence_set_error(&fence->base, error);
		dma_fence_signal(&fence->base);
		dma_fence_put(&fence->base);
	}
}

/* Take note of what the engine has done; its fences go to @done. */
static void ring_update(struct edgpu_ring *ring, struct list_head *done)
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
	head = ring_read(ring, EDGPU_ENG_HEAD);
	completed = ring_readq(ring, EDGPU_ENG_FENCE);

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

static void ring_process(struct edgpu_ring *ring)
{
	unsigned long flags;
	LIST_HEAD(done);

	spin_lock_irqsave(&ring->lock, flags);
	ring_update(ring, &done);
	spin_unlock_irqrestore(&ring->lock, flags);

	ring_signal(&done, 0);
	wake_up_all(&ring->space);
}

/* Stop the engine and forget its work; the unfinished fences go to @lost. */
static void ring_reset(struct edgpu_ring *ring, struct list_head *lost)
{
	lockdep_assert_held(&ring->lock);

	ring_write(ring, EDGPU_ENG_CONTROL, EDGPU_CONTROL_RESET);
	ring->epoch++;
	ring->head = 0;
	ring->tail = 0;
	ring->sg_head = 0;
	ring->sg_tail = 0;
	list_splice_tail_init(&ring->pending, lost);
}

static void ring_program(struct edgpu_ring *ring)
{
	lockdep_assert_held(&ring->lock);

	writeq(ring->slots_dma,
	       ring->edgpu->regs + ring_reg(ring, EDGPU_ENG_RING_BASE));
	ring_write(ring, EDGPU_ENG_RING_SIZE, EDGPU_RING_SLOTS);
}

/* The engine has stopped on a fault: say why, and go on without its work. */
static void ring_recover_fault(struct edgpu_ring *ring)
{
	struct edgpu_device *edgpu = ring->edgpu;
	u32 kind, slot, count;
	LIST_HEAD(done);
	LIST_HEAD(lost);
	u64 addr;

	spin_lock_irq(&ring->lock);
	ring_update(ring, &done);
	if (!ring->running ||
	    !(ring_read(ring, EDGPU_ENG_STATUS) & EDGPU_STATUS_FAULT)) {
		spin_unlock_irq(&ring->lock);
		ring_signal(&done, 0);
		return;
	}
	kind = ring_read(ring, EDGPU_ENG_FAULT_KIND);
	slot = ring_read(ring, EDGPU_ENG_FAULT_SLOT);
	addr = ring_readq(ring, EDGPU_ENG_FAULT_ADDR);
	ring->faults++;
	ring_reset(ring, &lost);
	ring_program(ring);
	count = list_count_nodes(&lost);
	spin_unlock_irq(&ring->lock);

	drm_err_ratelimited(&edgpu->drm,
			    "engine %u fault: %s (kind %u), address 0x%llx, slot %u, %u jobs lost\n",
			    ring->engine,
			    kind < EDGPU_FAULT_KINDS ? edgpu_fault_names[kind] : "unknown",
			    kind, addr, slot, count);

	ring_signal(&done, 0);
	ring_signal(&lost, -EIO);
	wake_up_all(&ring->space);
}

/* Runs while there is work: finds lost interrupts and engines that hang. */
static void ring_watchdog(struct work_struct *work)
{
	struct edgpu_ring *ring =
		container_of(to_delayed_work(work), struct edgpu_ring, watchdog);
	struct edgpu_device *edgpu = ring->edgpu;
	bool fault = false, hung = false, busy = false;
	bool cookie = dma_fence_begin_signalling();
	u32 slot = 0;
	LIST_HEAD(done);
	LIST_HEAD(lost);

	spin_lock_irq(&ring->lock);
	ring_update(ring, &done);
	if (!list_empty(&done))
		ring->late++;
	if (ring->running) {
		busy = ring->head != ring->tail || !list_empty(&ring->pending);
		fault = ring_read(ring, EDGPU_ENG_STATUS) & EDGPU_STATUS_FAULT;
		hung = busy && !fault &&
		       time_after(jiffies, ring->progress + EDGPU_HANG_TIMEOUT);
	}
	if (hung) {
		slot = ring->head;
		ring->timeouts++;
		ring_reset(ring, &lost);
		ring_program(ring);
	}
	if (busy && !hung)
		queue_delayed_work(edgpu->wq, &ring->watchdog, EDGPU_WATCHDOG_PERIOD);
	spin_unlock_irq(&ring->lock);

	if (hung)
		drm_err_ratelimited(&edgpu->drm,
				    "engine %u hung in slot %u: reset\n",
				    ring->engine, slot);

	ring_signal(&done, 0);
	ring_signal(&lost, -EIO);
	if (fault)
		ring_recover_fault(ring);
	wake_up_all(&ring->space);
	dma_fence_end_signalling(cookie);
}

static irqreturn_t edgpu_engine_irq(int irq, void *arg)
{
	struct edgpu_ring *ring = arg;

	edgpu_write(ring->edgpu, EDGPU_REG_IRQ_STATUS,
		    EDGPU_BIT(EDGPU_IRQ_FENCE_SHIFT + ring->engine));
	ring_process(ring);
	return IRQ_HANDLED;
}

static irqreturn_t edgpu_fault_irq(int irq, void *arg)
{
	struct edgpu_device *edgpu = arg;
	bool cookie = dma_fence_begin_signalling();
	unsigned int i;

	for (i = 0; i < edgpu->num_engines; i++) {
		edgpu_write(edgpu, EDGPU_REG_IRQ_STATUS,
			    EDGPU_BIT(EDGPU_IRQ_FAULT_SHIFT + i));
		ring_recover_fault(&edgpu->rings[i]);
	}
	dma_fence_end_signalling(cookie);
	return IRQ_HANDLED;
}

static u32 ring_free_slots(struct edgpu_ring *ring)
{
	return (ring->head - ring->tail - 1) % EDGPU_RING_SLOTS;
}

/* Ring the doorbell for all that was written so far. */
static void ring_kick(struct edgpu_ring *ring)
{
	lockdep_assert_held(&ring->lock);

	ring_write(ring, EDGPU_ENG_TAIL, ring->tail);
	queue_delayed_work(ring->edgpu->wq, &ring->watchdog, EDGPU_WATCHDOG_PERIOD);
}

static void ring_write_slot(struct edgpu_ring *ring,
			    const struct edgpu_command *cmd)
{
	lockdep_assert_held(&ring->lock);

	if (ring->head == ring->tail)
		ring->progress = jiffies;
	ring->slots[ring->tail] = *cmd;
	ring->slot_sg[ring->tail] = ring->sg_tail;
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

/* Whether the job being written has lost its ring. */
static int ring_lost(struct edgpu_ring *ring)
{
	lockdep_assert_held(&ring->lock);

	if (!ring->running)
		return -ENODEV;
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
	ring_update(ring, &done);
	ready = ring_lost(ring) ||
		(ring_has_slot(ring) && ring_has_sg(ring, sg_count));
	spin_unlock_irq(&ring->lock);

	ring_signal(&done, 0);
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
		ring_kick(ring);
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
 * Call within drm_dev_enter(). End with edgpu_ring_commit() or
 * edgpu_ring_cancel(); until then nothing may be allocated that could wait for
 * a fence.
 *
 * Return: 0, or -ENODEV if the device is gone or asleep.
 */
int edgpu_ring_begin(struct edgpu_ring *ring)
{
	int ret = 0;

	mutex_lock(&ring->emit);
	spin_lock_irq(&ring->lock);
	ring->emit_epoch = ring->epoch;
	if (!ring->running)
		ret = -ENODEV;
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
	if (!ret)
		ring_write_slot(ring, cmd);
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
		fence->engine = ring->engine;
		dma_fence_init64(&fence->base, &edgpu_fence_ops, NULL,
				 ring->context, ring->seqno);
		dma_fence_get(&fence->base);
		list_add_tail(&fence->link, &ring->pending);
		ring_kick(ring);
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

static int ring_init(struct edgpu_device *edgpu, unsigned int engine)
{
	struct edgpu_ring *ring = &edgpu->rings[engine];
	struct device *dev = &edgpu->pdev->dev;
	int ret;

	ring->edgpu = edgpu;
	ring->engine = engine;
	ring->context = dma_fence_context_alloc(1);
	spin_lock_init(&ring->lock);
	INIT_LIST_HEAD(&ring->pending);
	init_waitqueue_head(&ring->space);
	INIT_DELAYED_WORK(&ring->watchdog, ring_watchdog);
	ret = drmm_mutex_init(&edgpu->drm, &ring->emit);
	if (ret)
		return ret;

	ring->slots = dmam_alloc_coherent(dev, EDGPU_RING_SLOTS * EDGPU_CMD_SIZE,
					  &ring->slots_dma, GFP_KERNEL);
	ring->sg = dmam_alloc_coherent(dev, EDGPU_RING_SG_ENTRIES * EDGPU_SG_SIZE,
				       &ring->sg_dma, GFP_KERNEL);
	if (!ring->slots || !ring->sg)
		return -ENOMEM;

	return devm_request_irq(dev, pci_irq_vector(edgpu->pdev, EDGPU_VECTOR_ENGINE + engine),
				edgpu_engine_irq, 0, edgpu_timeline_names[engine], ring);
}

/**
 * edgpu_rings_init() - memory and interrupts of the rings
 * @edgpu: the device
 *
 * Return: 0 or a negative error code.
 */
int edgpu_rings_init(struct edgpu_device *edgpu)
{
	struct pci_dev *pdev = edgpu->pdev;
	unsigned int vectors = EDGPU_VECTOR_ENGINE + edgpu->num_engines;
	unsigned int i;
	int ret;

	/* Whatever ran here before may have left the device at work. */
	edgpu_write(edgpu, EDGPU_REG_IRQ_ENABLE, 0);
	for (i = 0; i < edgpu->num_engines; i++)
		edgpu_write(edgpu, EDGPU_ENGINE_BASE + i * EDGPU_ENGINE_STRIDE +
			    EDGPU_ENG_CONTROL, EDGPU_CONTROL_RESET);

	edgpu->wq = drmm_alloc_ordered_workqueue(&edgpu->drm, "edgpu", WQ_MEM_RECLAIM);
	if (IS_ERR(edgpu->wq))
		return PTR_ERR(edgpu->wq);

	ret = pci_alloc_irq_vectors(pdev, vectors, vectors, PCI_IRQ_MSIX);
	if (ret < 0)
		return ret;

	for (i = 0; i < edgpu->num_engines; i++) {
		ret = ring_init(edgpu, i);
		if (ret)
			return ret;
	}

	return devm_request_threaded_irq(&pdev->dev,
					 pci_irq_vector(pdev, EDGPU_VECTOR_FAULT),
					 NULL, edgpu_fault_irq, IRQF_ONESHOT,
					 "edgpu-fault", edgpu);
}

/**
 * edgpu_rings_start() - let the engines run
 * @edgpu: the device, in D0, with bus mastering on
 */
void edgpu_rings_start(struct edgpu_device *edgpu)
{
	u32 irqs = 0;
	unsigned int i;
	LIST_HEAD(lost);

	for (i = 0; i < edgpu->num_engines; i++) {
		struct edgpu_ring *ring = &edgpu->rings[i];

		spin_lock_irq(&ring->lock);
		ring_reset(ring, &lost);
		ring_program(ring);
		/* The register outlives resets, and whoever used it before us. */
		ring->completed = ring_readq(ring, EDGPU_ENG_FENCE);
		ring->seqno = max(ring->seqno, ring->completed);
		ring->running = true;
		spin_unlock_irq(&ring->lock);
		irqs |= EDGPU_BIT(EDGPU_IRQ_FENCE_SHIFT + i) |
			EDGPU_BIT(EDGPU_IRQ_FAULT_SHIFT + i);
	}
	ring_signal(&lost, -EIO);
	edgpu_write(edgpu, EDGPU_REG_IRQ_STATUS, irqs);
	edgpu_write(edgpu, EDGPU_REG_IRQ_ENABLE, irqs);
}

static bool ring_is_idle(struct edgpu_ring *ring)
{
	LIST_HEAD(done);
	bool idle;

	spin_lock_irq(&ring->lock);
	ring_update(ring, &done);
	idle = !ring->running ||
	       (ring->head == ring->tail && list_empty(&ring->pending));
	spin_unlock_irq(&ring->lock);

	ring_signal(&done, 0);
	return idle;
}

/**
 * edgpu_rings_wait_idle() - wait until all work so far is done, or failed
 * @edgpu: the device
 *
 * For when nobody can begin new work.
 */
void edgpu_rings_wait_idle(struct edgpu_device *edgpu)
{
	unsigned int i;

	for (i = 0; i < edgpu->num_engines; i++)
		wait_event(edgpu->rings[i].space, ring_is_idle(&edgpu->rings[i]));
}

/**
 * edgpu_rings_stop() - stop the engines; no DMA after this
 * @edgpu: the device
 *
 * Work not finished ends with -EIO; new work is refused with -ENODEV.
 */
void edgpu_rings_stop(struct edgpu_device *edgpu)
{
	unsigned int i;

	edgpu_write(edgpu, EDGPU_REG_IRQ_ENABLE, 0);
	for (i = 0; i < edgpu->num_engines; i++) {
		struct edgpu_ring *ring = &edgpu->rings[i];
		LIST_HEAD(done);
		LIST_HEAD(lost);

		spin_lock_irq(&ring->lock);
		ring_update(ring, &done);
		ring_reset(ring, &lost);
		ring->running = false;
		spin_unlock_irq(&ring->lock);

		ring_signal(&done, 0);
		ring_signal(&lost, -EIO);
		wake_up_all(&ring->space);
		cancel_delayed_work_sync(&ring->watchdog);
	}
}
