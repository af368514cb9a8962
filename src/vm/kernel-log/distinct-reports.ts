/** The same trouble told again and again is one report, with a count; told in another run, it is the same bug. */
import { blameOf } from './helper-functions.ts';
import type { KernelReport } from './kernel-report.ts';

export interface DistinctReport extends KernelReport {
  /** Where in the kernel, as symbol+offset; undefined where the report does not say. */
  readonly where: string | undefined;
  /** How often it was told; the lines are those of the first time. */
  readonly count: number;
}

/** They are in the order in which they were first told. */
export function distinctReports(reports: readonly KernelReport[]): DistinctReport[] {
  const found = new Map<string, DistinctReport>();
  for (const report of reports) {
    const [where, caller] = blamed(report);
    // No list of helpers is complete: two that meet in one that is missing there still have different callers.
    const key = [report.kind, where ?? '', caller ?? '', comparable(report, where)].join('\n');
    const known = found.get(key);
    found.set(
      key,
      known ? { ...known, count: known.count + 1, fatal: known.fatal || report.fatal } : { ...report, where, count: 1 },
    );
  }
  return [...found.values()];
}

/** What of a report says which bug it is of. */
type ReportOfBug = Pick<KernelReport, 'title' | 'lines'> & { readonly kind: string };

/**
 * Two reports are of one bug if they have the same kind, function, caller and condition, also where their kernels were
 * built one after the other: offsets in functions then differ, as do line numbers.
 */
export function bugIdentity(report: ReportOfBug): string {
  const [where = '', caller = ''] = blamed(report).map((symbol) => symbol && withoutOffset(symbol));
  return [report.kind, where, caller, withoutVariables(withoutOffset(report.title))].join(' | ');
}

/** The compiler's clones of a function are that function. */
function withoutOffset(text: string): string {
  return text.replaceAll(/\+0x[0-9a-f]+\/0x[0-9a-f]+/g, '').replaceAll(/\.(?:constprop|isra|part|cold)\b[.\d]*/g, '');
}

const SYMBOL = String.raw`\w[\w.]*\+0x[0-9a-f]+\/0x[0-9a-f]+(?: \[\w+\])?`;
const IN_TITLE = new RegExp(String.raw`\b(?:at|in) (${SYMBOL})`);
/** A line of a trace, or the instruction that was interrupted; what the unwinder is not sure of has a question mark. */
const INSTRUCTION = new RegExp(String.raw`^RIP: 0010:(${SYMBOL})`);
/** A line of a trace, or the instruction that was interrupted; what the unwinder is not sure of has a question mark. */
const FRAME = new RegExp(String.raw`^(?: {1,2}|RIP: 0010:)(${SYMBOL})`);
/** Whose interrupt nobody took, and whose work left something behind: the trace is of who notices. */
const SUSPECT = /(?:^\[<\w+>\] |\blast function: |\bworkfn=)(\w[\w.]*(?: \[\w+\])?)/;

/** The function to blame, and its caller. */
function blamed({ kind, title, lines }: ReportOfBug): (string | undefined)[] {
  const named = IN_TITLE.exec(title)?.[1];
  const outOfMemory = kind === 'oom' || kind === 'page-allocation-failure';
  const candidates = [...(named === undefined ? [] : [named]), ...allIn(lines, FRAME)];
  const toBlame = candidates.filter((symbol) => blameOf(symbol, { outOfMemory }) === 2);
  const wayIn = candidates.find((symbol) => blameOf(symbol, { outOfMemory }) === 1);
  const where = toBlame[0] ?? allIn(lines, SUSPECT)[0] ?? wayIn ?? allIn(lines, INSTRUCTION)[0] ?? named;
  return [where, toBlame.find((symbol) => symbol !== where)];
}

function allIn(lines: readonly string[], pattern: RegExp): string[] {
  return lines.flatMap((line) => pattern.exec(line)?.[1] ?? []);
}

/** A title without what differs from one time to the next. */
function comparable({ kind, title }: KernelReport, where: string | undefined): string {
  // Without a stack, all that tells one task that hangs from another is which it is.
  if (kind === 'hung-task' && where === undefined) return title.replace(/ for more than \d+ seconds/, '');
  return withoutVariables(title);
}

/** Addresses, process names, times. */
function withoutVariables(title: string): string {
  return title
    .replaceAll(/\b\S+\/\d+\b/g, '*')
    .replaceAll(/\b(0x)?[0-9a-f]{6,}\b/g, '#')
    .replaceAll(/\d+/g, '#');
}
