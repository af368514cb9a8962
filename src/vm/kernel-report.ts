/** Finds in the guest's console what the kernel reports about itself: panics, oopses, sanitizers, lockups. */

export type KernelReportKind =
  | 'panic'
  | 'oops'
  | 'bug'
  | 'warning'
  | 'lockdep'
  | 'kasan'
  | 'ubsan'
  | 'hung-task'
  | 'rcu-stall'
  | 'soft-lockup'
  | 'hard-lockup'
  | 'oom';

export interface KernelReport {
  readonly kind: KernelReportKind;
  /** The kernel's own first line, without time stamp. */
  readonly title: string;
  /** The title and what followed, up to the end of the trace. */
  readonly lines: readonly string[];
  /** The kernel stopped because of it. */
  readonly fatal: boolean;
}

/** First match wins: the particular stand before the general. */
const TITLES: readonly (readonly [KernelReportKind, RegExp])[] = [
  ['panic', /^Kernel panic - not syncing: /],
  ['kasan', /^BUG: KASAN: /],
  ['soft-lockup', /^watchdog: BUG: soft lockup - CPU#\d+ stuck for /],
  ['hard-lockup', /^watchdog: (CPU\d+: )?Watchdog detected hard LOCKUP on cpu \d+/],
  ['lockdep', /^BUG: MAX_(LOCKDEP|LOCK_DEPTH|STACK_TRACE)\w* too low!/],
  ['lockdep', /^\[ BUG: .* \]$/],
  [
    'lockdep',
    /^WARNING: (possible .*(locking|dependency) (detected|bug)|inconsistent lock state$|suspicious RCU usage$)/,
  ],
  ['lockdep', /^WARNING: (bad (unlock balance|contention) detected!|held lock freed!|Nested lock was not taken$)/],
  ['lockdep', /^WARNING: (\S+-safe -> \S+-unsafe lock order detected|.*\block(s)? held\b|lock held when returning)/],
  ['warning', /^WARNING: (CPU: \d+ PID: \d+ )?at \S+/],
  ['warning', /^WARNING: \S+:\d+ at \S+/],
  ['oops', /^BUG: (unable to handle |kernel NULL pointer dereference|stack guard page was hit)/],
  ['bug', /^BUG: \S/],
  ['bug', /^kernel BUG at \S+:\d+!/],
  ['oops', /^(Oops: )?\S.*: [0-9a-f]{4} \[#\d+\]/],
  ['ubsan', /^UBSAN: \S.* in \S+:\d+:\d+/],
  ['hung-task', /^INFO: task .+:\d+ blocked( in I\/O wait)? for more than \d+ seconds\./],
  ['rcu-stall', /^rcu: INFO: \w+ (self-detected stall on CPU|detected (expedited )?stalls on CPUs\/tasks)/],
  ['oom', /^\S.* invoked oom-killer: /],
  ['oom', /^(Out of memory|Memory cgroup out of memory): Killed process /],
];

/** Reasons to panic that only say that an earlier report was the last straw. */
const CONSEQUENT_PANIC =
  /: (Fatal exception|Aiee, killing interrupt handler|Attempted to kill (init|the idle task)|softlockup: hung tasks|hung_task: blocked tasks|Hard LOCKUP|RCU Stall|.*panic_on_warn set|kasan\.fault=panic set|Out of memory|System is deadlocked on memory)/;

/** A second line of the same kind of trouble, while the first one's report is still going on. */
const CONTINUES: Partial<Record<KernelReportKind, readonly KernelReportKind[]>> = {
  oops: ['oops', 'bug'],
  oom: ['oom'],
};

const END_OF_REPORT = /^---\[ end (trace|Kernel panic)/;
const MOST_LINES = 200;

/** Kernel lines carry a time stamp (CONFIG_PRINTK_TIME), perhaps a caller; nothing a program prints is mistaken for one. */
const KERNEL_LINE = /^.*\[ *\d+\.\d{6}\](?:\[ *[CT]\d+\])? (.*)$/s;

interface OpenReport {
  readonly kind: KernelReportKind;
  readonly title: string;
  readonly lines: string[];
  fatal: boolean;
}

/** Fed with console lines; what it has found never changes by what comes later, except that it proves fatal. */
export class KernelReportScanner {
  readonly #found: OpenReport[] = [];
  #open: OpenReport | undefined;

  get reports(): readonly KernelReport[] {
    return this.#found;
  }

  /** Takes one complete line; returns the report that it begins, or that it makes fatal. */
  push(line: string): KernelReport | undefined {
    const text = KERNEL_LINE.exec(line.replaceAll('\r', ''))?.[1];
    if (text === undefined) return undefined;
    const kind = TITLES.find(([, pattern]) => pattern.test(text))?.[0];
    const begun = kind === undefined ? undefined : this.#begin(kind, text);
    this.#append(text);
    return begun;
  }

  #begin(kind: KernelReportKind, title: string): KernelReport | undefined {
    const last = this.#found.at(-1);
    if (kind === 'panic' && last && CONSEQUENT_PANIC.test(title)) {
      last.fatal = true;
      return last;
    }
    if (this.#open && CONTINUES[kind]?.includes(this.#open.kind)) return undefined;
    this.#open = { kind, title, lines: [], fatal: kind === 'panic' };
    this.#found.push(this.#open);
    return this.#open;
  }

  #append(text: string): void {
    const open = this.#open;
    if (!open) return;
    open.lines.push(text);
    if (END_OF_REPORT.test(text) || open.lines.length >= MOST_LINES) this.#open = undefined;
  }
}

/** Reports of a whole log; a last line without its end is not looked at, for it may still change its meaning. */
export function findKernelReports(log: string): readonly KernelReport[] {
  const scanner = new KernelReportScanner();
  for (const line of log.split('\n').slice(0, -1)) scanner.push(line);
  return scanner.reports;
}
