/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What mm/shmem_limit.c needs of Linux, for one node with one zone that lies across a limit. There is no content, and
 * so no memory of pages: a struct page is a byte of a sparse mapping, 0 until something happens to the page. What a
 * page is until then, and all counts, are limit-cost.c's.
 */
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

typedef uint64_t phys_addr_t;
typedef unsigned int gfp_t;
typedef unsigned long pgoff_t;

#define CONFIG_MIGRATION	1
#define CONFIG_SPARSEMEM	1
#define IS_ENABLED(option)	0
#define VISIBLE_IF_KUNIT	static
#define noinline_for_stack	__attribute__((noinline))
#define EXPORT_SYMBOL_IF_KUNIT(symbol)
#define EXPORT_SYMBOL_GPL(symbol)
#define BIT(n)			(1UL << (n))
#define ALIGN(x, a)		(((x) + (a) - 1) / (a) * (a))
#define DIV_ROUND_UP(n, d)	(((n) + (d) - 1) / (d))
#define min(a, b)		((a) < (b) ? (a) : (b))
#define struct_size(p, member, n)	(sizeof(*(p)) + sizeof(*(p)->member) * (n))
#define container_of(ptr, type, member)	((type *)((char *)(ptr) - offsetof(type, member)))
#define WARN_ON_ONCE(condition)	((condition) ? (abort(), true) : false)
#define kvzalloc(size, gfp)	calloc(1, size)
#define kvfree(p)		free(p)

/* Time stands still: a burst of requests takes none. */
#define HZ			1000
extern unsigned long jiffies;
#define time_before(a, b)	((long)((a) - (b)) < 0)
/* Where another task may go on, as it may where a mutex is let go of: the one after, in turn. */
void cond_resched(void);

struct task_struct { unsigned int flags; };
extern struct task_struct *current;
#define PF_MEMALLOC		1U
#define fatal_signal_pending(task)	false
#define memalloc_noreclaim_save()	0
#define memalloc_noreclaim_restore(flags)	((void)(flags))
#define fs_reclaim_acquire(gfp)	((void)(gfp))
#define fs_reclaim_release(gfp)	((void)(gfp))

/* gfp.h */
#define __GFP_DMA		BIT(0)
#define __GFP_HIGHMEM		BIT(1)
#define __GFP_DMA32		BIT(2)
#define __GFP_MOVABLE		BIT(3)
#define __GFP_IO		BIT(4)
#define __GFP_FS		BIT(5)
#define __GFP_DIRECT_RECLAIM	BIT(6)
#define __GFP_KSWAPD_RECLAIM	BIT(7)
#define __GFP_RECLAIM		(__GFP_DIRECT_RECLAIM | __GFP_KSWAPD_RECLAIM)
#define __GFP_NORETRY		BIT(8)
#define __GFP_RETRY_MAYFAIL	BIT(9)
#define __GFP_NOMEMALLOC	BIT(10)
#define __GFP_NOWARN		BIT(11)
#define __GFP_HARDWALL		BIT(12)
#define __GFP_THISNODE		BIT(13)
#define GFP_KERNEL		(__GFP_RECLAIM | __GFP_IO | __GFP_FS)
#define GFP_HIGHUSER		(GFP_KERNEL | __GFP_HARDWALL | __GFP_HIGHMEM)
#define GFP_HIGHUSER_MOVABLE	(GFP_HIGHUSER | __GFP_MOVABLE)
#define GFP_CONSTRAINT_MASK	(__GFP_HARDWALL | __GFP_THISNODE)
extern gfp_t gfp_allowed_mask, scope_mask;
#define current_gfp_context(gfp)	((gfp) & scope_mask)
#define PAGE_ALLOC_COSTLY_ORDER	3

/* Zones and pages, as on x86-64 with 4 KiB pages and pageblocks of 2 MiB */
enum zone_type { ZONE_DMA, ZONE_DMA32, ZONE_NORMAL, ZONE_MOVABLE, MAX_NR_ZONES };
#define PAGE_SHIFT		12
#define PAGE_SIZE		BIT(PAGE_SHIFT)
#define PFN_PHYS(pfn)		((phys_addr_t)(pfn) << PAGE_SHIFT)
#define PHYS_PFN(address)	((unsigned long)((address) >> PAGE_SHIFT))
#define PHYS_ADDR_MAX		(~(phys_addr_t)0)
#define PAGES_PER_SECTION	32768UL
#define pageblock_nr_pages	512UL
#define pageblock_start_pfn(pfn)	((pfn) / pageblock_nr_pages * pageblock_nr_pages)
#define pageblock_end_pfn(pfn)	(pageblock_start_pfn(pfn) + pageblock_nr_pages)

struct page { unsigned char changed; };

struct spinlock { int unused; };
struct zone {
	unsigned long zone_start_pfn, spanned_pages, present_pages;
	unsigned long free, min, low, high;
	struct spinlock lock;
};
typedef struct pglist_data { struct zone node_zones[MAX_NR_ZONES]; } pg_data_t;

extern pg_data_t the_node;
#define NODE_DATA(nid)		((void)(nid), &the_node)
#define THE_ZONE		(&the_node.node_zones[ZONE_NORMAL])
#define populated_zone(zone)	((zone)->present_pages != 0)
#define managed_zone(zone)	populated_zone(zone)
#define zone_end_pfn(zone)	((zone)->zone_start_pfn + (zone)->spanned_pages)
#define zone_to_nid(zone)	((void)(zone), 0)
#define node_start_pfn(nid)	(THE_ZONE->zone_start_pfn)
#define node_end_pfn(nid)	zone_end_pfn(THE_ZONE)
#define pgdat_end_pfn(pgdat)	zone_end_pfn(&(pgdat)->node_zones[ZONE_NORMAL])
#define low_wmark_pages(zone)	((zone)->low)
#define high_wmark_pages(zone)	((zone)->high)
bool node_is_toptier(int nid);
#define numa_mem_id()		0
#define sum_zone_node_page_state(nid, item)	(THE_ZONE->free)

/* As large as with 1024 nodes, for what that takes of the stack; there is one. */
#define nr_node_ids		1
typedef struct { unsigned long bits[1024 / (8 * sizeof(unsigned long))]; } nodemask_t;
#define NODE_MASK_NONE		((nodemask_t) { { 0 } })
#define node_set(nid, nodes)	((nodes).bits[0] |= BIT(nid))
#define node_clear(nid, nodes)	((nodes).bits[0] &= ~BIT(nid))
#define nodes_or(to, a, b)	((to) = (a), (to).bits[0] |= (b).bits[0])
#define nodes_clear(nodes)	((nodes) = NODE_MASK_NONE)
#define nodes_empty(nodes)	((nodes).bits[0] == 0)
#define nodes_subset(a, b)	(((a).bits[0] & ~(b).bits[0]) == 0)
#define for_each_node_mask(nid, nodes)	for ((nid) = 0; (nid) < 1; (nid)++) if ((nodes).bits[0] & BIT(nid))
#define for_each_node_state(nid, state)	for ((nid) = 0; (nid) < 1; (nid)++)

static inline enum zone_type gfp_zone(gfp_t gfp)
{
	if (gfp & __GFP_DMA)
		return ZONE_DMA;
	if (gfp & __GFP_DMA32)
		return ZONE_DMA32;
	return (gfp & (__GFP_HIGHMEM | __GFP_MOVABLE)) == (__GFP_HIGHMEM | __GFP_MOVABLE) ? ZONE_MOVABLE : ZONE_NORMAL;
}

/* list.h */
struct list_head { struct list_head *next, *prev; };
#define LIST_HEAD(name)		struct list_head name = { &(name), &(name) }
#define list_entry(p, type, member)	container_of(p, type, member)
#define list_for_each_entry_safe(at, n, head, member) \
	for (at = list_entry((head)->next, typeof(*at), member), n = list_entry(at->member.next, typeof(*at), member); \
	     &at->member != (head); at = n, n = list_entry(n->member.next, typeof(*n), member))
#define list_for_each_entry_rcu(at, head, member, condition) \
	for (at = list_entry((head)->next, typeof(*at), member); &at->member != (head); \
	     at = list_entry(at->member.next, typeof(*at), member))
static inline void INIT_LIST_HEAD(struct list_head *head)
{
	head->next = head->prev = head;
}
static inline void list_add(struct list_head *new, struct list_head *head)
{
	new->next = head->next;
	new->prev = head;
	head->next->prev = new;
	head->next = new;
}
#define list_add_tail_rcu(new, head)	list_add(new, (head)->prev)
static inline void list_del(struct list_head *entry)
{
	entry->prev->next = entry->next;
	entry->next->prev = entry->prev;
}
static inline size_t list_count_nodes(struct list_head *head)
{
	size_t nr = 0;

	for (struct list_head *at = head->next; at != head; at = at->next)
		nr++;
	return nr;
}

/* Files and folios. A folio is made when the code asks for that of a page, and is always a single page. */
struct address_space { struct inode *host; };
struct inode { struct address_space *i_mapping; };
struct file { struct inode *inode; };
struct folio { struct list_head lru; struct page *page; struct address_space *mapping; };
struct shmem_folio_ops {
	struct folio *(*alloc)(struct inode *inode, pgoff_t index, gfp_t gfp, unsigned int order);
	bool (*suitable)(struct inode *inode, struct folio *folio);
	bool (*swapin)(struct inode *inode, gfp_t *gfp, nodemask_t *nodes);
};
struct shmem_inode_info { const struct shmem_folio_ops *folio_ops; unsigned long folio_data; };
extern struct shmem_inode_info the_file;
#define SHMEM_I(inode)		((void)(inode), &the_file)
#define mapping_gfp_mask(mapping)	((void)(mapping), GFP_HIGHUSER)
#define shmem_mapping(mapping)	false
#define shmem_alloc_folio_mpol(inode, index, gfp, order)	((void)(index), (struct folio *)NULL)
#define shmem_set_folio_ops(file, ops, data)	((void)(file), (void)(ops), 0)
#define folio_pfn(folio)	page_to_pfn((folio)->page)
#define folio_nr_pages(folio)	((void)(folio), 1UL)
#define folio_size(folio)	((void)(folio), PAGE_SIZE)
#define folio_order(folio)	((void)(folio), 0U)
#define folio_nid(folio)	((void)(folio), 0)
#define is_migrate_cma_folio(folio, pfn)	((void)(pfn), false)

unsigned long page_to_pfn(const struct page *page);
struct page *pfn_to_online_page(unsigned long pfn);
struct page *pageblock_pfn_to_page(unsigned long start, unsigned long end, struct zone *zone);
int page_to_nid(const struct page *page);
enum zone_type page_zonenum(const struct page *page);
struct zone *page_zone(const struct page *page);

/* Free pages */
#define MIGRATE_UNMOVABLE	0
#define get_pageblock_migratetype(page)	((void)(page), MIGRATE_UNMOVABLE)
#define migratetype_is_mergeable(mt)	((void)(mt), true)
#define is_migrate_cma(mt)	((void)(mt), false)
#define ALLOC_DEFAULT		0
#define alloc_hooks(allocation)	(allocation)
#define post_alloc_hook(page, order, gfp, flags)	((void)(page))
#define set_page_refcounted(page)	((void)(page))
#define prep_compound_page(page, order)	((void)(page))
bool PageBuddy(const struct page *page);
unsigned int buddy_order(const struct page *page);
#define buddy_order_unsafe(page)	buddy_order(page)
bool __isolate_free_page(struct page *page, unsigned int order);
void __putback_isolated_page(struct page *page, unsigned int order, int mt);
struct folio *page_rmappable_folio(struct page *page);
bool zone_watermark_ok(struct zone *zone, unsigned int order, unsigned long mark, int highest, unsigned int flags);
struct folio *__folio_alloc(gfp_t gfp, unsigned int order, int nid, nodemask_t *nodes);
#define folio_alloc(gfp, order)	__folio_alloc(gfp, order, 0, NULL)
#define gfpflags_allow_blocking(gfp)	!!((gfp) & __GFP_DIRECT_RECLAIM)
void folio_put(struct folio *folio);
void drain_all_pages(struct zone *zone);
#define lru_add_drain()		do { } while (0)
#define wakeup_kswapd(zone, gfp, order, highest)	((void)(zone))

/* Folios on the LRU: anonymous ones to move, or clean page cache. Nothing is pinned, dirty or protected. */
bool PageLRU(const struct page *page);
struct folio *folio_get_nontail_page(struct page *page);
bool cache_on_lru(void);
#define folio_test_lru(folio)	((void)(folio), true)
#define folio_test_unevictable(folio)	((void)(folio), false)
#define folio_test_writeback(folio)	((void)(folio), false)
#define folio_test_anon(folio)	((void)(folio), !cache_on_lru())
#define folio_is_file_lru(folio)	((void)(folio), cache_on_lru())
#define folio_test_swapbacked(folio)	((void)(folio), !cache_on_lru())
#define folio_test_swapcache(folio)	((void)(folio), false)
#define folio_test_dirty(folio)	((void)(folio), false)
#define folio_mapped(folio)	((void)(folio), !cache_on_lru())
#define folio_ref_count(folio)	((void)(folio), 2)
#define folio_expected_ref_count(folio)	((void)(folio), 1)
#define folio_trylock(folio)	((void)(folio), true)
#define folio_unlock(folio)	((void)(folio))
bool folio_isolate_lru(struct folio *folio);
bool isolate_folio_to_list(struct folio *folio, struct list_head *list);
unsigned long reclaim_pages(struct list_head *list);
enum migrate_mode { MIGRATE_ASYNC };
enum migrate_reason { MR_PHYS_LIMIT };
typedef struct folio *new_folio_t(struct folio *folio, unsigned long private);
int migrate_pages(struct list_head *from, new_folio_t get_new, void *put_new, unsigned long private,
		  enum migrate_mode mode, int reason, unsigned int *moved);
#define putback_movable_pages(list)	abort()

struct mem_cgroup;
/* Each folio is in a cgroup of its own. */
#define get_mem_cgroup_from_folio(folio)	((struct mem_cgroup *)(folio))
#define mem_cgroup_calculate_protection(root, memcg)	((void)(memcg))
bool mem_cgroup_below_min(struct mem_cgroup *root, struct mem_cgroup *memcg);
bool mem_cgroup_below_low(struct mem_cgroup *root, struct mem_cgroup *memcg);
#define mem_cgroup_put(memcg)	((void)(memcg))
#define mem_cgroup_node_filter_allowed(memcg, nodes)	((void)(memcg))

enum vm_event_item { SHMEM_LIMIT_FALLBACK, SHMEM_LIMIT_MIGRATE_UP };
#define count_vm_events(item, nr)	((void)(nr))

/* Nobody goes on in the middle of a spin lock, so these are always free. */
struct mutex { bool locked; };
#define DEFINE_MUTEX(name)	struct mutex name
#define mutex_init(mutex)	((mutex)->locked = false)
void mutex_lock(struct mutex *mutex);
bool mutex_trylock(struct mutex *mutex);
int mutex_lock_killable(struct mutex *mutex);
void mutex_unlock(struct mutex *mutex);
void count_spin_lock(void);
#define spin_lock_irqsave(lock, flags)	((void)(lock), (flags) = 0, count_spin_lock())
#define spin_unlock_irqrestore(lock, flags)	((void)(flags))
