/**
 * A run over a cluster that is ended early: what its shards have judged is kept. Slurm is a fake, the files are real.
 */
import { mkdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Interruption, type Session } from '../../../src/cli/session.ts';
import type * as SlurmCluster from '../../../src/cli/slurm/slurm-cluster.ts';
import { runOnSlurm } from '../../../src/cli/slurm/slurm-run.ts';
import { reportExitCode } from '../../../src/report/judge/outcome.ts';
import { runReport, summarize, type RunReport, type TestResult } from '../../../src/report/run-report.ts';
import { RigError } from '../../../src/util/rig-error.ts';
import { SAMPLE_REPORT } from '../report/sample-report.ts';

const fakes = vi.hoisted(() => ({
  nodeCount: () => Promise.resolve(3),
  submitArray: vi.fn<(script: string) => Promise<string>>(),
  taskStates: vi.fn<typeof SlurmCluster.taskStates>(),
  cancel: vi.fn<typeof SlurmCluster.cancel>(),
}));
vi.mock('../../../src/cli/slurm/slurm-cluster.ts', async (original) => ({ ...(await original<object>()), ...fakes }));

const passed: TestResult = {
  ...{ suite: 'smoke', test: 'a', params: {}, status: 'pass', durationMs: 1, metrics: {}, kernelReports: [] },
};
const broken: TestResult = { ...passed, test: 'b', status: 'fail', failure: 'kernel', message: 'KASAN' };
const request = { parts: [], shards: 3, timed: false, args: [], keep: false };
const PARTS = ['smoke', 'swap', 'dma'].map((suite) => ({
  ...{ flavour: 'plain' as const, suites: [suite], combinations: [] },
}));

let folder: string;
let end: AbortController;
let session: Session;

/** As a rig leaves it that was told to end while its first shard ran, and its second was over. */
async function leave(shard: number, results: TestResult[], cutShort?: RunReport['cutShort']): Promise<void> {
  const attempt = path.join(folder, `shard-${String(shard)}`, 'attempt-0');
  await mkdir(attempt, { recursive: true });
  await writeFile(path.join(attempt, 'node'), `node${String(shard)}\n`);
  const report = runReport.parse({
    ...{ ...SAMPLE_REPORT, shard: { index: shard, of: 3 }, results, summary: summarize(results) },
    cutShort,
  });
  await writeFile(path.join(attempt, 'report.json'), JSON.stringify(report));
}

beforeEach(() => {
  end = new AbortController();
  const progress = { emit: () => undefined, print: () => undefined, stop: () => undefined };
  session = { progress, signal: end.signal };
  fakes.submitArray.mockImplementation((script) => {
    folder = path.dirname(script);
    return Promise.resolve('7');
  });
  let cancelled = false;
  fakes.taskStates.mockImplementation(() => {
    const state = cancelled ? 'CANCELLED' : 'RUNNING';
    return Promise.resolve([1, 2, 3].map((index) => ({ index, state, node: '', reason: 'None' })));
  });
  fakes.cancel.mockImplementation(async () => {
    cancelled = true;
    await leave(1, [broken], { how: 'interrupted', message: 'SIGTERM told the rig to stop.' });
  });
});

afterEach(() => rm(folder, { recursive: true, force: true }));

function run(): Promise<RunReport> {
  return runOnSlurm({ ...request, parts: PARTS }, session, () => undefined);
}

test('by Ctrl-C: the shards that were told to end have a say, and those that had not begun are told of', async () => {
  const running = run();
  await vi.waitFor(() => expect(fakes.taskStates).toHaveBeenCalled());
  await leave(2, [passed]);
  end.abort(new Interruption('SIGINT told the rig to stop.'));
  const report = await running;
  expect(report.cutShort).toEqual({ how: 'interrupted', message: 'SIGINT told the rig to stop.' });
  expect(report.results.slice(0, 2)).toEqual([broken, passed]);
  expect(report.results.slice(2)).toMatchObject([{ suite: 'shard 3/3', status: 'skip', notRun: true }]);
  expect(reportExitCode(report)).toBe(130);
});

test('a shard that Slurm killed before it could write a report has its events', async () => {
  fakes.cancel.mockImplementationOnce(async () => {
    await leave(1, []);
    const attempt = path.join(folder, 'shard-1', 'attempt-0');
    await rm(path.join(attempt, 'report.json'));
    const events = [{ type: 'run-start', ...SAMPLE_REPORT }, { type: 'test-end', result: broken }, { type: 'test-e' }];
    await writeFile(path.join(attempt, 'events.jsonl'), events.map((event) => `${JSON.stringify(event)}\n`).join(''));
    fakes.taskStates.mockResolvedValue(undefined);
  });
  vi.spyOn(performance, 'now').mockImplementation(() => Date.now() * 100);
  const running = run();
  await vi.waitFor(() => expect(fakes.taskStates).toHaveBeenCalled());
  end.abort(new Interruption('SIGINT told the rig to stop.'));
  const report = await running;
  vi.restoreAllMocks();
  expect(report.cutShort?.how).toBe('interrupted');
  expect(report.results[0]).toEqual(broken);
});

test('by an error: what was judged is kept, and what is missing is an error', async () => {
  fakes.taskStates.mockImplementationOnce(() => leave(2, [passed]).then(() => []));
  const failure = new RigError('infrastructure', 'squeue failed');
  vi.spyOn(performance, 'now').mockImplementation(() => Date.now() + 1e9 * fakes.taskStates.mock.calls.length);
  fakes.taskStates.mockRejectedValueOnce(failure);
  const report = await run();
  vi.restoreAllMocks();
  expect(report.cutShort).toEqual({ how: 'failed', message: 'squeue failed' });
  expect(report.results.slice(0, 2)).toEqual([broken, passed]);
  expect(report.results.at(-1)).toMatchObject({ suite: 'shard 3/3', status: 'error' });
  expect(reportExitCode(report)).toBe(3);
});
