// SPDX-License-Identifier: GPL-2.0
/*
 * What a page below a limit costs: mm/shmem_limit.c itself, on a simulated zone with so much RAM below the limit.
 *
 * limit-cost MIB-BELOW WHAT-IS-BELOW PAGES TASKS APART SCOPE
 *
 * has so many tasks ask for so many pages each, one page after the other, and says what that took. Each task begins
 * when so many more struct pages have been looked at. All are in a scope that forbids flags of allocations, or in none.
 * Counted is what the code itself looks at and locks, as long as it is in this file of Linux: not what it takes to
 * migrate or to free a folio. Tasks take turns at fixed points, each time that one could be preempted or lets go of a
 * mutex.
 */
#include "kernel.h"

#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

unsigned long jiffies;
struct task_struct *current;
pg_data_t the_node;
struct shmem_inode_info the_file;
gfp_t gfp_allowed_mask = ~0U, scope_mask = ~0U;

#include "mm/shmem_limit.c"

#define START_PFN	PHYS_PFN(1ULL << 32)
#define ABOVE_PAGES	PHYS_PFN(1ULL << 30)

/* What all of the memory below the limit is at first */
static enum {
	FREE,			/* free, in pageblocks */
	SCATTERED,		/* one page in eight is free */
	ANON,			/* anonymous memory, and there is room above */
	SLOW,			/* the same, but all of it is memory of a lower tier */
	CACHE,			/* clean page cache, and there is no room above */
	LOW,			/* the same, and memory.low protects the first 64 MiB */
	MIN,			/* and memory.min does */
	KERNEL,			/* nothing that can be had */
	FAR,			/* the same, but for the last 64 MiB, which are free */
	ROOM,			/* the same, and others than the first task make room at the beginning, in vain */
} below;
static const char *const belows[] = { "free", "scattered", "anon", "slow", "cache", "low", "min", "kernel", "far", "room" };

/* memalloc_nofs_save(), memalloc_noio_save(), and pm_restrict_gfp_mask() */
static const struct {
	const char *name;
	gfp_t *mask, forbidden;
} scopes[] = {
	{ "none", &scope_mask, 0 },
	{ "nofs", &scope_mask, __GFP_FS },
	{ "noio", &scope_mask, __GFP_IO | __GFP_FS },
	{ "sleep", &gfp_allowed_mask, __GFP_IO | __GFP_FS },
};

static bool enter_scope(const char *name)
{
	for (size_t i = 0; i < sizeof(scopes) / sizeof(*scopes); i++)
		if (!strcmp(name, scopes[i].name)) {
			*scopes[i].mask &= ~scopes[i].forbidden;
			return true;
		}
	return false;
}

/* What has become of a page: nothing, in use, or first of so many free pages */
enum { UNCHANGED, IN_USE, BUDDY };

static struct page *memmap;		/* of page frame 0 */
static unsigned long limit_pfn, next_above;

static struct {
	unsigned long got, looked, longest, longest_wait, zone_lock, lru_lock, mutexes, drains;
	unsigned long moved, reclaimed, protected;
} count;

#define MAX_TASKS	16
#define STACK_BYTES	(256 << 10)

static struct task {
	struct task_struct kernel;
	ucontext_t context;
	bool ended;
	unsigned long begin;	/* when so many struct pages have been looked at */
	const struct page *last_looked;
	unsigned long looked, looked_before_mutex;
	unsigned int mutexes_held;
} tasks[MAX_TASKS], *running;
static unsigned int nr_tasks;
static ucontext_t main_context;

static void go_on_with(struct task *next)
{
	struct task *last = running;

	running = next;
	current = &next->kernel;
	if (next != last)
		swapcontext(&last->context, &next->context);
}

/* Someone else, or if all others have ended or will begin later, whoever asks */
void cond_resched(void)
{
	unsigned int i = running - tasks;

	do {
		i = (i + 1) % nr_tasks;
	} while ((tasks[i].ended || count.looked < tasks[i].begin) && &tasks[i] != running);
	go_on_with(&tasks[i]);
}

/* To ask a page twice in a row costs no second miss of the cache. */
static void look(const struct page *page)
{
	bool again = page == running->last_looked;

	count.looked += !again;
	running->looked += !again;
	running->last_looked = page;
}

unsigned long page_to_pfn(const struct page *page)
{
	return page - memmap;
}

/* A section knows whether it is online, so this looks at no struct page. */
struct page *pfn_to_online_page(unsigned long pfn)
{
	return pfn >= START_PFN && pfn < zone_end_pfn(THE_ZONE) ? memmap + pfn : NULL;
}

struct page *pageblock_pfn_to_page(unsigned long start, unsigned long end, struct zone *zone)
{
	look(memmap + start);
	look(memmap + end - 1);
	return start >= zone->zone_start_pfn && end <= zone_end_pfn(zone) ? memmap + start : NULL;
}

int page_to_nid(const struct page *page)
{
	look(page);
	return 0;
}

enum zone_type page_zonenum(const struct page *page)
{
	look(page);
	return ZONE_NORMAL;
}

struct zone *page_zone(const struct page *page)
{
	look(page);
	return THE_ZONE;
}

static int free_order(const struct page *page)
{
	unsigned long pfn = page_to_pfn(page);

	if (page->changed)
		return page->changed - BUDDY;
	if (below == FREE)
		return pfn % pageblock_nr_pages ? -1 : 9;
	if (below == SCATTERED)
		return pfn % 8 ? -1 : 0;
	if (below == FAR || below == ROOM)
		return pfn >= limit_pfn - PHYS_PFN(64 << 20) && pfn < limit_pfn ? 0 : -1;
	return -1;
}

bool PageBuddy(const struct page *page)
{
	look(page);
	return free_order(page) >= 0;
}

unsigned int buddy_order(const struct page *page)
{
	return free_order(page);
}

bool __isolate_free_page(struct page *page, unsigned int order)
{
	if (THE_ZONE->free < THE_ZONE->min + (1UL << order))
		return false;
	page->changed = IN_USE;
	THE_ZONE->free -= 1UL << order;
	return true;
}

void __putback_isolated_page(struct page *page, unsigned int order, int mt)
{
	page->changed = BUDDY + order;
	THE_ZONE->free += 1UL << order;
}

static struct folio *new_folio(struct page *page)
{
	struct folio *folio = calloc(1, sizeof(*folio));

	if (!folio)
		abort();
	folio->page = page;
	return folio;
}

struct folio *page_rmappable_folio(struct page *page)
{
	return new_folio(page);
}

void folio_put(struct folio *folio)
{
	(void)folio;	/* the few that there are end with the program */
}

bool zone_watermark_ok(struct zone *zone, unsigned int order, unsigned long mark, int highest, unsigned int flags)
{
	return zone->free > mark;
}

/* Of no node all RAM is below, so whoever asks the page allocator moves something up. */
struct folio *__folio_alloc(gfp_t gfp, unsigned int order, int nid, nodemask_t *nodes)
{
	if (!THE_ZONE->free || next_above >= zone_end_pfn(THE_ZONE))
		return NULL;
	THE_ZONE->free--;
	return new_folio(memmap + next_above++);
}

void drain_all_pages(struct zone *zone)
{
	count.drains++;
}

bool node_is_toptier(int nid)
{
	return below != SLOW;
}

bool cache_on_lru(void)
{
	return below == CACHE || below == LOW || below == MIN;
}

static bool is_protected(const struct folio *folio)
{
	return (below == LOW || below == MIN) && folio_pfn(folio) < START_PFN + PHYS_PFN(64 << 20);
}

bool mem_cgroup_below_min(struct mem_cgroup *root, struct mem_cgroup *memcg)
{
	return below == MIN && is_protected((struct folio *)memcg);
}

bool mem_cgroup_below_low(struct mem_cgroup *root, struct mem_cgroup *memcg)
{
	return is_protected((struct folio *)memcg);
}

bool PageLRU(const struct page *page)
{
	look(page);
	return (below == ANON || below == SLOW || cache_on_lru()) && !page->changed && page_to_pfn(page) < limit_pfn;
}

struct folio *folio_get_nontail_page(struct page *page)
{
	return new_folio(page);
}

bool folio_isolate_lru(struct folio *folio)
{
	count.lru_lock++;
	return true;
}

bool isolate_folio_to_list(struct folio *folio, struct list_head *list)
{
	list_add(&folio->lru, list);
	return folio_isolate_lru(folio);
}

static void free_folio(struct folio *folio)
{
	list_del(&folio->lru);
	folio->page->changed = BUDDY;
	THE_ZONE->free++;
}

unsigned long reclaim_pages(struct list_head *list)
{
	struct folio *folio, *next;
	unsigned long nr = 0;

	list_for_each_entry_safe(folio, next, list, lru) {
		count.protected += is_protected(folio);
		free_folio(folio);
		count.reclaimed++;
		nr++;
	}
	return nr;
}

int migrate_pages(struct list_head *from, new_folio_t get_new, void *put_new, unsigned long private,
		  enum migrate_mode mode, int reason, unsigned int *moved)
{
	struct folio *folio, *next;

	list_for_each_entry_safe(folio, next, from, lru) {
		if (!get_new(folio, private))
			abort();	/* there is room above, or the code asks for nothing */
		free_folio(folio);
		count.moved++;
		++*moved;
	}
	return 0;
}

bool mutex_trylock(struct mutex *mutex)
{
	count.mutexes++;
	if (mutex->locked)
		return false;
	mutex->locked = true;
	if (!running->mutexes_held++)
		running->looked_before_mutex = running->looked;
	return true;
}

/* Others may look at so many struct pages before it is free. */
void mutex_lock(struct mutex *mutex)
{
	unsigned long looked = count.looked;

	while (mutex->locked)
		cond_resched();
	mutex_trylock(mutex);
	if (count.looked - looked > count.longest_wait)
		count.longest_wait = count.looked - looked;
}

int mutex_lock_killable(struct mutex *mutex)
{
	mutex_lock(mutex);
	return 0;
}

void mutex_unlock(struct mutex *mutex)
{
	unsigned long looked = running->looked - running->looked_before_mutex;

	mutex->locked = false;
	if (!--running->mutexes_held && looked > count.longest)
		count.longest = looked;
	cond_resched();
}

void count_spin_lock(void)
{
	count.zone_lock++;
}

static void set_up(unsigned long pages_below)
{
	struct zone *zone = THE_ZONE;

	limit_pfn = next_above = START_PFN + pages_below;
	zone->zone_start_pfn = START_PFN;
	zone->spanned_pages = zone->present_pages = pages_below + ABOVE_PAGES;
	zone->min = 1024;
	zone->low = 2048;
	zone->high = 3072;
	/* Of page cache the zone is as full as kswapd lets it be, all else has what is above free. */
	zone->free = cache_on_lru() ? zone->low : ABOVE_PAGES;
	if (below == FREE)
		zone->free += pages_below;
	if (below == SCATTERED)
		zone->free += pages_below / 8;
	if (below == FAR || below == ROOM)
		zone->free += PHYS_PFN(64 << 20);

	memmap = mmap(NULL, zone_end_pfn(zone), PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (memmap == MAP_FAILED)
		exit(1);
	madvise(memmap, zone_end_pfn(zone), MADV_NOHUGEPAGE);
}

static struct shmem_limit *limit;
static unsigned long pages;

static void ask_for_pages(void)
{
	struct folio *folio;
	unsigned long i;

	if (below == ROOM && running != tasks)
		shmem_limit_take_from(limit, 0, shmem_limit_gfp(GFP_HIGHUSER, 0), START_PFN);
	for (i = 0; i < pages && (below != ROOM || running == tasks); i++) {
		folio = shmem_limit_alloc(limit, shmem_limit_gfp(GFP_HIGHUSER, 0), 0);
		if (folio && folio_pfn(folio) >= limit_pfn)
			exit(1);
		count.got += folio != NULL;
	}
	running->ended = true;
	cond_resched();		/* which returns if no other task can go on */
	setcontext(&main_context);
}

static void run_tasks(unsigned long apart)
{
	struct task *task;

	for (task = tasks; task < tasks + nr_tasks; task++) {
		task->begin = (task - tasks) * apart;
		getcontext(&task->context);
		task->context.uc_stack.ss_sp = malloc(STACK_BYTES);
		task->context.uc_stack.ss_size = STACK_BYTES;
		if (!task->context.uc_stack.ss_sp)
			exit(1);
		makecontext(&task->context, ask_for_pages, 0);
	}
	running = tasks;
	current = &tasks->kernel;
	swapcontext(&main_context, &tasks->context);
}

int main(int argc, char **argv)
{
	for (below = 0; argc > 6 && below < sizeof(belows) / sizeof(*belows); below++)
		if (!strcmp(argv[2], belows[below]))
			break;
	if (argc < 7 || below == sizeof(belows) / sizeof(*belows))
		return 2;
	pages = strtoul(argv[3], NULL, 10);
	set_up(PHYS_PFN(strtoull(argv[1], NULL, 10) << 20));
	nr_tasks = 1;
	running = tasks;
	if (shmem_limit_add(PFN_PHYS(limit_pfn) - 1))
		return 1;
	limit = shmem_limit_find(PFN_PHYS(limit_pfn) - 1);
	nr_tasks = strtoul(argv[4], NULL, 10);
	if (!nr_tasks || nr_tasks > MAX_TASKS || !enter_scope(argv[6]))
		return 2;
	run_tasks(strtoul(argv[5], NULL, 10));
	for (struct task *task = tasks; task < tasks + nr_tasks; task++)
		if (!task->ended)
			return 1;	/* the ones before it were done too soon */

	printf("{\"got\":%lu,\"looked\":%lu,\"longest\":%lu,\"longestWait\":%lu,\"zoneLock\":%lu,\"lruLock\":%lu,"
	       "\"mutexes\":%lu,\"drains\":%lu,\"moved\":%lu,\"reclaimed\":%lu,"
	       "\"protected\":%lu}\n", count.got, count.looked, count.longest, count.longest_wait,
	       count.zone_lock, count.lru_lock, count.mutexes, count.drains,
	       count.moved, count.reclaimed, count.protected);
	return 0;
}
