/** `dgpu-rig report`: of a file it needs no history, as a CI job may have none, or one that can't be used. */
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import path from 'node:path';
import { beforeEach, expect, onTestFinished, test, vi } from 'vitest';
import { reportVerb } from '../../../src/cli/verbs/report-verb.ts';
import { kcidbDocument } from '../../../src/report/formats/kcidb-schema.ts';
import { History } from '../../../src/report/past/history.ts';
import { runReport, type RunReport } from '../../../src/report/run-report.ts';
import { SAMPLE_REPORT } from '../report/sample-report.ts';

let folder: string;
let printed: string;

/** The history has the results of a rig that was killed, and no room for them. */
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'dgpu-rig-report-'));
  const history = path.join(folder, 'history');
  await mkdir(path.join(history, 'index.jsonl'), { recursive: true });
  await mkdir(path.join(history, 'unfinished'));
  const ended = SAMPLE_REPORT.results.map((result) => ({ type: 'test-end', result }));
  const events = [{ type: 'run-start', ...SAMPLE_REPORT }, ...ended];
  const name = `${hostname()}:999999999:1.jsonl`;
  await writeFile(path.join(history, 'unfinished', name), events.map((event) => JSON.stringify(event)).join('\n'));
  vi.stubEnv('DGPU_RIG_HISTORY', history);
  printed = '';
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => (printed += String(text)).length > 0);
  onTestFinished(async () => {
    vi.restoreAllMocks();
    vi.unstubAllEnvs();
    await rm(folder, { recursive: true });
  });
});

async function fileOf(name: string, report: RunReport): Promise<string> {
  const file = path.join(folder, name);
  await writeFile(file, JSON.stringify(runReport.parse(report)));
  return file;
}

test('of a file', async () => {
  expect(await reportVerb([await fileOf('a.json', SAMPLE_REPORT)], {})).toBe(0);
  expect(printed).toContain('3 passed, 2 failed');
  expect(await readdir(path.join(folder, 'history/unfinished'))).toHaveLength(1);
});

test('of the shards of a run', async () => {
  const shards = [1, 2].map((index) => fileOf(`${String(index)}.json`, { ...SAMPLE_REPORT, shard: { index, of: 2 } }));
  expect(await reportVerb(await Promise.all(shards), { merge: true })).toBe(3);
  expect(printed).toContain('6 passed, 4 failed');
});

test('of a recorded run says what is wrong with the history', async () => {
  await expect(reportVerb([], {})).rejects.toMatchObject({
    failureClass: 'infrastructure',
    message: expect.stringContaining("can't be used") as string,
  });
});

test('of a recorded run writes what became of its tests, and what a dashboard takes', async () => {
  const recorded = path.join(folder, 'recorded');
  vi.stubEnv('DGPU_RIG_HISTORY', recorded);
  const history = History.open(recorded);
  for (let run = 1; run <= 33; run += 1) history.record(runReport.parse({ ...SAMPLE_REPORT, startedAt: dayOf(run) }));
  const [trend, kcidb] = [path.join(folder, 'trend.html'), path.join(folder, 'kcidb.json')];
  expect(await reportVerb(['32'], { trend, kcidb })).toBe(0);
  expect(printed).toBe('');
  // Up to the one that is meant; of those the latest 30.
  const runs = Array.from(
    (await readFile(trend, 'utf8')).matchAll(/<th scope="col" title="[^"]*UTC">(\d+)</g),
    ([, id]) => Number(id),
  );
  expect([Math.max(...runs), Math.min(...runs)]).toEqual([32, 3]);
  const sent = kcidbDocument.parse(JSON.parse(await readFile(kcidb, 'utf8')));
  // The figures of a bench are tests, too.
  expect(sent.tests.filter(({ number }) => number === undefined)).toHaveLength(SAMPLE_REPORT.results.length);
});

function dayOf(run: number): string {
  return new Date(Date.UTC(2026, 9, run)).toISOString();
}
