/** A kernel bug, or an unknown warning, is found again in earlier runs, also of a kernel that was built anew. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { History } from '../../../src/report/past/history.ts';
import {
  placeholderResult,
  type ReportedKernelBug,
  type RunReport,
  type TestResult,
} from '../../../src/report/run-report.ts';
import { SAMPLE_REPORT } from './sample-report.ts';

async function temporaryHistory(): Promise<{ history: History; folder: string; told: string[] }> {
  const folder = await mkdtemp(path.join(tmpdir(), 'dgpu-rig-test-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const told: string[] = [];
  return { history: History.open(folder, (text) => told.push(text)), folder, told };
}

/** KASAN's, of a function that is called by another; the offsets differ from one build of the kernel to the next. */
function kasan(where: string, caller: string, offset = '0x4d/0x1d0'): ReportedKernelBug {
  const title = `BUG: KASAN: slab-use-after-free in ${where}+${offset} [ttm]`;
  const lines = [title, 'Call Trace:', ' <TASK>', ` ${where}+${offset} [ttm]`, ` ${caller}+${offset} [edgpu]`];
  return {
    ...{ kind: 'kasan', severity: 'bug', title, lines },
    ...{ fatal: false, expected: false, count: 1, where: `${where}+${offset} [ttm]` },
  };
}

function runWith(found: Partial<TestResult>): RunReport {
  const result = { ...placeholderResult({ suite: 'swap', test: 'a', status: 'fail', message: '' }), ...found };
  return { ...SAMPLE_REPORT, results: [result] };
}

/** As `seen in` tells them of the first bug or warning of the run. */
function seenIn({ report: { results } }: { report: RunReport }): readonly number[] | undefined {
  const { kernelReports, warnings = [] } = results[0] ?? { kernelReports: [] };
  return (kernelReports[0] ?? warnings[0])?.seenIn?.runs;
}

async function linesOf(index: string): Promise<object[]> {
  const lines = (await readFile(index, 'utf8')).split('\n').filter((line) => line !== '');
  return lines.map((line) => JSON.parse(line) as object);
}

describe('a kernel bug', () => {
  const bugIn = (...kernelReports: ReportedKernelBug[]): RunReport => runWith({ kernelReports });

  test('was seen in the runs that have the same kind in the same function, whatever its offset', async () => {
    const { history } = await temporaryHistory();
    expect(seenIn(history.record(bugIn(kasan('ttm_bo_release', 'edgpu_free'))))).toBeUndefined();
    expect(seenIn(history.record(bugIn(kasan('ttm_bo_init', 'edgpu_free'))))).toBeUndefined();
    expect(seenIn(history.record(bugIn(kasan('ttm_bo_release', 'edgpu_free', '0x5e/0x1f0'))))).toEqual([1]);
    const again = history.record(bugIn(kasan('ttm_bo_release', 'edgpu_free')));
    expect(again.id).toBe(4);
    expect(seenIn(again)).toEqual([1, 3]);
    expect(history.run(4)?.report).toEqual(again.report);
  });

  test('is another one with another kind, caller or condition', async () => {
    const { history } = await temporaryHistory();
    const one = kasan('ttm_bo_release', 'edgpu_free');
    history.record(bugIn(one));
    expect(seenIn(history.record(bugIn({ ...one, kind: 'kfence' })))).toBeUndefined();
    expect(seenIn(history.record(bugIn(kasan('ttm_bo_release', 'edgpu_move'))))).toBeUndefined();
    const title = one.title.replace('slab-use-after-free', 'slab-out-of-bounds');
    expect(seenIn(history.record(bugIn({ ...one, title })))).toBeUndefined();
  });

  test('that a test provoked is none, neither then nor now', async () => {
    const { history } = await temporaryHistory();
    const one = kasan('ttm_bo_release', 'edgpu_free');
    history.record(bugIn({ ...one, expected: true }));
    expect(seenIn(history.record(bugIn(one)))).toBeUndefined();
    expect(seenIn(history.record(bugIn({ ...one, expected: true })))).toBeUndefined();
    const note = { ...one, severity: 'note' } as const;
    expect(seenIn(history.record(bugIn(note)))).toBeUndefined();
  });

  test('that comes all the time has its first run and the latest, and how many there are', async () => {
    const { history } = await temporaryHistory();
    const bug = bugIn(kasan('ttm_bo_release', 'edgpu_free'));
    for (let run = 0; run < 14; run++) history.record(bug);
    const [seen] = history.record(bug).report.results[0]?.kernelReports ?? [];
    expect(seen?.seenIn).toEqual({ count: 14, runs: [1, 6, 7, 8, 9, 10, 11, 12, 13, 14] });
  });
});

test('a warning that nobody knows was seen in the runs that have it with other numbers', async () => {
  const { history } = await temporaryHistory();
  const warned = (text: string): RunReport => runWith({ warnings: [{ level: 4, text, count: 1 }] });
  history.record(warned('foo 0000:00:05.0: odd 0x12'));
  history.record(warned('foo 0000:00:05.0: even 0x12'));
  expect(seenIn(history.record(warned('foo 0000:00:06.0: odd 0x1f')))).toEqual([1]);
});

describe('a history', () => {
  const bug = runWith({ kernelReports: [kasan('ttm_bo_release', 'edgpu_free')] });

  test('with a damaged record has the bug in all others', async () => {
    const { history, folder, told } = await temporaryHistory();
    for (let run = 0; run < 3; run++) history.record(bug);
    await writeFile(path.join(folder, '2.json'), '{"schema": 1, "results": [{"kernelReports": 7}]');
    await rm(path.join(folder, 'index.jsonl'));
    expect(seenIn(history.record(bug))).toEqual([1, 3]);
    expect(told).toEqual([expect.stringContaining('record of run 2')]);
  });

  test('with a damaged line in its index has it from the file of the run', async () => {
    const { history, folder, told } = await temporaryHistory();
    for (let run = 0; run < 3; run++) history.record(bug);
    const index = path.join(folder, 'index.jsonl');
    const [one = {}, two = {}, three = {}] = await linesOf(index);
    const text = [{ ...one, seen: 7 }, three, two].map((line) => JSON.stringify(line)).join('\n');
    await writeFile(index, text.slice(0, -10));
    expect(seenIn(history.record(bug))).toEqual([1, 2, 3]);
    expect(told).toEqual([]);
  });

  test('whose index does not tell is read file by file, and only once', async () => {
    const { history, folder, told } = await temporaryHistory();
    history.record(bug);
    const index = path.join(folder, 'index.jsonl');
    const lines = await linesOf(index);
    // As an earlier version of the rig wrote it.
    await writeFile(index, lines.map((line) => `${JSON.stringify({ ...line, seen: undefined })}\n`).join(''));
    expect(seenIn(history.record(bug))).toEqual([1]);
    await writeFile(path.join(folder, '1.json'), 'not even JSON');
    expect(seenIn(history.record(bug))).toEqual([1, 2]);
    expect(told).toEqual([]);
  });
});
