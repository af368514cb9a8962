/** `dgpu-rig watch`: whenever something is saved, builds what changed and runs what failed, in a fresh VM. */
import { withDriverOfNow } from '../build/driver-module.ts';
import { elapsed } from '../report/elapsed.ts';
import type { TestResult } from '../report/run-report.ts';
import { summarize } from '../report/run-report.ts';
import { summaryLine } from '../report/summary-line.ts';
import { verdictTable } from '../report/verdict-table.ts';
import type { RigContext } from '../suite/rig-context.ts';
import { prepareRun } from '../suite/run-context.ts';
import { suiteFiles } from '../suite/suite-files.ts';
import { vitestProject } from '../suite/vitest-projects.ts';
import { RigError } from '../util/rig-error.ts';
import { exactly } from './failure-rates.ts';
import { runRequest, type RunOptions } from './run-options.ts';
import type { Session } from './session.ts';
import { runVitest } from './vitest-run.ts';
import { watchFiles, type Edit } from './watched-files.ts';

export async function watchVerb(names: readonly string[], options: RunOptions, session: Session): Promise<number> {
  const { progress, signal } = session;
  const include = await suiteFiles(names);
  const request = runRequest(options, session);
  const edits = editQueue(signal);
  let rig = await prepareRun(request);
  let failed = await judge({ rig, include, options, failed: [] }, session);
  // What `rig` has is older than the driver's source.
  let driverEdited = false;
  for (;;) {
    progress.print(
      `\nWatching; ${failed.length === 0 ? 'all pass' : `${String(failed.length)} fail`}. Ctrl-C ends it.`,
    );
    const edit = await edits.next();
    progress.print(`\n${edit.files.slice(0, 3).join(', ')}${edit.files.length > 3 ? ', …' : ''}`);
    try {
      if (edit.need === 'build') rig = await prepareRun(request);
      driverEdited = edit.need === 'driver' || (driverEdited && edit.need === 'tests');
      failed = await judgeEdit(driverEdited, { rig, include, options, failed }, session);
      progress.print(`A verdict ${elapsed(performance.now() - edit.savedAt)} after it was saved.`);
    } catch (error) {
      signal.throwIfAborted();
      // What doesn't compile is what a person is about to mend.
      if (!(error instanceof RigError)) throw error;
      progress.print(`✘ ${error.message}${error.remedy === undefined ? '' : `\n  ${error.remedy}`}`);
    }
  }
}

interface Judged {
  readonly rig: RigContext;
  readonly include: readonly string[];
  readonly options: RunOptions;
  /** What failed the last time: it is run first, and all of it only when that passes. */
  readonly failed: readonly TestResult[];
}

async function judgeEdit(driverEdited: boolean, judged: Judged, session: Session): Promise<readonly TestResult[]> {
  if (!driverEdited) return judge(judged, session);
  const { progress, signal } = session;
  const { kernelSrc } = judged.options;
  const { build } = judged.rig;
  const now = await withDriverOfNow({ build, kernelSource: kernelSrc, emit: progress.emit, signal });
  try {
    return await judge({ ...judged, rig: { ...judged.rig, build: now.build } }, session);
  } finally {
    await now.discard();
  }
}

/** What fails now. */
async function judge({ rig, include, options, failed }: Judged, session: Session): Promise<readonly TestResult[]> {
  const { maxVms, flavour } = options;
  const filter = failed.length === 0 ? options.filter : exactly(failed);
  const projects = [vitestProject('suites', { include, maxVms, flavour })];
  const { results } = await runVitest({ projects, rig, filter }, session);
  const ran = results.filter(({ status }) => status !== 'skip');
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
      const need =
        (['build', 'driver', 'tests'] as const).find((name) => all.some((edit) => edit.need === name)) ?? 'tests';
      return { files: all.flatMap(({ files }) => files), need, savedAt: first.savedAt };
    },
  };
}
