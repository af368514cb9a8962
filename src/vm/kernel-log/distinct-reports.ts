/** The same trouble told again and again is one report, with a count. */
import type { KernelReport } from './kernel-report.ts';

export interface DistinctReport extends KernelReport {
  /** Where in the kernel, as symbol+offset; undefined where the report does not say. */
  readonly where: string | undefined;
  /** How often it was told; the lines are those of the first time. */
  readonly count: number;
}

/** In the order in which they were first told. */
export function distinctReports(reports: readonly KernelReport[]): DistinctReport[] {
  const found = new Map<string, DistinctReport>();
  for (const report of reports) {
    const where = whereOf(report);
    const key = [report.kind, where ?? '', withoutVariables(report.title)].join('\n');
    const known = found.get(key);
    found.set(
      key,
      known ? { ...known, count: known.count + 1, fatal: known.fatal || report.fatal } : { ...report, where, count: 1 },
    );
  }
  return [...found.values()];
}

const FRAME = /^ {1,2}(\w[\w.]*\+0x[0-9a-f]+\/0x[0-9a-f]+(?: \[\w+\])?)/;
const INSTRUCTION = /^RIP: 0010:(\w[\w.]*\+0x[0-9a-f]+\/0x[0-9a-f]+(?: \[\w+\])?)/;
const IN_TITLE = /\b(?:at|in) (\w[\w.]*\+0x[0-9a-f]+\/0x[0-9a-f]+(?: \[\w+\])?)/;

/** What every report goes through on its way out, and what only passes blame on. */
const MACHINERY =
  /^(dump_stack|show_stack|print_|kasan_|__kasan|kcsan_|__?asan_|__ubsan_|ubsan_|check_region_inline|lockdep_|lock_acquire|__lock_acquire|validate_chain|check_|mark_lock|__might_|__schedule|schedule|__warn|warn_|report_bug|handle_bug|exc_|asm_exc_|refcount_warn|v?panic\+|nmi_|watchdog|rcu_sched_clock|__list_|object_err|slab_|free_to_|_raw_|__mutex_|mutex_lock|kfree|__slab|bad_page|show_regs|fortify_|__fortify|usercopy_|__check_|debug_dma_|dma_unmap|should_)/;

/** The instruction at fault, or the first caller that is to blame. */
function whereOf({ title, lines }: KernelReport): string | undefined {
  const named = IN_TITLE.exec(title)?.[1];
  if (named !== undefined && !MACHINERY.test(named)) return named;
  const instruction = firstMatch(lines, INSTRUCTION);
  if (instruction !== undefined && !MACHINERY.test(instruction)) return instruction;
  return firstMatch(lines, FRAME, (frame) => !MACHINERY.test(frame)) ?? instruction ?? named;
}

function firstMatch(
  lines: readonly string[],
  pattern: RegExp,
  accepts: (frame: string) => boolean = () => true,
): string | undefined {
  for (const line of lines) {
    const frame = pattern.exec(line)?.[1];
    if (frame !== undefined && accepts(frame)) return frame;
  }
  return undefined;
}

/** Addresses, process names, times: what differs from one time to the next. */
function withoutVariables(title: string): string {
  return title
    .replaceAll(/\b\S+\/\d+\b/g, '*')
    .replaceAll(/\b(0x)?[0-9a-f]{6,}\b/g, '*')
    .replaceAll(/\d+/g, '#');
}
