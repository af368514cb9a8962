/** `dgpu-rig watch`: whenever something is saved, builds what changed and runs what failed, in a fresh VM. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { freshFile, PARTS, type GuestFile, type Part } from '../build/fresh-files.ts';
import { elapsed } from '../report/elapsed.ts';
import type { TestResult } from '../report/run-report.ts';
import { summarize } from '../report/run-report.ts';
import { summaryLine } from '../report/summary-line.ts';
import { verdictTable } from '../report/verdict-table.ts';
import type { RigContext } from '../suite/rig-context.ts';
import { prepareRun, type RunRequest } from '../suite/run-context.ts';
import { suiteFiles } from '../suite/suite-files.ts';
import { vitestProject } from '../suite/vitest-projects.ts';
import { RigError } from '../util/rig-error.ts';
import { exactly } from './failure-rates.ts';
import { runRequest, type RunOptions } from './run-options.ts';
import { requireResults } from './run-verb.ts';
import type { Session } from './session.ts';
import { runVitest } from './vitest-run.ts';
import { watchFiles, type Edit, type Need } from './watched-files.ts';

export async function watchVerb(names: readonly string[], options: RunOptions, session: Session): Promise<number> {
  const include = await suiteFiles(names);
  const folder = await mkdtemp(path.join(tmpdir(), 'dgpu-rig-watch-'));
  try {
    return await watchSuites(new LiveRig(runRequest(options, session), folder), { include, options }, session);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function watchSuites(live: LiveRig, tests: Tests, session: Session): Promise<never> {
  const { progress, signal } = session;
  const edits = editQueue(signal);
  let failed = await judge(await live.broughtUp(new Set(['build'])), { ...tests, failed: [] }, session);
  let builds = true;
  for (;;) {
    const verdict = failed.length === 0 ? 'all pass' : `${String(failed.length)} fail`;
    const state = builds ? verdict : 'what was saved does not build';
    progress.print(`\nWatching; ${state}. Ctrl-C ends it.`);
    const { files, needs, savedAt } = await edits.next();
    progress.print(`\n${files.slice(0, 3).join(', ')}${files.length > 3 ? ', …' : ''}`);
    try {
      builds = false;
      const rig = await live.broughtUp(needs);
      builds = true;
      failed = await judge(rig, { ...tests, failed }, session);
      progress.print(`A verdict ${elapsed(performance.now() - savedAt)} after it was saved.`);
    } catch (error) {
      signal.throwIfAborted();
      // What doesn't compile is what a person is about to mend.
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
  /** What did not compile is still to be built when something else is saved. */
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

interface Tests {
  readonly include: readonly string[];
  readonly options: RunOptions;
}

interface Judged extends Tests {
  /** What failed the last time: that alone is run, for as long as it does. */
  readonly failed: readonly TestResult[];
}

/** What fails now. */
async function judge(
  rig: RigContext,
  { include, options, failed }: Judged,
  session: Session,
): Promise<readonly TestResult[]> {
  const { maxVms, flavour } = options;
  const filter = failed.length === 0 ? options.filter : exactly(failed);
  const projects = [vitestProject('suites', { include, maxVms, flavour })];
  const { results } = await runVitest({ projects, rig, filter }, session);
  const ran = results.filter(({ status }) => status !== 'skip');
  requireResults(ran, filter);
  const { pass, fail, error, xfail } = summarize(ran);
  session.progress.print(`\n${verdictTable(ran)}\n${summaryLine(pass + xfail, fail + error)}`);
  return ran.filter(({ status }) => status === 'fail' || status === 'error');
}

/** What is saved while tests run is not lost, and all of it together is one edit. */
function editQueue(signal: AbortSignal): { next: () => Promise<Edit> } {
  const waiting: Edit[] = [];
  let wake: () => void = () => undefined;
  watchFiles(signal, (edit) => {
    waiting.push(edit);
    wake();
  });
  signal.addEventListener('abort', () => wake(), { once: true });
  return {
    next: async () => {
      if (waiting.length === 0) await new Promise<void>((resolve) => (wake = resolve));
      signal.throwIfAborted();
      const [first, ...others] = waiting.splice(0);
      if (!first) throw new Error('Woken without an edit');
      const all = [first, ...others];
      const needs = new Set(all.flatMap((edit) => [...edit.needs]));
      return { files: all.flatMap(({ files }) => files), needs, savedAt: first.savedAt };
    },
  };
}
