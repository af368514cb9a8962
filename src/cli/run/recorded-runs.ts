/** Runs are recorded as they end, and found again by what a person calls them. */
import { tryGit } from '../../builds/tree/git.ts';
import { historyFolder, repositoryPath } from '../../config/paths.ts';
import { History, type RecordedRun } from '../../report/past/history.ts';
import { recordUnfinishedRuns } from '../../report/live/unfinished-run.ts';
import { OUTSIDE_OF_TESTS, type RunReport, type TestResult } from '../../report/run-report.ts';
import { haveTestsInCommon } from '../../report/past/baseline.ts';
import { entryLine } from '../../report/past/run-heading.ts';
import { RigError } from '../../util/rig-error.ts';

/** Returns the run as it is recorded. A history that can't be written must not cost a verdict. */
export function recordRun(report: RunReport, tell: (text: string) => void): RecordedRun | undefined {
  try {
    return historyAsItIs().record(report);
  } catch (error) {
    tell(`This run is not recorded: ${error instanceof Error ? error.message : String(error)}`);
    return undefined;
  }
}

/** Opens the history, and records the runs whose rig was killed. */
export function openHistory(): History {
  const history = historyAsItIs();
  recordUnfinishedRuns((report) => history.record(report));
  return history;
}

/** Runs that can't be read are told of beside the results, and passed over. */
function historyAsItIs(): History {
  return History.open(historyFolder(), (text) => process.stderr.write(`dgpu-rig: ${text}\n`));
}

/** Whether this is a test that failed and can be run again: an error outside of tests is mended first. */
export function isRepeatable({ status, test }: TestResult): boolean {
  return (status === 'fail' || status === 'error') && test !== OUTSIDE_OF_TESTS;
}

/** `last`; the number of a run; a commit, tag or branch of the rig; a version or commit of the kernel. */
export async function findRun(history: History, name: string, before: number): Promise<RecordedRun> {
  const found = await lookUp(history, name, before);
  if (found) return found;
  const known = history.entries(before);
  const [latest] = known;
  if (!latest && before < Infinity) {
    throw new RigError('usage', 'The latest run is the first that is recorded: there is none to compare it with.');
  }
  if (!latest) throw new RigError('usage', 'No run has been recorded yet.', { remedy: 'Start one: ./dgpu-rig run' });
  const what = numberOf(name) === undefined ? `No run is called ${name}` : `There is no run ${name}`;
  throw new RigError('usage', `${what}; the latest is ${String(latest.id)}.`, {
    remedy: known.slice(0, 5).map(entryLine).join('\n  '),
  });
}

/** The run that `subject` is best compared with: the newest before it that has some of its tests. */
export function findComparable(history: History, subject: RunReport, before: number): RecordedRun {
  for (const run of history.runs(before)) if (haveTestsInCommon(subject, run.report)) return run;
  throw new RigError('usage', 'No earlier run has any of the tests of this one: there is none to compare it with.', {
    remedy: history.entries(before).slice(0, 5).map(entryLine).join('\n  '),
  });
}

async function lookUp(history: History, name: string, before: number): Promise<RecordedRun | undefined> {
  if (name === 'last') {
    for (const run of history.runs(before)) return run;
    return undefined;
  }
  const number = numberOf(name);
  const run = number === undefined ? undefined : history.run(number);
  if (run) return run;
  const { ok, stdout } = await tryGit(repositoryPath(), ['rev-parse', '--verify', '--quiet', `${name}^{commit}`]);
  return history.newestOf({ kernel: name, ...(ok ? { rigCommit: stdout.trim() } : {}) }, before);
}

/** `12` and `#12`. */
function numberOf(name: string): number | undefined {
  const digits = /^#?(\d{1,9})$/.exec(name)?.[1];
  return digits === undefined ? undefined : Number(digits);
}
