/** Finds in the guest's console what the kernel reports about itself: panics, oopses, sanitizers, lockups. */
import {
  conditionOf,
  kindOfPreamble,
  PAGE_DUMP,
  parseTitle,
  severityOf,
  type KernelReportKind,
  type Severity,
  type Title,
} from './kernel-report-kinds.ts';

export interface KernelReport {
  readonly kind: KernelReportKind;
  readonly severity: Severity;
  /** The kernel's own first line, without time stamp; of an assertion with what it asserts, which is said before. */
  readonly title: string;
  /** What the kernel said just before (why it warns), the title, and what followed up to the end of the trace. */
  readonly lines: readonly string[];
  /** The kernel stopped because of it. */
  readonly fatal: boolean;
}

/** A line of level warning or worse that belongs to no report. */
export interface KernelWarning {
  /** Levels are those of syslog: 4 is a warning, 3 an error, 0 an emergency. */
  readonly level: number;
  readonly text: string;
}

/** Reasons to panic that only say that an earlier report was the last straw. */
const LAST_STRAWS: readonly RegExp[] = [
  /^Fatal exception/,
  /^Aiee, killing interrupt handler/,
  /^Attempted to kill (init|the idle task)/,
  /^Oops(ed too often| failed to kill)/,
  /^(softlockup: hung tasks|hung_task: blocked tasks|Hard LOCKUP|RCU Stall)/,
  /^workqueue: .*\bstall/,
  /panic_on_(warn|taint) set/,
  /: system warned too often/,
  /^((kasan|kfence)\.fault=\w+|kmsan\.panic) set/,
  /^(Out of memory|System is deadlocked on memory)/,
];

/** Reasons that are some only after what the hardware said. */
const LAST_STRAWS_OF_HARDWARE: readonly RegExp[] = [
  /\b[Mm]achine checks?\b/,
  /^(Failed kernel mode recovery|Memory failure: |Fatal hardware error)/,
  /^NMI( IOCK error)?: Not continuing/,
];

/** A second line of the same kind of trouble, while the first one's report is still going on. */
const CONTINUES: Partial<Record<KernelReportKind, readonly KernelReportKind[]>> = {
  oops: ['oops', 'bug', 'list-corruption', 'slab-corruption', 'hardening'],
  oom: ['oom'],
  'hardware-error': ['hardware-error'],
  'slab-corruption': ['slab-corruption'],
};

/** These reports are told by one CPU on behalf of others, which print their own traces. */
const OTHERS_JOIN: ReadonlySet<KernelReportKind> = new Set([
  ...(['panic', 'rcu-stall', 'soft-lockup', 'hard-lockup', 'workqueue-lockup', 'hung-task'] as const),
]);
/** These reports end with their trace; others go on after it. */
const ENDS_WITH_TRACE: ReadonlySet<KernelReportKind> = new Set(['lockdep', 'atomic-sleep']);

const PANIC = /^Kernel panic - not syncing: /;
const CUT_HERE = /^-+\[ cut here \]-+$/;
const RULE = /^={30,}$/;
const END_OF_REPORT = /^---\[ end (trace|Kernel panic)/;
const END_OF_TRACE = ' </TASK>';
/**
 * What belongs to a report behind its end: an oops repeats its registers, for those who see the last lines of a screen
 * alone; the slab allocator says how it has mended an object, whose dump may be longer than what is kept of it.
 */
const AFTER_END: readonly RegExp[] = [
  /^(RIP|Code|R[A-Z0-9]{2}|[CDFGE]S|CR[0-4]|DR[0-7]|PKRU): /,
  /^(FIX \S+: |(Redzone|Object|Padding|Bytes b4) +[0-9a-f]+: )/,
];
const MOST_LINES = 200;
const MOST_PREAMBLE = 10;
const LONGEST_PAGE_DUMP = 16;
/**
 * A warning's text is printed in one go with the line that says where; "cut here" comes before it only on some paths.
 */
const SAME_BREATH_S = 0.005;
/** No report pauses for so long; what follows is about something else. */
const LONGEST_PAUSE_S = 5;
/** Beyond that a kernel repeats itself, and a list without end helps nobody. */
const MOST_REPORTS = 500;
const LEVEL_WARNING = 4;
/** What the rig has the guest say through the kernel's log, and the rule above a report. */
const SAYS_NOTHING = /^(RIG-[A-Z]+ |={30,}$)/;

/**
 * Kernel lines carry a time stamp (CONFIG_PRINTK_TIME), perhaps a caller, and with console_msg_format=syslog their
 * level; nothing a program prints is mistaken for one.
 */
const STAMP = /(?:<(\d{1,3})>)?\[ *(\d+\.\d{6})\](?:\[ *([CT]\d+)\])? /g;

interface OpenReport {
  kind: KernelReportKind;
  severity: Severity;
  title: string;
  readonly lines: string[];
  fatal: boolean;
}

interface KernelLine {
  readonly time: number;
  /** Task or CPU that printed it; empty for kernels that don't say (CONFIG_PRINTK_CALLER). */
  readonly caller: string;
  /** The level is that of syslog, and undefined where the console does not tell it. */
  readonly level: number | undefined;
  readonly text: string;
}

/** What is going on for one caller: reports of several CPUs may come line by line in turns. */
interface Conversation {
  report: OpenReport | undefined;
  preamble: string[];
  /** The description of the page that a VM_BUG_ON_FOLIO() is about comes before "cut here". */
  pageDump: string[];
  cutHere: boolean;
  /** Its last report is at its end. */
  ended: boolean;
  /** Outside of reports. */
  previous: KernelLine | undefined;
  /** Its last line, and the report that it began. */
  last: { readonly line: KernelLine; readonly begun: OpenReport | undefined } | undefined;
  lastTime: number;
}

/** Fed with console lines; what it has found never changes by what comes later, except that it proves fatal. */
export class KernelReportScanner {
  readonly #found: OpenReport[] = [];
  readonly #conversations = new Map<string, Conversation>();
  #latest: Conversation | undefined;
  #warnings: KernelLine[] = [];

  get reports(): readonly KernelReport[] {
    return this.#found;
  }

  /** Lines of level warning or worse that are part of no report, where the console tells the level. */
  get warnings(): readonly KernelWarning[] {
    return this.#warnings.map(({ level = LEVEL_WARNING, text }) => ({ level, text }));
  }

  /** Takes one complete line; returns the report that it begins, or that it makes fatal. */
  push(line: string): KernelReport | undefined {
    let begun: KernelReport | undefined;
    for (const part of kernelLines(line)) begun = this.#take(part) ?? begun;
    return begun;
  }

  #take(line: KernelLine): KernelReport | undefined {
    const conversation = this.#conversation(line);
    if (this.#isPrintedAgain(conversation, line)) return undefined;
    const begun = this.#takeNew(conversation, line);
    conversation.last = { line, begun };
    return begun;
  }

  /**
   * A kernel in trouble takes the console from the thread that prints to it, and prints the line again that the thread
   * was at, or had just come to the end of ("replaying previous printk message").
   */
  #isPrintedAgain({ last }: Conversation, line: KernelLine): boolean {
    if (last?.line.time !== line.time || !line.text.startsWith(last.line.text)) return false;
    const { text } = last.line;
    if (this.#warnings.at(-1) === last.line && text !== line.text) this.#warnings.pop();
    if (last.begun && text !== line.text) completeTitle(last.begun, text, line.text);
    return last.begun !== undefined || text === line.text;
  }

  #takeNew(conversation: Conversation, line: KernelLine): OpenReport | undefined {
    const { text } = line;
    rememberPageDump(conversation, text);
    if (CUT_HERE.test(text)) {
      Object.assign(conversation, { report: undefined, cutHere: true, previous: undefined });
      return undefined;
    }
    const title = parseTitle(text);
    const begun = title && this.#begin(conversation, title, line);
    if (!title?.isAll) this.#append(conversation, line, title !== undefined);
    return begun;
  }

  #begin(conversation: Conversation, { kind, isAll }: Title, line: KernelLine): OpenReport | undefined {
    const { text } = line;
    const last = conversation.report ?? this.#found.findLast(({ severity }) => severity === 'bug');
    if (kind === 'panic' && last && isConsequence(text, last)) {
      last.fatal = true;
      return last;
    }
    const { report } = conversation;
    if (report && CONTINUES[kind]?.includes(report.kind)) return undefined;
    // An unhandled signal of a driver is no reason to lose the oops that it comes in the middle of.
    if (isAll) return this.#addLine(conversation, kind, text);
    const asserts = kind === 'warning' || kind === 'bug';
    const said = kind === 'warning' ? explained(conversation, line) : conversation.preamble;
    const preamble = [...(asserts ? assertedPage(conversation) : []), ...said];
    const particular = preamble.map(kindOfPreamble).find((refined) => refined !== undefined && refined !== 'bug');
    const refined = particular !== undefined && asserts ? particular : kind;
    const opened = newReport(refined, titleWith(text, preamble));
    opened.lines.push(...preamble);
    Object.assign(conversation, { report: opened, preamble: [], pageDump: [], cutHere: false, previous: undefined });
    this.#latest = conversation;
    const explanation = new Set(preamble);
    this.#warnings = this.#warnings.filter(
      (earlier) => earlier.caller !== line.caller || !explanation.has(earlier.text),
    );
    return this.#keep(opened);
  }

  #addLine({ report }: Conversation, kind: KernelReportKind, text: string): OpenReport {
    if (report && report.lines.at(-1) !== text) report.lines.push(text);
    const said = newReport(kind, text);
    said.lines.push(text);
    return this.#keep(said);
  }

  #keep(report: OpenReport): OpenReport {
    if (this.#found.length < MOST_REPORTS) this.#found.push(report);
    return report;
  }

  #append(conversation: Conversation, line: KernelLine, isTitle: boolean): void {
    const home = this.#homeOf(conversation, line);
    const { report } = home;
    // Joined to another's report, it may still be the text of a warning of this caller.
    if (!conversation.report) remember(conversation, line);
    if (!report) {
      if (!isTitle && !(home.ended && AFTER_END.some((part) => part.test(line.text)))) this.#warn(line);
      return;
    }
    report.lines.push(line.text);
    home.lastTime = line.time;
    home.ended = isLastLine(report, line.text);
    if (home.ended) home.report = undefined;
  }

  #warn(line: KernelLine): void {
    if (line.level === undefined || line.level > LEVEL_WARNING || SAYS_NOTHING.test(line.text)) return;
    if (this.#warnings.length < MOST_REPORTS) this.#warnings.push(line);
  }

  /** The other CPUs' traces belong to the report that asked for them, while it goes on. */
  #homeOf(conversation: Conversation, { caller, time }: KernelLine): Conversation {
    if (conversation.report || conversation.cutHere || caller === '') return conversation;
    const asked = this.#latest?.report;
    if (!this.#latest || !asked || !OTHERS_JOIN.has(asked.kind)) return conversation;
    return time - this.#latest.lastTime <= LONGEST_PAUSE_S ? this.#latest : conversation;
  }

  #conversation({ caller, time }: KernelLine): Conversation {
    const known = this.#conversations.get(caller);
    if (known && time - known.lastTime <= LONGEST_PAUSE_S) {
      known.lastTime = time;
      return known;
    }
    const fresh: Conversation = {
      report: undefined,
      preamble: [],
      pageDump: [],
      cutHere: false,
      ended: false,
      previous: undefined,
      last: undefined,
      lastTime: time,
    };
    this.#conversations.set(caller, fresh);
    return fresh;
  }
}

function newReport(kind: KernelReportKind, title: string): OpenReport {
  return { kind, severity: severityOf(kind), title, lines: [], fatal: kind === 'panic' };
}

/** Of the whole text its kind is another one, perhaps; what the lines before it say of the kind still stands. */
function completeTitle(report: OpenReport, begun: string, whole: string): void {
  const kind = parseTitle(begun)?.kind === report.kind ? parseTitle(whole)?.kind : undefined;
  if (kind) Object.assign(report, { kind, severity: severityOf(kind) });
  report.title = report.title.replace(begun, () => whole);
  report.lines[report.lines.length - 1] = whole;
}

function isConsequence(panic: string, { kind }: OpenReport): boolean {
  const reason = panic.replace(PANIC, '');
  const straws = kind === 'hardware-error' ? [...LAST_STRAWS, ...LAST_STRAWS_OF_HARDWARE] : LAST_STRAWS;
  return straws.some((straw) => straw.test(reason));
}

/** Which assertion it was, where the kernel says that, and not only where it stands. */
function titleWith(title: string, preamble: readonly string[]): string {
  const condition = preamble.map(conditionOf).find((found) => found !== undefined);
  return condition === undefined ? title : `${title} ${condition}`;
}

function rememberPageDump(conversation: Conversation, text: string): void {
  const { pageDump } = conversation;
  if (PAGE_DUMP.test(text)) conversation.pageDump = [text];
  else if (pageDump.length > 0 && pageDump.length < LONGEST_PAGE_DUMP) pageDump.push(text);
}

/** The dump of a page, up to the line that says which assertion it was made for. */
function assertedPage({ pageDump }: Conversation): string[] {
  return pageDump.slice(0, pageDump.findIndex((text) => conditionOf(text) !== undefined) + 1);
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
  if (previous === undefined || time - previous.time > SAME_BREATH_S) return [];
  return (previous.level ?? LEVEL_WARNING) <= LEVEL_WARNING ? [previous.text] : [];
}

function isLastLine({ kind, lines }: OpenReport, text: string): boolean {
  if (lines.length >= MOST_LINES || END_OF_REPORT.test(text)) return true;
  if (RULE.test(text)) return kind === 'kasan' || kind === 'kcsan' || kind === 'kfence' || kind === 'kmsan';
  return text.startsWith(END_OF_TRACE) && ENDS_WITH_TRACE.has(kind);
}

/** A line may hold several, where one writer interrupted another; what stands before the first stamp is a program's. */
function kernelLines(line: string): KernelLine[] {
  const clean = line.replaceAll('\r', '');
  const stamps = [...clean.matchAll(STAMP)];
  return stamps.map((stamp, index) => ({
    // The rest of it is the facility.
    level: stamp[1] === undefined ? undefined : Number(stamp[1]) % 8,
    time: Number(stamp[2]),
    caller: stamp[3] ?? '',
    text: clean.slice(stamp.index + stamp[0].length, stamps[index + 1]?.index),
  }));
}
