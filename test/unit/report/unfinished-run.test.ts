/** The results of a run are on disk as they come, and found by the next rig when theirs was killed. */
import { mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { beginUnfinishedRun, recordUnfinishedRuns, reportOfEvents } from '../../../src/report/live/unfinished-run.ts';
import type { RunFacts, RunReport } from '../../../src/report/run-report.ts';
import { SAMPLE_REPORT } from './sample-report.ts';

const { results } = SAMPLE_REPORT;
const { schema, host, kernel, qemu, startedAt, seed } = SAMPLE_REPORT;
const FACTS: RunFacts = { schema, host, kernel, qemu, startedAt, seed };

let folder: string;
let told: string[];

beforeEach(async () => {
  const root = await mkdtemp(path.join(tmpdir(), 'dgpu-rig-unfinished-'));
  vi.stubEnv('DGPU_RIG_HISTORY', root);
  folder = path.join(root, 'unfinished');
  told = [];
});

afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(path.dirname(folder), { recursive: true });
});

function begin(): ReturnType<typeof beginUnfinishedRun> {
  return beginUnfinishedRun(FACTS, (text) => told.push(text));
}

function found(): RunReport[] {
  const reports: RunReport[] = [];
  recordUnfinishedRuns((report) => reports.push(report));
  return reports;
}

/** As if the process that wrote it were dead: none has the number. */
function killWriter(): string {
  const [name = ''] = readdirSync(folder);
  const dead = path.join(folder, `${hostname()}:4194305:1.jsonl`);
  writeFileSync(dead, readFileSync(path.join(folder, name)));
  return dead;
}

test('a run whose rig was killed has all that was judged, and says what became of it', () => {
  const run = begin();
  for (const result of results) run.add(result);
  killWriter();
  const [report, ...others] = found();
  expect(others).toEqual([]);
  expect(report).toMatchObject({ ...FACTS, results, summary: SAMPLE_REPORT.summary, cutShort: { how: 'killed' } });
});

test('it is recorded once, and the one that is under way is left alone', () => {
  const run = begin();
  for (const result of results) run.add(result);
  killWriter();
  expect(found()).toHaveLength(1);
  expect(found()).toEqual([]);
  expect(readdirSync(folder)).toHaveLength(1);
  run.remove();
  expect(readdirSync(folder)).toEqual([]);
});

test('a line that a power cut left half there costs no other', () => {
  const run = begin();
  for (const result of results) run.add(result);
  const dead = killWriter();
  const text = readFileSync(dead, 'utf8');
  writeFileSync(dead, text.slice(0, -100));
  expect(found()[0]?.results).toEqual(results.slice(0, -1));
});

test('one that had judged nothing is no run, and neither is what is not understood', () => {
  begin();
  killWriter();
  writeFileSync(path.join(folder, `${hostname()}:4194305:2.jsonl`), 'nonsense\n');
  expect(found()).toEqual([]);
  expect(readdirSync(folder)).toHaveLength(1);
});

test("another host's is left to it", () => {
  begin().add(results[0] as never);
  const other = path.join(folder, 'elsewhere:4194305:1.jsonl');
  renameSync(killWriter(), other);
  expect(found()).toEqual([]);
  expect(readdirSync(folder)).toContain('elsewhere:4194305:1.jsonl');
});

test('one that cannot be recorded stays for the next who looks', () => {
  begin().add(results[0] as never);
  killWriter();
  const fail = (): never => {
    throw new Error('the disk is full');
  };
  expect(() => recordUnfinishedRuns(fail)).toThrow('the disk is full');
  expect(found()).toHaveLength(1);
});

test('where nothing can be written, the run goes on without', () => {
  mkdirSync(path.dirname(folder), { recursive: true });
  writeFileSync(folder, 'a file');
  const run = begin();
  run.add(results[0] as never);
  run.remove();
  expect(told.join()).toContain('would be lost');
});

test('events of a run that came to its end are those of a whole one', () => {
  const lines = [
    { type: 'run-start', ...FACTS },
    { type: 'step-start', id: 'a', title: 'b' },
    ...results.map((result) => ({ type: 'test-end', result })),
    { type: 'run-end', summary: SAMPLE_REPORT.summary, exitCode: 3 },
  ];
  expect(reportOfEvents(lines.map((line) => JSON.stringify(line)).join('\n'))).toEqual(SAMPLE_REPORT);
  expect(reportOfEvents(JSON.stringify(SAMPLE_REPORT))).toBeUndefined();
});
