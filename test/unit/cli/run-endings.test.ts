/**
 * Whatever ends a run, what it has judged by then is kept: files, record, table, and the exit code of the worst of it.
 */
import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Command } from 'commander';
import type { RunOptions } from '../../../src/cli/options/option-table.ts';
import { runVerb } from '../../../src/cli/run/run-verb.ts';
import type { VitestRequest } from '../../../src/cli/run/vitest-run.ts';
import { reportVerb } from '../../../src/cli/verbs/report-verb.ts';
import { Interruption } from '../../../src/cli/session.ts';
import type { Plan } from '../../../src/config/plan.ts';
import type { RunRequest } from '../../../src/plan/prepare-run.ts';
import { reportOfEvents } from '../../../src/report/live/unfinished-run.ts';
import { History } from '../../../src/report/past/history.ts';
import { runReport, type RunReport, type TestResult } from '../../../src/report/run-report.ts';
import { RigError } from '../../../src/util/rig-error.ts';
import { CapturedSession } from './captured-session.ts';

const fakes = vi.hoisted(() => ({
  /** Builds the rig of a flavour, or fails. */
  prepareRun: vi.fn<(request: RunRequest) => Promise<unknown>>(),
  /** Judges tests. */
  runVitest: vi.fn<(request: VitestRequest) => Promise<unknown>>(),
}));
vi.mock('../../../src/plan/prepare-run.ts', async (original) => ({ ...(await original<object>()), ...fakes }));
vi.mock('../../../src/cli/run/vitest-run.ts', () => fakes);

const result = (status: TestResult['status'], failure?: TestResult['failure']): TestResult => {
  const said = failure && { failure, message: failure };
  return { suite: 'smoke', test: 'a', params: {}, status, durationMs: 1, metrics: {}, kernelReports: [], ...said };
};

/** With this vitest, whatever the suites are. */
function vitestThat(judges: readonly TestResult[], then: () => void = () => undefined): void {
  fakes.runVitest.mockImplementation((request) => {
    for (const judged of judges) request.onResult?.(judged, true);
    then();
    return Promise.resolve({ results: judges, failures: judges.flatMap(({ failure }) => failure ?? []) });
  });
}

function rigOf({ selection }: RunRequest, folder: string): unknown {
  const kernel = { version: '7.3.4', patches: [] };
  const build = { kernel, qemu: { version: '10.0.13' } };
  return {
    build,
    sources: {},
    fresh: [],
    accelerator: 'tcg',
    acceleration: { accelerator: 'tcg' },
    selection,
    startedAt: '2026-11-21',
    artifacts: folder,
  };
}

const OPTIONS: RunOptions = {
  ...{ machine: 'tiers', dmaBits: [32], accel: 'tcg', keep: false, flavour: 'plain', backend: 'shmem', maxVms: 1 },
  plan: 'three kernels',
};

const PLAN: Plan = {
  ...{
    name: 'three kernels',
    description: '',
    suites: ['smoke', 'swap'],
    except: [],
    brief: true,
    forMs: undefined,
    matrix: undefined,
  },
  flavours: ['plain', 'kasan', 'failslab'],
};
vi.mock('../../../src/config/plan.ts', async (original) => ({
  ...(await original<object>()),
  loadPlans: () => Promise.resolve({ plans: [PLAN], factors: {}, impossible: [] }),
}));

let session: CapturedSession;

beforeEach(async () => {
  session = await CapturedSession.open();
  fakes.prepareRun.mockImplementation((request) => Promise.resolve(rigOf(request, session.folder)));
});

afterEach(() => session.close());

interface Ended {
  readonly exitCode: number;
  readonly json: RunReport;
  readonly recorded: RunReport | undefined;
}

async function run(options: Partial<RunOptions> = {}): Promise<Ended> {
  const json = path.join(session.folder, 'r.json');
  const exitCode = await runVerb([], { ...OPTIONS, json, ...options }, session, new Command());
  const [latest] = History.open(path.join(session.folder, 'history')).runs();
  return { exitCode, json: runReport.parse(JSON.parse(await readFile(json, 'utf8'))), recorded: latest?.report };
}

test('a plan that is brief says so to each suite', async () => {
  vitestThat([result('pass')]);
  await run();
  expect(fakes.runVitest.mock.calls.map(([{ rig }]) => rig.selection.brief)).toContain(true);
});

test('a kernel bug that an earlier run had is told with the number of that run, wherever it is told', async () => {
  const title = 'BUG: KASAN: slab-use-after-free in f+0x1/0x2';
  const said = { kind: 'kasan', severity: 'bug' as const, title, lines: [], where: 'f+0x1/0x2' };
  const kernelReports = [{ ...said, fatal: false, expected: false, count: 1 }];
  vitestThat([{ ...result('fail', 'kernel'), kernelReports }]);
  await run();
  expect(session.printed).not.toContain('seen in');
  const { json, recorded } = await run();
  expect(json.results[0]?.kernelReports[0]?.seenIn).toEqual({ count: 1, runs: [1] });
  expect(recorded).toEqual(json);
  expect(session.printed).toContain('kasan, in f+0x1/0x2, seen in run 1\n');
  session.printed = '';
  await reportVerb([], {});
  expect(session.printed).toContain('kasan, in f+0x1/0x2, seen in run 1\n');
  // A report says of which run it is.
  expect(session.printed).toMatch(/^Run 2 of 2026-11-21/);
  session.printed = '';
  await reportVerb(['1'], {});
  expect(session.printed).toMatch(/^Run 1 of 2026-11-21/);
});

describe('a kernel of the plan that does not build', () => {
  beforeEach(() => {
    fakes.prepareRun.mockImplementation((request) => {
      if (request.selection.flavour !== 'kasan') return Promise.resolve(rigOf(request, session.folder));
      const remedy = { remedy: 'Make room.' };
      return Promise.reject(new RigError('infrastructure', 'Building Linux failed: No space left on device', remedy));
    });
  });

  test.for([
    ['a kernel bug', result('fail', 'kernel'), 3],
    ['a failed test', result('fail', 'test'), 1],
    ['nothing', result('pass'), 4],
  ] as const)('does not take away %s that was found before', async ([, judged, code]) => {
    vitestThat([judged]);
    const { exitCode, json, recorded } = await run();
    expect(exitCode).toBe(code);
    expect(json.results[0]).toEqual(judged);
    expect(json.results.at(-1)).toMatchObject({ failure: 'infrastructure', test: '(outside of any test)' });
    expect(json.results.at(-1)?.message).toContain('No space left on device');
    expect(json.cutShort?.how).toBe('failed');
    expect(recorded).toEqual(json);
    expect(session.printed).toContain('smoke › a');
    expect(session.printed).toContain('Make room.');
    expect(session.printed).not.toContain('bug of the rig');
  });

  test('leaves what was not begun in the report, and out of its judgement', async () => {
    vitestThat([result('pass')]);
    const { json } = await run();
    const missing = json.results.filter(({ notRun }) => notRun);
    expect(missing.map(({ suite, params }) => `${suite} ${String(params['flavour'])}`)).toContain('swap failslab');
    expect(missing.every(({ status }) => status === 'skip')).toBe(true);
    expect(missing.some(({ params }) => params['flavour'] === 'plain')).toBe(false);
  });

  test('is told as ever when nothing was judged before', async () => {
    fakes.prepareRun.mockRejectedValue(new RigError('usage', 'The series does not fit.'));
    await expect(run()).rejects.toThrow('The series does not fit.');
  });
});

describe('Ctrl-C', () => {
  const interrupt = (): never => {
    session.end.abort(new Interruption('SIGINT told the rig to stop.'));
    throw session.end.signal.reason as Error;
  };

  test('keeps what was judged, says that it came, and is the exit code', async () => {
    vitestThat([result('pass'), result('fail', 'kernel')], interrupt);
    const { exitCode, json, recorded } = await run();
    expect(exitCode).toBe(130);
    expect(json.cutShort).toEqual({ how: 'interrupted', message: 'SIGINT told the rig to stop.' });
    expect(json.results.slice(0, 2)).toEqual([result('pass'), result('fail', 'kernel')]);
    expect(json.summary).toMatchObject({ pass: 1, fail: 1, error: 0 });
    expect(recorded).toEqual(json);
    expect(session.printed).toMatch(/^Interrupted: /m);
    expect(session.printed).toMatch(/1 passed, 1 failed\n$/);
  });

  test('is in the log of events', async () => {
    vitestThat([result('pass')], interrupt);
    const jsonl = path.join(session.folder, 'events');
    await run({ jsonl });
    const lines = readFileSync(jsonl, 'utf8').trimEnd().split('\n');
    expect(JSON.parse(lines.at(-1) ?? '')).toMatchObject({ type: 'run-end', exitCode: 130 });
  });

  test('before anything is judged records nothing, and is in the files that were asked for', async () => {
    vitestThat([], interrupt);
    const { exitCode, json, recorded } = await run();
    expect(exitCode).toBe(130);
    expect(json.cutShort?.how).toBe('interrupted');
    expect(recorded).toBeUndefined();
  });

  test('in a later round of --for takes nothing away from the ones before', async () => {
    let round = 0;
    vitestThat([result('pass')], () => {
      if (++round > 3) interrupt();
    });
    const { exitCode, json } = await run({ for: 60_000 });
    expect(exitCode).toBe(130);
    expect(json.results.filter(({ status }) => status === 'pass')).toHaveLength(4);
  });
});

test('an error of the rig that nobody foresaw is no failed test', async () => {
  vitestThat([result('pass')], () => {
    throw new TypeError('x is undefined');
  });
  const { exitCode, json } = await run();
  expect(exitCode).toBe(4);
  expect(json.results.at(-1)?.message).toMatch(/bug of the rig itself.*\nTypeError: x is undefined/);
});

test('a file that cannot be written costs neither record nor table, nor the verdict', async () => {
  const gone = path.join(session.folder, 'gone');
  mkdirSync(gone);
  vitestThat([result('fail', 'kernel')], () => rmSync(gone, { recursive: true, force: true }));
  const { exitCode, json, recorded } = await run({ html: path.join(gone, 'r.html') });
  expect(exitCode).toBe(3);
  expect(recorded?.summary.fail).toBe(3);
  expect(json).toEqual(recorded);
  expect(session.printed).toContain('0 passed, 3 failed');
});

test('each result is on disk as soon as it is there', async () => {
  const unfinished = path.join(session.folder, 'history/unfinished');
  const kept: string[] = [];
  vitestThat([result('fail', 'kernel')], () => {
    for (const name of readdirSync(unfinished)) kept.push(readFileSync(path.join(unfinished, name), 'utf8'));
  });
  await run();
  expect(reportOfEvents(kept[0] ?? '')?.results).toEqual([result('fail', 'kernel')]);
});

test('nothing stays of a run that is recorded but its record', async () => {
  vitestThat([result('pass')]);
  await run();
  expect(await readdir(path.join(session.folder, 'history/unfinished'))).toEqual([]);
});
