/** Runs that were recorded are found again, also by another process, and one bad file costs one run. */
import { appendFile, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { execa } from 'execa';
import { expect, onTestFinished, test } from 'vitest';
import { repositoryPath } from '../../../src/config/paths.ts';
import { History } from '../../../src/report/past/history.ts';
import type { RunReport } from '../../../src/report/run-report.ts';
import { SAMPLE_REPORT } from './sample-report.ts';

function run(version: string, rig = 'c0ffee'): RunReport {
  return { ...SAMPLE_REPORT, rig, kernel: { version, patches: [] } };
}

async function temporaryHistory(): Promise<{ history: History; folder: string; told: string[] }> {
  const parent = await mkdtemp(path.join(tmpdir(), 'dgpu-rig-test-'));
  onTestFinished(() => rm(parent, { recursive: true }));
  const folder = path.join(parent, 'new/history');
  const told: string[] = [];
  return { history: History.open(folder, (text) => told.push(text)), folder, told };
}

function idsOf(runs: Iterable<{ readonly id: number }>): number[] {
  return [...runs].map(({ id }) => id);
}

test('gives back what was recorded, newest first, also to another process', async () => {
  const { history, folder } = await temporaryHistory();
  const reports = ['7.3.4-1', '7.3.5', '/src/linux at 0123456789ab'].map((version, index) =>
    run(version, `c0ffee${String(index)}`),
  );
  const recorded = reports.map((report) => history.record(report));
  expect(idsOf(recorded)).toEqual([1, 2, 3]);
  const other = History.open(folder);
  expect(idsOf(other.runs())).toEqual([3, 2, 1]);
  expect(idsOf(other.runs(3))).toEqual([2, 1]);
  expect(other.run(2)).toEqual(recorded[1]);
  expect(other.run(4)).toBeUndefined();
  expect(other.entries()[0]).toMatchObject({ id: 3, suites: ['smoke', 'mmap'], summary: SAMPLE_REPORT.summary });
});

test('a run is found by its kernel or the commit of the rig', async () => {
  const { history } = await temporaryHistory();
  for (const version of ['7.3.4-1', '7.3.5', '/src/linux at 0123456789ab'])
    history.record(run(version, `rig ${version}`));
  const find = (kernel: string, rigCommit?: string, before = Infinity): number | undefined =>
    history.newestOf({ kernel, ...(rigCommit === undefined ? {} : { rigCommit }) }, before)?.id;
  expect(find('7.3.4')).toBe(1);
  expect(find('7.3')).toBeUndefined();
  expect(find('0123456')).toBe(3);
  expect(find('nothing', 'rig 7.3.5')).toBe(2);
  expect(find('7.3.4', undefined, 1)).toBeUndefined();
});

test('a run is read when it is asked for: who wants the latest reads no other', async () => {
  const { history, folder, told } = await temporaryHistory();
  for (const version of ['7.3.1', '7.3.2']) history.record(run(version));
  await writeFile(path.join(folder, '1.json'), '{');
  for (const { id } of history.runs()) {
    expect(id).toBe(2);
    break;
  }
  expect(told).toEqual([]);
});

test('one file that is bad costs one run, and is told of once', async () => {
  const { history, folder, told } = await temporaryHistory();
  for (const version of ['7.3.1', '7.3.2', '7.3.3']) history.record(run(version));
  await writeFile(path.join(folder, '2.json'), '{"schema": 2}');
  expect(idsOf(history.runs())).toEqual([3, 1]);
  expect(idsOf(history.runs())).toEqual([3, 1]);
  expect(told).toEqual([expect.stringMatching(/record of run 2 can't be read: .*schema/s)]);
  expect(() => history.run(2)).toThrow(expect.objectContaining({ failureClass: 'infrastructure' }) as Error);
  expect(history.newestOf({ kernel: '7.3.2' }, Infinity)).toBeUndefined();
  expect(history.record(run('7.3.4')).id).toBe(4);
});

test('an index that is torn or gone costs nothing', async () => {
  const { history, folder } = await temporaryHistory();
  for (const version of ['7.3.1', '7.3.2']) history.record(run(version));
  const before = history.entries();
  await rm(path.join(folder, 'index.jsonl'));
  expect(history.entries()).toEqual(before);
  await appendFile(path.join(folder, 'index.jsonl'), '{"id":1,"kern');
  expect(history.entries()).toEqual(before);
  await rm(path.join(folder, '1.json'));
  expect(idsOf(history.entries())).toEqual([2]);
});

test('rigs that record at the same time get a number each', { timeout: 60_000 }, async () => {
  const { history, folder } = await temporaryHistory();
  const code = `
    const { History } = await import(${JSON.stringify(repositoryPath('src/report/past/history.ts'))});
    const history = History.open(${JSON.stringify(folder)});
    for (let run = 0; run < 20; run++) history.record(${JSON.stringify(run('7.3.4'))});`;
  const loader = repositoryPath('node_modules/tsx/dist/loader.mjs');
  const start = (): Promise<unknown> => execa('node', ['--import', loader, '--input-type=module', '-e', code]);
  await Promise.all([start(), start()]);
  expect(idsOf(history.runs())).toEqual(Array.from({ length: 40 }, (_, index) => 40 - index));
  expect(history.entries()).toHaveLength(40);
  expect((await readdir(folder)).filter((name) => name.endsWith('.tmp'))).toEqual([]);
});

test('looking makes nothing, and what is no folder is told of, with a remedy', async () => {
  const { history, folder } = await temporaryHistory();
  expect(history.entries()).toEqual([]);
  await expect(readdir(path.dirname(folder))).rejects.toThrow('ENOENT');
  const file = path.join(path.dirname(path.dirname(folder)), 'file');
  await writeFile(file, 'a database');
  const other = History.open(file);
  expect(() => other.entries()).toThrow(/can't be used/);
  expect(() => other.record(run('7.3.4'))).toThrow(/can't be used/);
});
