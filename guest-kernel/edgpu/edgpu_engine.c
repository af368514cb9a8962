// SPDX-License-Identifier: GPL-2.0
/*
 * The engines: starting and stopping them, interrupts, recovery.
 *
 * An engine that faults or hangs is reset and loses all work on its ring, whose
 * fences end with -EIO. A device that does not answer at all is wedged, until
 * somebody resets or rebinds it. A lost interrupt costs a period of the
 * watchdog, no more.
 */

#include <linux/dma-mapping.h>
#include <linux/interrupt.h>
#include <linux/jiffies.h>
#include <linux/mm.h>

#include <drm/drm_drv.h>
#include <drm/drm_managed.h>
#include <drm/drm_print.h>

#include "edgpu_drv.h"
#include "edgpu_engine.h"
#include "edgpu_fence.h"
#include "edgpu_scanout.h"

/* An engine that moves no slot and no fence for so long is taken for hung. */
#define EDGPU_HANG_TIMEOUT	(5 * HZ)

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

static void edgpu_engine_process(struct edgpu_ring *ring)
{
	unsigned long flags;
	LIST_HEAD(done);

	spin_lock_irqsave(&ring->lock, flags);
	edgpu_ring_update(ring, &done);
	spin_unlock_irqrestore(&ring->lock, flags);

	edgpu_fences_signal(&done, 0);
	wake_up_all(&ring->space);
}

static u32 edgpu_engines_irqs(struct edgpu_device *edgpu)
{
	u32 engines = EDGPU_BIT(edgpu->num_engines) - 1;

	return engines << EDGPU_IRQ_FENCE_SHIFT | engines << EDGPU_IRQ_FAULT_SHIFT;
}

/* The engine has stopped on a fault: say why, and go on without its work. */
static void edgpu_engine_recover_fault(struct edgpu_ring *ring)
{
	struct edgpu_device *edgpu = ring->edgpu;
	u32 kind, slot, count;
	LIST_HEAD(done);
	LIST_HEAD(lost);
	u64 addr;

	spin_lock_irq(&ring->lock);
	edgpu_ring_update(ring, &done);
	if (!ring->running ||
	    !(edgpu_ring_read(ring, EDGPU_ENG_STATUS) & EDGPU_STATUS_FAULT)) {
		spin_unlock_irq(&ring->lock);
		edgpu_fences_signal(&done, 0);
		return;
	}
	kind = edgpu_ring_read(ring, EDGPU_ENG_FAULT_KIND);
	slot = edgpu_ring_read(ring, EDGPU_ENG_FAULT_SLOT);
	addr = edgpu_ring_readq(ring, EDGPU_ENG_FAULT_ADDR);
	ring->faults++;
	edgpu_ring_reset(ring, &lost);
	edgpu_ring_program(ring);
	count = list_count_nodes(&lost);
	spin_unlock_irq(&ring->lock);

	/* Ten in 5 s are told. Tests ask those who count all of them: the ring, and the device. */
	drm_err_ratelimited(&edgpu->drm,
			    "engine %u fault: %s (kind %u), address 0x%llx, slot %u, %u jobs lost\n",
			    ring->engine,
			    kind < EDGPU_FAULT_KINDS ? edgpu_fault_names[kind] : "unknown",
			    kind, addr, slot, count);

	edgpu_fences_signal(&done, 0);
	edgpu_fences_signal(&lost, -EIO);
	wake_up_all(&ring->space);
}

/* The device is beyond help: nothing that needs it works any more. */
static void edgpu_engines_wedge(struct edgpu_device *edgpu)
{
	unsigned int i;
	LIST_HEAD(lost);

	if (edgpu->wedged)
		return;

	WRITE_ONCE(edgpu->wedged, true);
	/* Whatever it still does, not to memory that is about to be let go of. */
	pci_clear_master(edgpu->pdev);
	for (i = 0; i < edgpu->num_engines; i++) {
		struct edgpu_ring *ring = &edgpu->rings[i];

		spin_lock_irq(&ring->lock);
		ring->running = false;
		list_splice_tail_init(&ring->pending, &lost);
		spin_unlock_irq(&ring->lock);
		edgpu_fences_signal(&lost, -EIO);
		wake_up_all(&ring->space);
	}
	drm_err(&edgpu->drm, "the device does not answer: give it a reset\n");
	schedule_work(&edgpu->wedged_event);
}

/* Allocates memory, so it can't be sent from where fences are signalled. */
static void edgpu_engines_wedged_event(struct work_struct *work)
{
	struct edgpu_device *edgpu =
		container_of(work, struct edgpu_device, wedged_event);

	/* Faults refuse what was in VRAM from now on. */
	unmap_mapping_range(edgpu->drm.anon_inode->i_mapping, 0, 0, 1);
	drm_dev_wedged_event(&edgpu->drm, DRM_WEDGE_RECOVERY_REBIND |
			     DRM_WEDGE_RECOVERY_BUS_RESET, NULL);
}

static void edgpu_engines_cancel_event(void *work)
{
	cancel_work_sync(work);
}

/* What there is to do about an engine, by what the watchdog sees. */
enum edgpu_health {
	EDGPU_HEALTH_IDLE,
	EDGPU_HEALTH_BUSY,
	EDGPU_HEALTH_FAULT,
	EDGPU_HEALTH_HUNG,
};

static enum edgpu_health edgpu_engine_check(struct edgpu_ring *ring, struct list_head *done)
{
	lockdep_assert_held(&ring->lock);

	edgpu_ring_update(ring, done);
	if (!list_empty(done))
		ring->late++;
	if (!ring->running ||
	    (ring->head == ring->tail && list_empty(&ring->pending)))
		return EDGPU_HEALTH_IDLE;
	if (edgpu_ring_read(ring, EDGPU_ENG_STATUS) & EDGPU_STATUS_FAULT)
		return EDGPU_HEALTH_FAULT;
	if (time_after(jiffies, ring->progress + EDGPU_HANG_TIMEOUT))
		return EDGPU_HEALTH_HUNG;
	return EDGPU_HEALTH_BUSY;
}

/* The engine makes no progress: go on without its work. */
static void edgpu_engine_recover_hang(struct edgpu_ring *ring)
{
	struct edgpu_device *edgpu = ring->edgpu;
	u32 slot, count;
	LIST_HEAD(lost);

	spin_lock_irq(&ring->lock);
	if (!ring->running) {
		spin_unlock_irq(&ring->lock);
		return;
	}
	slot = ring->head;
	ring->timeouts++;
	edgpu_ring_reset(ring, &lost);
	edgpu_ring_program(ring);
	/* In case that the device was reset behind our back. */
	edgpu_write(edgpu, EDGPU_REG_IRQ_ENABLE, edgpu_engines_irqs(edgpu));
	count = list_count_nodes(&lost);
	spin_unlock_irq(&ring->lock);

	drm_err_ratelimited(&edgpu->drm, "engine %u hung in slot %u: reset, %u jobs lost\n",
			    ring->engine, slot, count);
	edgpu_fences_signal(&lost, -EIO);
}

/* Runs while there is work: finds lost interrupts, hangs, and a dead device. */
static void edgpu_engine_watchdog(struct work_struct *work)
{
	struct edgpu_ring *ring =
		container_of(to_delayed_work(work), struct edgpu_ring, watchdog);
	struct edgpu_device *edgpu = ring->edgpu;
	bool cookie = dma_fence_begin_signalling();
	enum edgpu_health health;
	LIST_HEAD(done);

	spin_lock_irq(&ring->lock);
	health = edgpu_engine_check(ring, &done);
	if (health != EDGPU_HEALTH_IDLE)
		queue_delayed_work(edgpu->wq, &ring->watchdog, EDGPU_WATCHDOG_PERIOD);
	spin_unlock_irq(&ring->lock);
	edgpu_fences_signal(&done, 0);

	if (health != EDGPU_HEALTH_IDLE && !edgpu_is_alive(edgpu))
		edgpu_engines_wedge(edgpu);
	else if (health == EDGPU_HEALTH_HUNG)
		edgpu_engine_recover_hang(ring);
	else if (health == EDGPU_HEALTH_FAULT)
		edgpu_engine_recover_fault(ring);
	wake_up_all(&ring->space);
	dma_fence_end_signalling(cookie);
}

static irqreturn_t edgpu_engine_irq(int irq, void *arg)
{
	struct edgpu_ring *ring = arg;

	edgpu_write(ring->edgpu, EDGPU_REG_IRQ_STATUS,
		    EDGPU_BIT(EDGPU_IRQ_FENCE_SHIFT + ring->engine));
	edgpu_engine_process(ring);
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
		edgpu_engine_recover_fault(&edgpu->rings[i]);
	}
	dma_fence_end_signalling(cookie);
	return IRQ_HANDLED;
}

static int edgpu_engine_init(struct edgpu_device *edgpu, unsigned int engine)
{
	struct edgpu_ring *ring = &edgpu->rings[engine];
	struct device *dev = &edgpu->pdev->dev;
	int ret;

	ring->edgpu = edgpu;
	ring->engine = engine;
	ring->name = edgpu_engine_names[engine];
	ring->context = dma_fence_context_alloc(1);
	spin_lock_init(&ring->lock);
	INIT_LIST_HEAD(&ring->pending);
	init_waitqueue_head(&ring->space);
	INIT_DELAYED_WORK(&ring->watchdog, edgpu_engine_watchdog);
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
				edgpu_engine_irq, 0, ring->name, ring);
}

/**
 * edgpu_engines_init() - memory and interrupts of the rings
 * @edgpu: the device
 *
 * Return: 0 or a negative error code.
 */
int edgpu_engines_init(struct edgpu_device *edgpu)
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

	INIT_WORK(&edgpu->wedged_event, edgpu_engines_wedged_event);
	/* Also if the probe fails: whatever could queue it is undone before. */
	ret = devm_add_action_or_reset(&pdev->dev, edgpu_engines_cancel_event,
				       &edgpu->wedged_event);
	if (ret)
		return ret;
	edgpu->wq = drmm_alloc_ordered_workqueue(&edgpu->drm, "edgpu", WQ_MEM_RECLAIM);
	if (IS_ERR(edgpu->wq))
		return PTR_ERR(edgpu->wq);

	ret = pci_alloc_irq_vectors(pdev, vectors, vectors, PCI_IRQ_MSIX);
	if (ret < 0)
		return ret;

	for (i = 0; i < edgpu->num_engines; i++) {
		ret = edgpu_engine_init(edgpu, i);
		if (ret)
			return ret;
	}

	return devm_request_threaded_irq(&pdev->dev,
					 pci_irq_vector(pdev, EDGPU_VECTOR_FAULT),
					 NULL, edgpu_fault_irq, IRQF_ONESHOT,
					 "edgpu-fault", edgpu);
}

/**
 * edgpu_engines_start() - let the engines run
 * @edgpu: the device, in D0
 *
 * Also after a reset, which may have brought a wedged device back to life.
 */
void edgpu_engines_start(struct edgpu_device *edgpu)
{
	u32 irqs = edgpu_engines_irqs(edgpu);
	unsigned int i;
	LIST_HEAD(lost);

	if (!edgpu_is_alive(edgpu)) {
		edgpu_engines_wedge(edgpu);
		return;
	}
	pci_set_master(edgpu->pdev);
	WRITE_ONCE(edgpu->vram_generation, edgpu_read(edgpu, EDGPU_REG_VRAM_GENERATION));
	WRITE_ONCE(edgpu->wedged, false);

	for (i = 0; i < edgpu->num_engines; i++) {
		struct edgpu_ring *ring = &edgpu->rings[i];

		spin_lock_irq(&ring->lock);
		edgpu_ring_reset(ring, &lost);
		edgpu_ring_program(ring);
		/* The register outlives resets, and whoever used it before us. */
		ring->completed = edgpu_ring_readq(ring, EDGPU_ENG_FENCE);
		ring->seqno = max(ring->seqno, ring->completed);
		ring->running = true;
		spin_unlock_irq(&ring->lock);
	}
	edgpu_fences_signal(&lost, -EIO);
	edgpu_write(edgpu, EDGPU_REG_IRQ_STATUS, irqs);
	edgpu_write(edgpu, EDGPU_REG_IRQ_ENABLE, irqs);
	edgpu_scanout_start(edgpu);
}

/**
 * edgpu_engines_are_idle() - whether all work so far is done, or failed
 * @edgpu: the device
 *
 * Return: true if so.
 */
bool edgpu_engines_are_idle(struct edgpu_device *edgpu)
{
	unsigned int i;

	for (i = 0; i < edgpu->num_engines; i++)
		if (!edgpu_ring_is_idle(&edgpu->rings[i]))
			return false;
	return true;
}

/**
 * edgpu_engines_wait_idle() - wait until all work so far is done, or failed
 * @edgpu: the device
 *
 * For when nobody can begin new work.
 */
void edgpu_engines_wait_idle(struct edgpu_device *edgpu)
{
	unsigned int i;

	for (i = 0; i < edgpu->num_engines; i++)
		wait_event(edgpu->rings[i].space, edgpu_ring_is_idle(&edgpu->rings[i]));
}

/**
 * edgpu_engines_stop() - stop the engines; no DMA after this
 * @edgpu: the device
 *
 * Work not finished ends with -EIO; new work is refused with -ENODEV.
 */
void edgpu_engines_stop(struct edgpu_device *edgpu)
{
	unsigned int i;

	edgpu_scanout_stop(edgpu);
	edgpu_write(edgpu, EDGPU_REG_IRQ_ENABLE, 0);
	for (i = 0; i < edgpu->num_engines; i++) {
		struct edgpu_ring *ring = &edgpu->rings[i];
		LIST_HEAD(done);
		LIST_HEAD(lost);

		spin_lock_irq(&ring->lock);
		edgpu_ring_update(ring, &done);
		edgpu_ring_reset(ring, &lost);
		ring->running = false;
		spin_unlock_irq(&ring->lock);

		edgpu_fences_signal(&done, 0);
		edgpu_fences_signal(&lost, -EIO);
		wake_up_all(&ring->space);
		cancel_delayed_work_sync(&ring->watchdog);
	}
}
