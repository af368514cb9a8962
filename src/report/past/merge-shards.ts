/**
 * From the reports of all shards to that of the whole run. What is missing is an error in it, and what failed stays
 * failed.
 */
import { shardName, type Shard } from '../../config/shard.ts';
import { RigError } from '../../util/rig-error.ts';
import {
  placeholderResult,
  runReport,
  summarize,
  type CutShort,
  type RunReport,
  type TestResult,
} from '../run-report.ts';

/** A job that ended with its node, before it could write a report; its shard ran again. */
export interface LostJob {
  readonly shard: number;
  readonly node: string;
  /** The results of the tests that had ended by then. */
  readonly results: readonly TestResult[];
}

interface ShardExtras {
  readonly lost?: readonly LostJob[];
  /** Why a shard wrote no report, where that is known. */
  readonly reasons?: ReadonlyMap<number, string>;
  /** Why the whole run did not come to its end. */
  readonly cutShort?: CutShort | undefined;
}

export function mergeShards(
  reports: readonly RunReport[],
  { lost = [], reasons = new Map(), cutShort }: ShardExtras = {},
): RunReport {
  const byShard = new Map(reports.map((report) => [shardIn(report).index, report]));
  const [first] = reports;
  if (!first) throw new RigError('infrastructure', 'No shard wrote a report.');
  const { of } = shardIn(first);
  if (byShard.size < reports.length) throw new RigError('usage', 'Two of these reports are of the same shard.');
  for (const report of reports) assertSameRun(first, report);
  const results = Array.from({ length: of }, (_, position) => {
    const index = position + 1;
    const report = byShard.get(index);
    const ofShard = lost.filter(({ shard }) => shard === index);
    if (report) return withLostFailures(report.results, ofShard);
    return [cutShort?.how === 'interrupted' ? notBegun({ index, of }) : missing({ index, of }, reasons.get(index))];
  }).flat();
  const { schema, host, kernel, qemu, sources, rig, seed } = first;
  const [startedAt] = reports.flatMap((report) => report.startedAt ?? []).sort();
  const lostJobs = lost.map(({ shard, node, results: { length } }) => ({ shard, node, testsEnded: length }));
  return runReport.parse({
    ...{ schema, host, kernel, qemu, sources, rig, startedAt },
    cutShort: cutShort ?? reports.find((report) => report.cutShort)?.cutShort,
    // Shards that were started one by one have each a seed of their own; the results name theirs.
    seed: reports.every((report) => report.seed === seed) ? seed : undefined,
    lostJobs: lostJobs.length === 0 ? undefined : lostJobs,
    results,
    summary: summarize(results),
  });
}

export function lostJobText({ shard, node, testsEnded }: NonNullable<RunReport['lostJobs']>[number]): string {
  const tests = `${String(testsEnded)} ${testsEnded === 1 ? 'test' : 'tests'}`;
  return `Shard ${String(shard)} was lost with ${node}, after ${tests}, and ran again from its beginning.`;
}

function shardIn({ shard }: RunReport): Shard {
  if (shard) return shard;
  throw new RigError('usage', 'One of these reports is not of a shard.', {
    remedy: 'Merge what "dgpu-rig run --shard 1/3 --json FILE" and its siblings wrote.',
  });
}

function assertSameRun(first: RunReport, other: RunReport): void {
  const ours = identity(first);
  const theirs = identity(other);
  const names = [...new Set([...Object.keys(ours), ...Object.keys(theirs)])];
  const differences = names
    .filter((name) => ours[name] !== theirs[name])
    .map((name) => `${name} (${ours[name] ?? 'unknown'} and ${theirs[name] ?? 'unknown'})`);
  if (differences.length === 0) return;
  const shards = [first, other].map((report) => shardName(shardIn(report))).join(' and ');
  throw new RigError('usage', `The shards ${shards} are not of one run: they differ in ${differences.join('; ')}.`, {
    remedy:
      'Run them all with the same rig, and from sources with the same hashes: a cache that is shared or copied has them.',
  });
}

/** What has to be the same in all shards, by the name that a person knows it by. */
function identity({ kernel, qemu, rig, shard, sources = {} }: RunReport): Record<string, string | undefined> {
  return {
    'the version of Linux': kernel.version,
    'the patches of Linux': kernel.patches.join(', '),
    'the content of these patches': kernel.patchset,
    'the commit of Linux': kernel.commit,
    'the version of QEMU': qemu,
    'the commit of the rig': rig,
    'the number of shards': String(shard?.of),
    ...Object.fromEntries(Object.entries(sources).map(([name, hash]) => [`the hash of the source of ${name}`, hash])),
  };
}

function missing(shard: Shard, reason = 'Its file is not among those that were given.'): TestResult {
  return placeholderResult({
    suite: `shard ${shardName(shard)}`,
    test: '(no report)',
    status: 'error',
    failure: 'infrastructure',
    message: `Nothing is known of the tests of shard ${shardName(shard)}. ${reason}`,
  });
}

/** Stands for a shard of an interrupted run that was not begun. */
function notBegun(shard: Shard): TestResult {
  const name = { suite: `shard ${shardName(shard)}`, test: '(not begun)' };
  return placeholderResult({ ...name, status: 'skip', notRun: true, message: 'not run: interrupted' });
}

/**
 * What fails once and then passes has failed. A node that dies can break the rig on it, but it fails no claim about a
 * kernel.
 */
function withLostFailures(results: readonly TestResult[], lost: readonly LostJob[]): TestResult[] {
  const failed = lost.flatMap(({ node, results: ended }) =>
    ended.filter(({ status }) => status === 'fail').map((result) => ({ node, result })),
  );
  const sameTest = (a: TestResult, b: TestResult): boolean => a.suite === b.suite && a.test === b.test;
  const kept = results.map((result) => {
    const earlier = failed.find((candidate) => sameTest(candidate.result, result));
    if (!earlier || result.status === 'fail') return result;
    const what = `It failed on ${earlier.node}, which was lost soon after; when it ran again, it said: ${result.status}.`;
    const message = `${what}\n${earlier.result.message ?? ''}`;
    return { ...earlier.result, message, rate: { failures: 0, runs: 1 } };
  });
  const unseen = failed.filter((failure) => !results.some((result) => sameTest(failure.result, result)));
  return [...kept, ...unseen.map(({ result }) => result)];
}
