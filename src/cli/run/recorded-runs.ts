/** Runs are recorded as they end, and found again by what a person calls them. */
import { tryGit } from '../../builds/tree/git.ts';
import { repositoryPath } from '../../config/paths.ts';
import { History, historyFile, type RecordedRun } from '../../report/past/history.ts';
import { recordUnfinishedRuns } from '../../report/live/unfinished-run.ts';
import { OUTSIDE_OF_TESTS, type RunReport, type TestResult } from '../../report/run-report.ts';
import { RigError } from '../../util/rig-error.ts';

/** Returns its number. A history that can't be written must not cost a verdict. */
export function recordRun(report: RunReport, tell: (text: string) => void): number | undefined {
  try {
    const history = History.open(historyFile());
    try {
      return history.record(report);
    } finally {
      history.close();
    }
  } catch (error) {
    tell(`This run is not recorded: ${error instanceof Error ? error.message : String(error)}`);
    return undefined;
  }
}

/** With the runs in it whose rig was killed. */
export function openHistory(): History {
  const history = History.open(historyFile());
  recordUnfinishedRuns((report) => history.record(report));
  return history;
}

/** Did it fail, and is it a test that can be run again? What was wrong outside of tests is mended first. */
export function isRepeatable({ status, test }: TestResult): boolean {
  return (status === 'fail' || status === 'error') && test !== OUTSIDE_OF_TESTS;
}

/** `last`; the number of a run; a commit, tag or branch of the rig; a version or commit of the kernel. */
export async function findRun(history: History, name: string, before: number): Promise<RecordedRun> {
  const found = await lookUp(history, name, before);
  if (found) return found;
  const known = history.runs(before).slice(0, 5);
  const list = known.map(
    ({ id, startedAt, report }) => `#${String(id)} of ${startedAt.slice(0, 16)}, Linux ${report.kernel.version}`,
  );
  if (list.length === 0 && before < Number.MAX_SAFE_INTEGER) {
    throw new RigError('usage', 'The latest run is the first that is recorded: there is none to hold it against.');
  }
  throw new RigError('usage', `No recorded run is called ${name}.`, {
    remedy: list.length === 0 ? 'None is recorded yet: ./dgpu-rig run' : `The latest are: ${list.join('; ')}.`,
  });
}

async function lookUp(history: History, name: string, before: number): Promise<RecordedRun | undefined> {
  if (name === 'last') return history.runs(before)[0];
  const number = /^#?(\d{1,9})$/.exec(name)?.[1];
  if (number !== undefined) {
    const run = history.run(Number(number));
    if (run) return run;
  }
  const { ok, stdout } = await tryGit(repositoryPath(), ['rev-parse', '--verify', '--quiet', `${name}^{commit}`]);
  return history.newestOf({ kernel: name, ...(ok ? { rigCommit: stdout.trim() } : {}) }, before);
}
