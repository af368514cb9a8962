/**
 * Functions of the kernel where a report is made, or through which everybody passes, and which are not to blame for it:
 * a bad pointer that memcpy() meets is its caller's. By what they do; * stands for anything.
 */
const HELPERS: Readonly<Record<string, string>> = {
  'print what is reported': `
    dump_stack* show_stack* show_regs* show_trace* show_opcodes sched_show_task show_state_filter print_report
    print_address_* print_circular_bug* print_usage_bug* print_irq_inversion_bug print_deadlock_bug
    print_unlock_imbalance_bug print_freed_lock_bug print_lock_* print_bad_* print_page_* print_trailer print_track*
    print_section print_collision print_cpu_stall print_other_cpu_stall report_bug* handle_bug warn warn_* bug_handler
    die die_addr oops_begin oops_end oops_enter oops_exit page_fault_oops kernelmode_fixup_or_oops bad_area*
    no_context pgtable_bad panic vpanic nmi_panic check_panic_on_warn printk* vprintk* rcu_lockdep_* dump_header
    dump_page dump_task_regs nmi_cpu_backtrace* nmi_trigger_cpumask_backtrace trigger_* arch_trigger_* nmi_handle
    exc_nmi default_do_nmi end_repeat_nmi dump_cpu_task`,
  'watch for lockups': `
    watchdog* softlockup_* hardlockup_* hung_task* check_hung_* report_hung_task csd_lock_* rcu_sched_clock_irq
    rcu_dump_cpu_stacks check_cpu_stall rcu_check_gp_* wq_watchdog_* touch_*watchdog`,
  'check memory': `
    kasan_* asan_* kmsan_* msan_* kcsan_* tsan_* kfence_* ubsan_* check_region_inline check_memory_region*
    memory_is_poisoned* hwasan_* fortify_* usercopy_* check_object_size check_heap_object check_stack_object
    check_bogus_address check_page_span stack_chk_fail handle_cfi_* report_cfi_* do_cfi_* instrument_* debug_object_*
    debug_check_* debug_print_object debug_timer_* debug_work_* debug_rcu_* object_err check_object check_slab
    check_bytes_and_report check_obj_* slab_err slab_fix slab_bug list_add_valid* list_del_entry_valid*
    list_add_or_report list_del_entry_or_report check_data_corruption bad_page* bad_range free_page_is_bad*
    check_new_page* kernel_poison_* kernel_unpoison_* check_poison_mem unpoison_page page_expected_state
    refcount_warn_saturate kmemleak_* debug_dma_* add_dma_entry err_printk check_unmap check_sync check_for_stack
    check_for_illegal_area check_sg_segment check_mapping_error active_cacheline_*`,
  'check locks and contexts': `
    lockdep_* lock_acquire lock_release lock_acquired lock_contended lock_is_held* lock_set_* lock_downgrade lock_sync
    validate_chain mark_lock* mark_held_locks mark_usage register_lock_class check_noncircular check_prev_add
    check_prevs_add check_deadlock check_irq_usage check_usage* check_wait_context check_chain_key check_flags
    valid_state add_lock_to_list bfs lookup_chain_cache* might_sleep* might_resched might_fault* might_alloc*
    schedule_bug cant_sleep* cant_migrate* check_preemption_disabled debug_smp_processor_id this_cpu_preempt_check
    preempt_count_* debug_mutex_* debug_rt_mutex_* debug_spin_* debug_lockdep_* debug_check_no_locks_* debug_show_*
    should_fail* should_failslab fail_dump fs_reclaim_* rcu_read_lock* rcu_read_unlock* rcu_is_watching*
    rcu_note_context_switch srcu_read_*`,
  'take and release locks': `
    raw_spin_* raw_read_* raw_write_* spin_* do_raw_* native_queued_* queued_* pv_queued_* pv_wait* pv_kick* osq_*
    mcs_* rspin_* read_lock* read_unlock* write_lock* write_unlock* mutex_* ww_mutex_* rt_mutex_* rtlock_* rt_spin_*
    down down_read* down_write* down_common down_interruptible down_killable down_timeout down_trylock up up_read
    up_write rwsem_* percpu_down_* percpu_rwsem_* percpu_up_* seqlock_* bit_spin_* lock_page* folio_lock*
    folio_trylock* folio_unlock unlock_page ldsem_* local_lock* rt_read_* rt_write_* atomic_dec_and_*
    refcount_dec_and_* kref_put_mutex`,
  wait: `
    schedule schedule_* do_wait_for_common wait_for_common* wait_for_completion* wait_on_bit* wait_on_page*
    out_of_line_wait_* bit_wait* wait_var_* wait_woken wait_task_inactive io_schedule* io_wait_event* context_switch
    finish_task_switch* preempt_schedule* cond_resched* yield folio_wait_* folio_put_wait_* wait_event_*
    prepare_to_wait* flush_work flush_delayed_work flush_workqueue drain_workqueue start_flush_work flush_rcu_work
    cancel_work_sync cancel_delayed_work_sync cancel_work cancel_delayed_work kthread_stop* kthread_flush_work*
    kthread_park msleep* ssleep usleep_range* fsleep do_nanosleep schedule_hrtimeout* delay_loop delay_tsc delay_halt*
    delay_mwaitx udelay* ndelay* const_udelay native_safe_halt cpu_relax* rep_nop complete complete_all swake_*
    wake_up* try_to_wake_up default_wake_function autoremove_* synchronize_* rcu_barrier* wait_rcu_gp wakeme_after_rcu
    smp_call_function* on_each_cpu* smp_cond_* csd_lock_wait* stop_machine* stop_one_cpu* stop_two_cpus irq_work_sync
    timer_delete_sync* del_timer_sync hrtimer_cancel tasklet_kill tasklet_unlock_* dma_fence_default_wait
    dma_fence_wait* dma_resv_wait_timeout blk_wait_io submit_bio_wait`,
  'copy, compare and count': `
    memcpy* memset* memmove* memcmp memchr* memscan memzero_explicit clear_page* clear_user* copy_page* copy_mc_*
    copy_user_* copy_from_user* copy_to_user* copy_in_user raw_copy_* rep_movs_* rep_stos_* copyin copyout
    copy_from_iter* copy_to_iter* iov_iter_* copy_page_to_iter copy_page_from_iter* get_user* put_user*
    strncpy_from_user strnlen_user user_access_* strcmp* strncmp strlen strnlen strcpy strncpy strscpy* strlcpy strcat
    strncat strlcat strchr* strnchr* strrchr strstr strsep strspn strcspn sized_strscpy* strim skip_spaces kstrto*
    simple_strto* sscanf vsscanf sprintf snprintf scnprintf vsnprintf vsprintf vscnprintf string number pointer
    format_decode kasprintf* kvasprintf* kstrdup* kstrndup kmemdup* memdup_user* seq_printf seq_puts seq_putc
    seq_write hex_dump_to_buffer print_hex_dump* crc32* csum_* sort sort_r bsearch find_next_* find_first_*
    find_last_* find_bit bitmap_* hweight* test_bit* set_bit* clear_bit* change_bit* test_and_* atomic_add*
    atomic_sub* atomic_inc* atomic_dec* atomic_read* atomic_set* atomic_fetch_* atomic_try_* atomic_cmpxchg*
    atomic_long_* atomic64_* arch_atomic* cmpxchg* xchg* div_* fls* ffs* percpu_counter_* page_counter_* get_random_*
    prandom_*`,
  'keep data structures': `
    list_add* list_del* list_move* list_splice* list_replace* list_empty* list_sort list_lru_* hlist_* llist_* klist_*
    plist_* rb_* rbtree_* interval_tree_* radix_tree_* xa_* xas_* idr_* ida_* mas_* mtree_* mt_* maple_* kfifo_*
    sg_next sg_init_* sg_alloc_* sg_free_* sg_copy_* sg_miter_* sg_last refcount_* kref_* percpu_ref_* kobject_*
    kset_* klist_* rhashtable_* rht_* stack_depot_* lru_add* lru_note_* sbitmap_* mempool_* dma_fence_put
    dma_fence_get* dma_fence_free dma_resv_held`,
  'allocate and free': `
    kmalloc* kzalloc* kcalloc* krealloc* kvmalloc* kvzalloc* kvfree* kvcalloc* kfree* ksize kmem_* slab_* do_slab_*
    free_to_* ___slab* slab_alloc* new_slab* allocate_slab alloc_slab_* alloc_from_pcs* free_large_kmalloc*
    cache_alloc* cache_free* do_kmalloc* barn_* refill_obj_stock refill_stock alloc_pages* alloc_frozen_* alloc_page*
    get_free_page* get_zeroed_page* free_pages* free_page free_frozen_* free_unref_* free_pcp* free_one_page
    free_large_* free_contig_* free_tail_* put_page* release_pages folios_put* folio_put* free_folio*
    free_pages_and_swap_cache get_page_from_freelist rmqueue* prep_new_page post_alloc_hook page_frag_* folio_alloc*
    vma_alloc_folio* alloc_contig_* vmalloc* vzalloc* vfree* vunmap* vmap* free_vm_area remove_vm_area find_vm_area
    alloc_vmap_area purge_vmap_* pcpu_* alloc_percpu* free_percpu devm_kmalloc* devm_kzalloc* devm_kfree warn_alloc*
    out_of_memory oom_kill_* mem_cgroup_out_of_memory obj_cgroup_* memcg_slab_* memcg_alloc_*`,
  'map for devices': `
    dma_map_* dma_unmap_* dma_direct_* dma_sync_* dma_alloc_* dma_free_* dma_pool_* iommu_dma_* iommu_map*
    iommu_unmap* swiotlb_* pci_map_* pci_unmap_* dmam_* phys_to_virt virt_to_phys kmap* kunmap* ioread* iowrite*
    memcpy_fromio* memcpy_toio* readl writel`,
  'defer work': `
    queue_work* queue_delayed_work* mod_delayed_work* insert_work pwq_* try_to_grab_pending work_grab_pending
    mod_timer* add_timer* del_timer* timer_delete* timer_setup* timer_fixup* timer_init_key init_timer_key
    hrtimer_start* hrtimer_init* hrtimer_setup* hrtimer_try_to_cancel call_rcu* kvfree_rcu* kvfree_call_rcu
    rcu_segcblist_* irq_work_queue* tasklet_schedule* task_work_*`,
  'register devices': `
    sysfs_* kernfs_* create_dir create_files internal_create_group* device_add device_add_attrs device_add_groups
    device_register device_create* device_init_wakeup bus_add_device bus_add_driver driver_register proc_register
    proc_create* debugfs_create_* start_creating* setup_irq request_threaded_irq request_irq devm_request_* get_device
    put_device devres_* release_nodes`,
};

/** These are at the outer end of traces: interrupts, system calls and threads begin in them. */
const WAYS_IN = `
  asm_* exc_* sysvec_* do_error_trap do_trap* do_user_addr_fault do_kern_addr_fault exc_page_fault page_fault
  general_protection error_entry ret_from_* common_interrupt* handle_irq* handle_fasteoi_irq handle_edge_irq
  handle_level_irq generic_handle_* handle_irq_event* report_bad_irq note_interrupt* irq_exit* irq_enter* do_softirq*
  handle_softirqs* invoke_softirq run_ksoftirqd call_on_*stack* local_apic_timer_interrupt apic_timer_interrupt
  smp_apic_timer_interrupt hrtimer_interrupt hrtimer_run_queues hrtimer_run_softirq run_hrtimer* run_timer*
  expire_timers call_timer_fn update_process_times tick_* timer_interrupt flush_smp_call_function_*
  generic_smp_call_function_* rcu_core* rcu_do_batch rcu_cpu_kthread tasklet_action* do_syscall_* do_fast_* do_int80_*
  entry_SYSCALL_* entry_SYSENTER_* entry_INT80_* x64_sys_call ia32_sys_call syscall_exit_* syscall_enter_*
  exit_to_user_mode* irqentry_* kthread kthread_worker_fn smpboot_thread_fn worker_thread process_one_work
  process_scheduled_works rescuer_thread bh_worker start_secondary start_kernel rest_init secondary_startup_*
  x86_64_start_* cpu_startup_entry do_idle cpuidle_* default_idle* acpi_idle_* intel_idle* mwait_idle*
  pv_native_safe_halt arch_cpu_idle kunit_try_run_case kunit_generic_run_* kunit_run_* x86_indirect_thunk_*
  x86_return_thunk retbleed_* srso_* its_return_thunk ftrace_* fentry`;

/** These help only where memory runs out: who asks for it is to blame, and not how a page fault gets it. */
const FAULT_PATH = `
  do_anonymous_page do_fault* do_read_fault do_cow_fault do_shared_fault do_wp_page wp_page_copy do_swap_page
  do_pte_missing handle_pte_fault handle_mm_fault* alloc_anon_folio folio_prealloc faultin_page* read_swap_cache_async
  swapin_readahead swapin_folio swap_cluster_readahead swap_vma_readahead swap_cache_alloc_folio filemap_fault`;

type Matches = (name: string) => boolean;

function matcher(list: string): Matches {
  const words = list.split(/\s+/).filter((word) => word !== '');
  const exact = new Set(words.filter((word) => !word.includes('*')));
  const patterns = words.filter((word) => word.includes('*')).map((word) => word.replaceAll('*', '.*'));
  const wild = new RegExp(`^(?:${patterns.join('|')})$`);
  return (name) => exact.has(name) || wild.test(name);
}

const isInner = matcher(Object.values(HELPERS).join(' '));
const isWayIn = matcher(WAYS_IN);
const isFaultPath = matcher(FAULT_PATH);

/** Of a function as traces name it, with underscores before, and perhaps what the compiler made of it behind. */
function bareName(symbol: string): string {
  return symbol.replace(/^_+/, '').replace(/[.+].*$/, '');
}

/**
 * How much `function+offset/size [module]` is to blame: 2 by itself, 1 if nobody else is, 0 if it only lends a hand.
 */
export function blameOf(symbol: string, { outOfMemory = false } = {}): 0 | 1 | 2 {
  const name = bareName(symbol);
  if (isInner(name) || (outOfMemory && isFaultPath(name))) return 0;
  return isWayIn(name) ? 1 : 2;
}
