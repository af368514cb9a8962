// SPDX-License-Identifier: GPL-2.0
/*
 * Carveout: objects in memory that is set aside for devices, and that others use
 * while they don't: the CMA area of the device, or the one for all of them.
 *
 * Some hardware wants its memory contiguous, or in a certain place; this one does
 * not care, so pages are taken in whatever portions there are.
 */

#include <linux/cma.h>
#include <linux/dma-map-ops.h>

#include <drm/ttm/ttm_tt.h>

#include "edgpu_carveout.h"
#include "edgpu_drv.h"

static struct cma *edgpu_carveout_area(struct ttm_device *ttm)
{
	return dev_get_cma_area(&ttm_to_edgpu(ttm)->pdev->dev);
}

/**
 * edgpu_carveout_exists() - whether there is such memory
 * @edgpu: the device
 *
 * Return: true if the kernel was told to set some aside.
 */
bool edgpu_carveout_exists(struct edgpu_device *edgpu)
{
	return edgpu_carveout_area(&edgpu->ttm);
}

/* As many as there are in one piece, at most @nr: a power of two, or @nr. */
static pgoff_t edgpu_carveout_alloc(struct cma *area, struct page **pages, pgoff_t nr)
{
	struct page *page;
	pgoff_t i;

	for (;;) {
		page = cma_alloc(area, nr, 0, true);
		if (page || nr == 1)
			break;
		nr = rounddown_pow_of_two(nr - 1);
	}
	if (!page)
		return 0;

	for (i = 0; i < nr; i++)
		pages[i] = page + i;
	return nr;
}

/**
 * edgpu_carveout_borrow() - &ttm_device_funcs.borrow_pages
 * @ttm: the TTM device
 * @tt: whose pages they are to be
 * @first: the first
 * @nr: how many
 *
 * Return: 0, or -ENOSPC if the area has too few.
 */
int edgpu_carveout_borrow(struct ttm_device *ttm, struct ttm_tt *tt, pgoff_t first,
			  pgoff_t nr)
{
	struct cma *area = edgpu_carveout_area(ttm);
	pgoff_t done, got;

	for (done = 0; done < nr; done += got) {
		got = edgpu_carveout_alloc(area, tt->pages + first + done, nr - done);
		if (!got) {
			edgpu_carveout_return(ttm, tt, first, done);
			return -ENOSPC;
		}
	}
	return 0;
}

/**
 * edgpu_carveout_return() - &ttm_device_funcs.return_pages
 * @ttm: the TTM device
 * @tt: whose pages they were
 * @first: the first
 * @nr: how many
 */
void edgpu_carveout_return(struct ttm_device *ttm, struct ttm_tt *tt, pgoff_t first,
			   pgoff_t nr)
{
	struct cma *area = edgpu_carveout_area(ttm);
	pgoff_t i, run;

	for (i = first; i < first + nr; i += run) {
		for (run = 1; i + run < first + nr; run++)
			if (tt->pages[i + run] != tt->pages[i] + run)
				break;
		/* Not from this area: then it is nobody's */
		WARN_ON_ONCE(!cma_release(area, tt->pages[i], run));
		memset(tt->pages + i, 0, run * sizeof(*tt->pages));
	}
}
