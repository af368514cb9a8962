/** `dgpu-rig watch`: whenever something is saved, builds what changed and runs what failed, in a fresh VM. */
import { rm } from 'node:fs/promises';
import { freshFile, PARTS, type GuestFile, type Part } from '../../builds/fresh-files.ts';
import { elapsed } from '../../report/text/elapsed.ts';
import { loadPlans } from '../../config/plan.ts';
import type { TestResult } from '../../report/run-report.ts';
import { summarize } from '../../report/run-report.ts';
import { summaryLine } from '../../report/text/summary-line.ts';
import { testTitle } from '../../report/text/result-text.ts';
import { verdictTable } from '../../report/text/verdict-table.ts';
import { planOf, planParts, type PlanPart } from '../../plan/plan-parts.ts';
import type { RigContext } from '../../plan/rig-context.ts';
import { prepareRun, type RunRequest } from '../../plan/prepare-run.ts';
import { isOutside, suiteFiles, suiteNames } from '../../plan/suite-files.ts';
import { vitestProject } from '../../plan/vitest-projects.ts';
import { orAbort } from '../../util/on-abort.ts';
import { RigError } from '../../util/rig-error.ts';
import { temporaryFolder } from '../../util/temporary-folder.ts';
import { exactly } from '../run/failure-rates.ts';
import type { WatchOptions } from '../options/option-table.ts';
import { checkCycles, runRequest } from '../options/run-request.ts';
import { requireResults } from '../run/run-conclusion.ts';
import type { Session } from '../session.ts';
import { OpenVitest } from '../run/vitest-run.ts';
import { watchFiles, type Edit, type Need } from './watched-files.ts';

export async function watchVerb(names: readonly string[], options: WatchOptions, session: Session): Promise<number> {
  await suiteFiles(names);
  const { suites, combinations } = await chosenPart(names, options);
  checkCycles(options, suites);
  const request = runRequest(options, session);
  const tests = new LiveTests(await suiteFiles(suites), options, session);
  const folder = await temporaryFolder('watch');
  try {
    const live = new LiveRig({ ...request, selection: { ...request.selection, combinations } }, folder);
    return await watchSuites(live, tests, suites.filter(isOutside), session);
  } finally {
    // It throws the reason if it was interrupted.
    await tests.close().finally(() => rm(folder, { recursive: true, force: true }));
  }
}

/** The suites that were named, as for `run`, with those combinations of the suite "matrix" that this kernel is for. */
async function chosenPart(names: readonly string[], { flavour, matrix: cover }: WatchOptions): Promise<PlanPart> {
  const plans = await loadPlans();
  const [part] = planParts(planOf(names, { flavour, cover }, plans), plans, await suiteNames());
  return part ?? { flavour, suites: names, combinations: [] };
}

async function watchSuites(
  live: LiveRig,
  tests: LiveTests,
  outside: readonly string[],
  { progress, signal }: Session,
): Promise<never> {
  const edits = await editQueue(outside, signal);
  let failed = await tests.judge(await live.broughtUp(new Set(['build'])));
  let builds = true;
  for (;;) {
    const verdict = failed === 0 ? 'all pass' : `${String(failed)} ${failed === 1 ? 'test fails' : 'tests fail'}`;
    const state = builds ? verdict : 'the build is broken, waiting for the next save';
    progress.print(`\nWatching; ${state}. Ctrl-C ends it.`);
    const { files, needs, savedAt } = await edits.next();
    progress.print(`\n${files.slice(0, 3).join(', ')}${files.length > 3 ? ', …' : ''}`);
    try {
      builds = false;
      if (needs.has('suites')) await tests.close();
      const rig = await live.broughtUp(needs);
      builds = true;
      failed = await tests.judge(rig);
      progress.print(`Verdict ${elapsed(performance.now() - savedAt)} after the file was saved.`);
    } catch (error) {
      signal.throwIfAborted();
      // A source that doesn't compile is what the person is about to mend.
      if (!(error instanceof RigError)) throw error;
      progress.print(`✘ ${error.message}${error.remedy === undefined ? '' : `\n  ${error.remedy}`}`);
    }
  }
}

/** The rig as the sources are now, which costs no more than what has changed of them. */
class LiveRig {
  readonly #request: RunRequest;
  readonly #folder: string;
  readonly #fresh = new Map<Part, GuestFile>();
  /** A part that did not compile has still to be built when something else is saved. */
  readonly #due = new Set<Need>();
  #rig: RigContext | undefined;

  constructor(request: RunRequest, folder: string) {
    this.#request = request;
    this.#folder = folder;
  }

  async broughtUp(needs: ReadonlySet<Need>): Promise<RigContext> {
    for (const need of needs) this.#due.add(need);
    if (this.#due.has('build') || !this.#rig) {
      this.#rig = await prepareRun(this.#request);
      this.#fresh.clear();
      this.#due.clear();
    }
    const { kernelSource, emit, signal } = this.#request;
    const { build } = this.#rig;
    for (const part of PARTS.filter((name) => this.#due.has(name))) {
      this.#fresh.set(part, await freshFile(part, { build, kernelSource, folder: this.#folder, emit, signal }));
      this.#due.delete(part);
    }
    return { ...this.#rig, fresh: [...this.#fresh.values()] };
  }
}

/** The tests as they are now, ready to run. */
class LiveTests {
  readonly #include: readonly string[];
  readonly #options: WatchOptions;
  readonly #session: Session;
  #vitest: OpenVitest | undefined;
  /** The tests that failed the last time: only these are run, for as long as one of them fails. */
  #failed: readonly TestResult[] = [];
  #leftOut: readonly string[] = [];

  constructor(include: readonly string[], options: WatchOptions, session: Session) {
    this.#include = include;
    this.#options = options;
    this.#session = session;
  }

  /** Returns how many tests fail now. */
  async judge(rig: RigContext): Promise<number> {
    const { maxVms, flavour } = this.#options;
    const all = this.#options.filter;
    const filter = this.#failed.length === 0 ? all : exactly(this.#failed);
    const projects = [vitestProject('suites', { include: this.#include, maxVms, flavour })];
    this.#vitest ??= await OpenVitest.open({ projects }, this.#session);
    let ran = await this.#run(this.#vitest, rig, filter);
    // A test that failed may have another name by now.
    if (ran.length === 0 && filter !== all) ran = await this.#run(this.#vitest, rig, all);
    requireResults(ran, all, this.#leftOut);
    const { pass, fail, error, xfail } = summarize(ran);
    this.#session.progress.print(`\n${verdictTable(ran)}\n${summaryLine(pass + xfail, fail + error)}`);
    this.#failed = ran.filter(({ status }) => status === 'fail' || status === 'error');
    return this.#failed.length;
  }

  async #run(vitest: OpenVitest, rig: RigContext, filter: RegExp | undefined): Promise<readonly TestResult[]> {
    const { results } = await vitest.run(rig, filter);
    this.#session.signal.throwIfAborted();
    this.#leftOut = results.filter(({ status }) => status === 'skip').map(testTitle);
    return results.filter(({ status }) => status !== 'skip');
  }

  /** The suites are read again when they run the next time. */
  async close(): Promise<void> {
    const vitest = this.#vitest;
    this.#vitest = undefined;
    await vitest?.close();
  }
}

/** Files that are saved while tests run are not lost; all of them together are one edit. */
async function editQueue(outside: readonly string[], signal: AbortSignal): Promise<{ next: () => Promise<Edit> }> {
  const waiting: Edit[] = [];
  let broken: RigError | undefined;
  let wake: () => void = () => undefined;
  const onEdit = (edit: Edit): void => {
    waiting.push(edit);
    wake();
  };
  const onError = (error: RigError): void => {
    broken = error;
    wake();
  };
  await watchFiles(signal, { onEdit, onError, outside });
  return {
    next: async () => {
      if (waiting.length === 0 && !broken) await orAbort(new Promise<void>((resolve) => (wake = resolve)), signal);
      signal.throwIfAborted();
      if (broken) throw broken;
      const [first, ...others] = waiting.splice(0);
      if (!first) throw new Error('Woken without an edit');
      const all = [first, ...others];
      const needs = new Set(all.flatMap((edit) => [...edit.needs]));
      return { files: all.flatMap(({ files }) => files), needs, savedAt: first.savedAt };
    },
  };
}
