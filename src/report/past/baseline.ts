/** A run held against an earlier one: what is new, fixed, still failing, slower; and since which kernel. */
import { failureRate, type FailureRate } from '../judge/failure-rate.ts';
import { median } from '../../util/median.ts';
import type { RunReport, TestResult } from '../run-report.ts';

export interface Change {
  readonly kind: 'new' | 'fixed' | 'still-failing' | 'slower' | 'faster';
  readonly suite: string;
  readonly test: string;
  readonly detail: string;
  /** The first kernel of the row in which the test fails now, and the last one with which it did not. */
  readonly since?: { readonly kernel: string; readonly lastGood?: string };
  /** No earlier run has the test that failed. */
  readonly unseen?: true;
  /** How often the test failed in all recorded runs with this kernel, if it fails only sometimes. */
  readonly rate?: FailureRate;
}

/** Beyond what two runs of one kernel differ by on a busy host. */
const SLOWER = 1.5;
const SLOWER_BY_MS = 5000;
/** Figures of benches come from rounds in turn, and differ less. */
const WORSE = 1.15;

/**
 * `earlier` are the runs before `current`, newest first; they are read only where there is something to look up in
 * them.
 */
export function compareRuns(current: RunReport, baseline: RunReport, earlier: Iterable<RunReport>): Change[] {
  const before = byIdentity(baseline);
  const doubtful = current.results.filter((result) => isFailing(result) || isFailing(before.get(identityOf(result))));
  const history = doubtful.length === 0 ? [] : judgementsOf(doubtful, earlier);
  return current.results.flatMap((result) => {
    const identity = identityOf(result);
    const inBaseline = before.get(identity);
    const past = history.filter(({ tests }) => tests.has(identity));
    // What the baseline does not say of a test, the latest run says that had it.
    const old = isJudged(inBaseline) ? inBaseline : past[0]?.tests.get(identity)?.at(-1);
    return [
      ...verdictChange(result, old, () => ({
        since: sinceWhen(identity, current, past),
        rate: rateWith(current, identity, past),
      })),
      ...paceChanges(result, inBaseline),
    ];
  });
}

/** Has one of them come to a test that the other has come to, too? Otherwise there is nothing to compare. */
export function haveTestsInCommon(a: RunReport, b: RunReport): boolean {
  const tests = new Set(begunTests(a));
  return begunTests(b).some((identity) => tests.has(identity));
}

function begunTests({ results }: RunReport): string[] {
  return results.filter(({ notRun }) => !notRun).map(identityOf);
}

/** What an earlier run said of the tests that are looked up. */
interface PastRun {
  readonly kernel: string;
  /** By identity; a run that goes on for hours has a test several times. */
  readonly tests: ReadonlyMap<string, readonly TestResult[]>;
}

/** A whole report is not kept: of a thousand of them there would be no room. */
function judgementsOf(results: readonly TestResult[], runs: Iterable<RunReport>): PastRun[] {
  const wanted = new Set(results.map(identityOf));
  const found: PastRun[] = [];
  for (const run of runs) {
    const judged = run.results.filter((result) => isJudged(result) && wanted.has(identityOf(result)));
    const tests = new Map<string, TestResult[]>();
    for (const result of judged) tests.set(identityOf(result), [...(tests.get(identityOf(result)) ?? []), result]);
    if (tests.size > 0) found.push({ kernel: kernelName(run), tests });
  }
  return found;
}

function isJudged(result: TestResult | undefined): boolean {
  return result !== undefined && result.status !== 'skip';
}

/** The seed is chance, and no part of what a test is. */
export function identityOf({ suite, test, params }: TestResult): string {
  const named = Object.entries(params).filter(([name]) => name !== 'seed');
  return JSON.stringify([suite, test, ...named.sort(([a], [b]) => (a < b ? -1 : 1))]);
}

function byIdentity({ results }: RunReport): ReadonlyMap<string, TestResult> {
  return new Map(results.map((result) => [identityOf(result), result]));
}

function isFailing(result: TestResult | undefined): boolean {
  return result?.status === 'fail' || result?.status === 'error';
}

interface Past {
  readonly since: NonNullable<Change['since']>;
  readonly rate: FailureRate;
}

/** A skipped test says nothing, neither then nor now. */
function verdictChange(result: TestResult, old: TestResult | undefined, look: () => Past): Change[] {
  const { suite, test, message = '' } = result;
  if (isFailing(result)) {
    const { since, rate } = look();
    const sometimes = rate.failures < rate.runs;
    const past = { ...(sometimes ? { rate } : { since }), ...(old === undefined ? { unseen: true as const } : {}) };
    return [
      {
        kind: isFailing(old) ? 'still-failing' : 'new',
        suite,
        test,
        detail: reasonOf(message),
        ...past,
      },
    ];
  }
  if (old !== undefined && isFailing(old) && result.status === 'pass') {
    const { rate } = look();
    const sometimes = rate.failures > 0 ? { rate } : {};
    return [{ kind: 'fixed', suite, test, detail: reasonOf(old.message ?? ''), ...sometimes }];
  }
  return [];
}

/** More of it is in the report itself. */
const LONGEST_REASON = 160;

/** What was expected, rather than all that was known at that point. */
function reasonOf(message: string): string {
  const [first = ''] = message.split('\n');
  const claim = first.slice(Math.max(0, first.lastIndexOf(': expected '))).replace(/^: /, '');
  return claim.length > LONGEST_REASON ? `${claim.slice(0, LONGEST_REASON)}…` : claim;
}

/** The rate over all runs with the kernel of this one that judged the test. */
function rateWith(current: RunReport, identity: string, past: readonly PastRun[]): FailureRate {
  const same = past.filter(({ kernel }) => kernel === kernelName(current));
  const now = current.results.filter((result) => identityOf(result) === identity);
  return failureRate([...now, ...same.flatMap(({ tests }) => tests.get(identity) ?? [])]);
}

/** Goes back through the runs that judged the test, for as long as it failed. */
function sinceWhen(identity: string, current: RunReport, past: readonly PastRun[]): Past['since'] {
  let first = kernelName(current);
  for (const { kernel, tests } of past) {
    if (!isFailing(tests.get(identity)?.at(-1))) return { kernel: first, lastGood: kernel };
    first = kernel;
  }
  return { kernel: first };
}

export function kernelName({ kernel, rig }: RunReport): string {
  return rig === undefined ? kernel.version : `${kernel.version}, rig ${rig.slice(0, 12)}`;
}

function paceChanges(result: TestResult, old: TestResult | undefined): Change[] {
  if (result.status !== 'pass' || old?.status !== 'pass') return [];
  const { suite, test } = result;
  const measured = measurementChanges(result, old);
  if (result.measurements !== undefined) return measured;
  const [then, now] = [old.durationMs, result.durationMs];
  if (now > then * SLOWER && now - then > SLOWER_BY_MS) {
    const detail = `${seconds(then)} → ${seconds(now)}`;
    return [{ kind: 'slower', suite, test, detail }];
  }
  return [];
}

function measurementChanges(result: TestResult, old: TestResult): Change[] {
  const { suite, test, measurements = [] } = result;
  return measurements.flatMap(({ quantity, unit, better, samples }): Change[] => {
    const [name, now] = Object.entries(samples)[0] ?? ['', []];
    const then = old.measurements?.find((candidate) => candidate.quantity === quantity)?.samples[name] ?? [];
    if (then.length === 0 || now.length === 0) return [];
    const [was, is] = [median(then), median(now)];
    const loss = better === 'less' ? is / was : was / is;
    const detail = `${name}: ${quantity} ${was.toPrecision(3)} → ${is.toPrecision(3)} ${unit}`;
    // Where the rounds of then and now overlap, the difference may be chance.
    if (loss > WORSE && apart(then, now, better === 'less')) return [{ kind: 'slower', suite, test, detail }];
    if (loss < 1 / WORSE && apart(now, then, better === 'less')) return [{ kind: 'faster', suite, test, detail }];
    return [];
  });
}

function apart(good: readonly number[], bad: readonly number[], lessIsBetter: boolean): boolean {
  return lessIsBetter ? Math.max(...good) < Math.min(...bad) : Math.min(...good) > Math.max(...bad);
}

function seconds(milliseconds: number): string {
  return `${(milliseconds / 1000).toFixed(1)} s`;
}
