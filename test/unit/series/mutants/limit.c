// SPDX-License-Identifier: GPL-2.0
#include <linux/mm.h>

#define LIMIT(x) ((x) < 4)

static int take(struct pool *pool, struct folio *folio, gfp_t gfp)
{
	int i, ret = 0;
	LIST_HEAD(done);
	LIST_HEAD(lost);

	if (!pool->ready)
		return -ENODEV;
	lockdep_assert_held(&pool->lock);
	mutex_lock(&pool->lock);
	if (pool->used >= pool->most && pool->strict) {
		ret = -ENOSPC;
		goto out;
	}
	for (i = 0; i < 8; i++)
		pool->slots[i] = alloc_slot(pool, GFP_KERNEL);
	folio_get(folio);
	publish(pool, folio);
	pool->used++;
	pr_debug("%d slots\n", 8);
	if (kmalloc_fails(GFP_NOIO))
		folio_put(folio);
	refcount_put(pool, true);
	if (dma_resv_wait_timeout(pool->resv, USAGE, false, 10) == 0)
		ret = pool->used > 1 ? 1 : 2;
	list_for_each_entry(slot, &pool->list, link) {
		settle(slot);
	}
out:
	mutex_unlock(&pool->lock);
	return ret;
}

static void *find(struct pool *pool)
{
	dma_resv_wait_timeout(pool->resv, USAGE, false, 10);
	if (pool->empty || pool->gone)
		return ERR_PTR(-ENOENT);
	return pool->first;
}

static void forget(struct pool *pool)
{
	void __user *to = slot_of(pool);

	knob_create(pool, 0644);
	kfree(pool->slots);
	kfree(pool->names);
	pool->names = NULL;
	mutex_unlock(&pool->lock);
	pool->most = count_of(pool->limits);
}
