/** Finds in the guest's console what the kernel reports about itself: panics, oopses, sanitizers, lockups. */
import {
  kindOfPreamble,
  kindOfTitle,
  severityOf,
  type KernelReportKind,
  type Severity,
} from './kernel-report-kinds.ts';

export interface KernelReport {
  readonly kind: KernelReportKind;
  readonly severity: Severity;
  /** The kernel's own first line, without time stamp. */
  readonly title: string;
  /** What the kernel said just before (why it warns), the title, and what followed up to the end of the trace. */
  readonly lines: readonly string[];
  /** The kernel stopped because of it. */
  readonly fatal: boolean;
}

/** Reasons to panic that only say that an earlier report was the last straw. */
const CONSEQUENT_PANIC =
  /: (Fatal exception|Aiee, killing interrupt handler|Attempted to kill (init|the idle task)|softlockup: hung tasks|hung_task: blocked tasks|Hard LOCKUP|RCU Stall|.*panic_on_warn set|kasan\.fault=panic set|Out of memory|System is deadlocked on memory)/;

/** A second line of the same kind of trouble, while the first one's report is still going on. */
const CONTINUES: Partial<Record<KernelReportKind, readonly KernelReportKind[]>> = {
  oops: ['oops', 'bug', 'list-corruption', 'slab-corruption', 'hardening'],
  oom: ['oom'],
  'hardware-error': ['hardware-error'],
  'slab-corruption': ['slab-corruption'],
};

/** Said in one line, or on behalf of CPUs that print their own traces. */
const ONE_LINE: ReadonlySet<KernelReportKind> = new Set(['drm-error', 'kmemleak', 'iommu-fault', 'detector-off']);
const OTHERS_JOIN: ReadonlySet<KernelReportKind> = new Set([
  ...(['panic', 'rcu-stall', 'soft-lockup', 'hard-lockup', 'workqueue-lockup', 'hung-task'] as const),
]);
/** Their trace is the last they say; after other traces there is more. */
const ENDS_WITH_TRACE: ReadonlySet<KernelReportKind> = new Set(['lockdep', 'atomic-sleep']);

const CUT_HERE = /^-+\[ cut here \]-+$/;
const RULE = /^={30,}$/;
const END_OF_REPORT = /^---\[ end (trace|Kernel panic)/;
const END_OF_TRACE = ' </TASK>';
const MOST_LINES = 200;
const MOST_PREAMBLE = 10;
/** A warning's text is printed in one go with the line that says where; "cut here" comes before it only on some paths. */
const SAME_BREATH_S = 0.005;
/** No report pauses for so long; what follows is about something else. */
const LONGEST_PAUSE_S = 5;
/** Beyond that a kernel repeats itself, and a list without end helps nobody. */
const MOST_REPORTS = 500;

/** Kernel lines carry a time stamp (CONFIG_PRINTK_TIME), perhaps a caller; nothing a program prints is mistaken for one. */
const STAMP = /\[ *(\d+\.\d{6})\](?:\[ *([CT]\d+)\])? /g;

interface OpenReport {
  kind: KernelReportKind;
  severity: Severity;
  readonly title: string;
  readonly lines: string[];
  fatal: boolean;
}

interface KernelLine {
  readonly time: number;
  /** Task or CPU that printed it; empty for kernels that don't say (CONFIG_PRINTK_CALLER). */
  readonly caller: string;
  readonly text: string;
}

/** What is going on for one caller: reports of several CPUs may come line by line in turns. */
interface Conversation {
  report: OpenReport | undefined;
  preamble: string[];
  cutHere: boolean;
  /** Outside of reports. */
  previous: KernelLine | undefined;
  lastTime: number;
}

/** Fed with console lines; what it has found never changes by what comes later, except that it proves fatal. */
export class KernelReportScanner {
  readonly #found: OpenReport[] = [];
  readonly #conversations = new Map<string, Conversation>();
  #latest: Conversation | undefined;

  get reports(): readonly KernelReport[] {
    return this.#found;
  }

  /** Takes one complete line; returns the report that it begins, or that it makes fatal. */
  push(line: string): KernelReport | undefined {
    let begun: KernelReport | undefined;
    for (const part of kernelLines(line)) begun = this.#take(part) ?? begun;
    return begun;
  }

  #take(line: KernelLine): KernelReport | undefined {
    const conversation = this.#conversation(line);
    const { text } = line;
    if (CUT_HERE.test(text)) {
      conversation.report = undefined;
      conversation.cutHere = true;
      return undefined;
    }
    const kind = kindOfTitle(text);
    if (kind === undefined) {
      this.#append(conversation, line);
      return undefined;
    }
    const begun = this.#begin(conversation, kind, line);
    this.#append(conversation, line);
    return begun;
  }

  #begin(conversation: Conversation, kind: KernelReportKind, line: KernelLine): KernelReport | undefined {
    const title = line.text;
    const last = conversation.report ?? this.#found.findLast(({ severity }) => severity === 'bug');
    if (kind === 'panic' && last && CONSEQUENT_PANIC.test(title)) {
      last.fatal = true;
      return last;
    }
    const { report } = conversation;
    if (report && CONTINUES[kind]?.includes(report.kind)) return undefined;
    // An unhandled signal of a driver is no reason to lose the oops that it comes in the middle of.
    if (report && ONE_LINE.has(kind)) return this.#addNote(kind, title);
    const preamble = kind === 'warning' ? explained(conversation, line) : conversation.preamble;
    const said = preamble.map(kindOfPreamble).find((refined) => refined !== undefined);
    const refined = said !== undefined && (kind === 'warning' || kind === 'bug') ? said : kind;
    const opened = newReport(refined, title, preamble);
    Object.assign(conversation, { report: opened, preamble: [], cutHere: false, previous: undefined });
    this.#latest = conversation;
    return this.#keep(opened);
  }

  #addNote(kind: KernelReportKind, title: string): KernelReport {
    return this.#keep({ ...newReport(kind, title, []), lines: [title] });
  }

  #keep(report: OpenReport): KernelReport {
    if (this.#found.length < MOST_REPORTS) this.#found.push(report);
    return report;
  }

  #append(conversation: Conversation, line: KernelLine): void {
    const home = this.#homeOf(conversation, line.caller);
    const { report } = home;
    const { text } = line;
    // Joined to another's report, it may still be the text of a warning of this caller.
    if (!conversation.report) remember(conversation, line);
    if (!report) return;
    if (report.lines.at(-1) === text && ONE_LINE.has(report.kind)) return;
    report.lines.push(text);
    if (isLastLine(report, text)) home.report = undefined;
  }

  /** The other CPUs' traces belong to the report that asked for them. */
  #homeOf(conversation: Conversation, caller: string): Conversation {
    if (conversation.report || conversation.cutHere || caller === '') return conversation;
    const asked = this.#latest?.report;
    return this.#latest && asked && OTHERS_JOIN.has(asked.kind) ? this.#latest : conversation;
  }

  #conversation({ caller, time }: KernelLine): Conversation {
    const known = this.#conversations.get(caller);
    if (known && time - known.lastTime <= LONGEST_PAUSE_S) {
      known.lastTime = time;
      return known;
    }
    const fresh = { report: undefined, preamble: [], cutHere: false, previous: undefined, lastTime: time };
    this.#conversations.set(caller, fresh);
    return fresh;
  }
}

function newReport(kind: KernelReportKind, title: string, preamble: readonly string[]): OpenReport {
  return { kind, severity: severityOf(kind), title, lines: [...preamble], fatal: kind === 'panic' };
}

/** Between "cut here" and the title everything; otherwise only what is known to explain a title that follows. */
function remember(conversation: Conversation, line: KernelLine): void {
  const { text } = line;
  conversation.previous = line;
  if (conversation.cutHere) {
    if (conversation.preamble.length < MOST_PREAMBLE) conversation.preamble.push(text);
  } else if (kindOfPreamble(text) !== undefined) {
    conversation.preamble = [text];
  }
}

/** The text of a warning, if there is one. */
function explained({ preamble, previous }: Conversation, { time }: KernelLine): readonly string[] {
  if (preamble.length > 0) return preamble;
  return previous && time - previous.time <= SAME_BREATH_S ? [previous.text] : [];
}

function isLastLine({ kind, lines }: OpenReport, text: string): boolean {
  if (ONE_LINE.has(kind) || lines.length >= MOST_LINES || END_OF_REPORT.test(text)) return true;
  if (RULE.test(text)) return kind === 'kasan' || kind === 'kcsan' || kind === 'kfence' || kind === 'kmsan';
  return text.startsWith(END_OF_TRACE) && ENDS_WITH_TRACE.has(kind);
}

/** A line may hold several, where one writer interrupted another; what stands before the first stamp is a program's. */
function kernelLines(line: string): KernelLine[] {
  const clean = line.replaceAll('\r', '');
  const stamps = [...clean.matchAll(STAMP)];
  return stamps.map((stamp, index) => ({
    time: Number(stamp[1]),
    caller: stamp[2] ?? '',
    text: clean.slice(stamp.index + stamp[0].length, stamps[index + 1]?.index),
  }));
}

/** Reports of a whole log; a last line without its end is not looked at, for it may still change its meaning. */
export function findKernelReports(log: string): readonly KernelReport[] {
  const scanner = new KernelReportScanner();
  for (const line of log.split('\n').slice(0, -1)) scanner.push(line);
  return scanner.reports;
}
