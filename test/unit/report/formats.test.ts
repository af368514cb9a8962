/** One run, rendered in every format: what each says of a verdict, and that no text breaks it. */
import { readFileSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { openEventLog } from '../../../src/report/live/event-log.ts';
import { htmlReport } from '../../../src/report/html/html-report.ts';
import { timeChart } from '../../../src/report/html/html-charts.ts';
import { junitReport } from '../../../src/report/formats/junit-report.ts';
import { ktapReport } from '../../../src/report/formats/ktap-report.ts';
import { writeReports } from '../../../src/report/formats/report-files.ts';
import { failuresText } from '../../../src/report/text/failures-text.ts';
import { placeholderResult, runReport, type TestResult } from '../../../src/report/run-report.ts';
import { SAMPLE_REPORT } from './sample-report.ts';

async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'dgpu-rig-formats-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  return folder;
}

test('the sample is what the JSON schema says', () => {
  expect(runReport.parse(SAMPLE_REPORT)).toEqual(SAMPLE_REPORT);
});

test('a warning that nobody knows is in every format', () => {
  for (const text of [junitReport(SAMPLE_REPORT), ktapReport(SAMPLE_REPORT), htmlReport(SAMPLE_REPORT, '/work')]) {
    expect(text.replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&amp;', '&')).toContain(
      'unknown error (2 times, seen in run 7): edgpu: <odd> & more',
    );
  }
});

test('the runs that had the same kernel bug are in every format', () => {
  const seen = 'kasan, in ttm_bo_release+0x4d/0x1d0 [ttm], 3 times, seen in runs 7, 9, 12';
  for (const text of [junitReport(SAMPLE_REPORT), ktapReport(SAMPLE_REPORT), htmlReport(SAMPLE_REPORT, '/work')]) {
    expect(text).toContain(seen);
  }
  expect(failuresText(SAMPLE_REPORT.results)).toContain(`      second line\n      ${seen}\n`);
});

describe('JUnit', () => {
  const xml = junitReport(SAMPLE_REPORT);

  test('counts a wrong claim as a failure and what could not be judged as an error', () => {
    expect(xml).toContain('<testsuites tests="6" failures="1" errors="1" skipped="2"');
    expect(xml).toContain('<testsuite name="smoke" tests="3" failures="1" errors="0" skipped="1"');
    expect(xml).toMatch(/<failure message="[^"]*" type="kernel">/);
    expect(xml).toMatch(/<error message="no answer" type="timeout">no answer<\/error>/);
  });

  test('escapes what XML gives a meaning, and replaces what it has no way to say', () => {
    expect(xml).toContain("&lt;b&gt;&quot;it's&quot; &amp; \uFFFD # bell&lt;/b&gt;&#10;second line");
    expect(xml).not.toMatch(/[^\t\n\r\u0020-\uFFFD]/);
    expect(xml.match(/<testcase /g)).toHaveLength(6);
    expect(xml.match(/<\/testcase>/g)).toHaveLength(6);
  });

  test('has the text of kernel reports, and where the artifacts are', () => {
    expect(xml).toContain(
      '<system-err>kasan, in ttm_bo_release+0x4d/0x1d0 [ttm], 3 times, seen in runs 7, 9, 12&#10;BUG: KASAN',
    );
    expect(xml).toContain('<property name="artifacts" value="/work/artifacts/one"/>');
  });
});

describe('KTAP', () => {
  const lines = ktapReport(SAMPLE_REPORT).split('\n');

  test('nests suites, and says each verdict in the words of the format', () => {
    expect(lines.filter((line) => !line.includes('# ') || line.includes('ok '))).toMatchInlineSnapshot(`
      [
        "KTAP version 1",
        "1..2",
        "  KTAP version 1",
        "  1..3",
        "  ok 1 dma-bits 40 > keeps objects machine=tiers dmaBits=40 backend=shmem",
        "  not ok 2 dma-bits 48 > keeps objects machine=tiers dmaBits=48 backend=shmem",
        "  ok 3 dma-bits 32 > keeps objects machine=tiers dmaBits=32 backend=shmem # XFAIL Expected until 2027-01-01: <b>"it's" &   bell</b>",
        "not ok 1 smoke",
        "  KTAP version 1",
        "  1..3",
        "  not ok 1 survives machine=tiers dmaBits=40 backend=shmem # TIMEOUT no answer",
        "  ok 2 is skipped machine=tiers dmaBits=40 backend=shmem # SKIP an IOMMU translates",
        "  ok 3 is measured machine=tiers dmaBits=40 backend=shmem",
        "not ok 2 mmap",
        "",
      ]
    `);
  });

  test('names a test alike in two runs, and says by a diagnostic what chance was', () => {
    const results = SAMPLE_REPORT.results.map((result) => ({ ...result, params: { ...result.params, seed: 2 } }));
    const names = (report: typeof SAMPLE_REPORT): string[] =>
      ktapReport(report)
        .split('\n')
        .filter((line) => /^ *(not )?ok /.test(line));
    expect(names({ ...SAMPLE_REPORT, results })).toEqual(names(SAMPLE_REPORT));
    expect(lines).toContain('  # seed: 1');
  });

  test('text never becomes a directive, and a line never two', () => {
    expect(lines.filter((line) => / # (SKIP|XFAIL|TIMEOUT|ERROR)/.test(line))).toHaveLength(3);
    expect(lines.every((line) => /^(KTAP version 1|1\.\.\d+|(not )?ok \d+ .*|# .*|#|)$/.test(line.trimStart()))).toBe(
      true,
    );
  });
});

describe('HTML', () => {
  const page = htmlReport(SAMPLE_REPORT, '/work');

  test('needs nothing from anywhere', () => {
    expect(page).not.toMatch(/(src|href)="(https?:)?\/\//);
    expect(page).not.toMatch(/<(script|link|img|iframe)\b|@import|url\(/);
  });

  test('escapes what a test or a kernel said', () => {
    expect(page).toContain('&lt;b&gt;&quot;it&#39;s&quot; &amp; \u0007 # bell&lt;/b&gt;\nsecond line');
    expect(page).not.toContain('<b>"it');
    expect(page).toContain(' &lt;TASK&gt;');
  });

  test('links the artifacts relative to itself', () => {
    expect(page).toContain('<a href="artifacts/one/serial.log">serial.log</a>');
  });

  test('links what led to a failure, and says what opens a line of time', () => {
    const evidence = ['timeline.json', 'trace.txt'];
    const results = SAMPLE_REPORT.results.map((result) => {
      return result.artifacts === undefined ? result : { ...result, evidence };
    });
    const traced = htmlReport({ ...SAMPLE_REPORT, results }, '/work');
    for (const name of evidence) expect(traced).toContain(`<a href="artifacts/one/${name}">${name}</a>`);
    expect(traced).toContain('timeline.json is for <a href="https://ui.perfetto.dev">ui.perfetto.dev</a>.');
    expect(page).not.toContain('perfetto');
  });
});

test('each format goes to the file that is named for it, and only those', async () => {
  const folder = await temporaryFolder();
  const json = path.join(folder, 'a.json');
  await writeReports({ json, ktap: path.join(folder, 'a.ktap') }, SAMPLE_REPORT);
  expect(runReport.parse(JSON.parse(await readFile(json, 'utf8')))).toEqual(SAMPLE_REPORT);
  expect(await readFile(path.join(folder, 'a.ktap'), 'utf8')).toBe(ktapReport(SAMPLE_REPORT));
  await expect(writeReports({ html: path.join(folder, 'no/such') }, SAMPLE_REPORT)).rejects.toMatchObject({
    failureClass: 'infrastructure',
  });
});

test('the event log has every event on a line of its own, at once', async () => {
  const file = path.join(await temporaryFolder(), 'events.jsonl');
  const log = openEventLog(file, () => undefined);
  log({ type: 'notice', text: 'one\ntwo' });
  log({ type: 'run-end', summary: SAMPLE_REPORT.summary, exitCode: 3 });
  const events = readFileSync(file, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line): unknown => JSON.parse(line));
  expect(events).toMatchObject([
    { type: 'notice', text: 'one\ntwo' },
    { type: 'run-end', exitCode: 3 },
  ]);
  expect(() => openEventLog('/no/such/folder/x', () => undefined)).toThrow(
    expect.objectContaining({ failureClass: 'usage' }) as Error,
  );
});

test('an event log that is full ends, is told of once, and costs no verdict', () => {
  const told: string[] = [];
  const log = openEventLog('/dev/full', (text) => told.push(text));
  log({ type: 'notice', text: 'one' });
  log({ type: 'notice', text: 'two' });
  expect(told).toEqual([expect.stringContaining('no space left on device')]);
});

test('a rendering that fails takes none of the others with it', async () => {
  const folder = await temporaryFolder();
  const html = path.join(folder, 'a.html');
  await expect(writeReports({ json: path.join(folder, 'no/such'), html }, SAMPLE_REPORT)).rejects.toThrow('no/such');
  expect(await readFile(html, 'utf8')).toContain('dgpu-rig');
});

test('a run that did not come to its end is not green', () => {
  const report = { ...SAMPLE_REPORT, results: [], summary: { pass: 1, fail: 0, skip: 0, error: 0, xfail: 0 } };
  const page = htmlReport(
    { ...report, cutShort: { how: 'interrupted', message: 'SIGINT told the rig to stop.' } },
    '/',
  );
  expect(page).toContain('<h1 class="fail">Interrupted</h1>');
  expect(page).toContain('SIGINT told the rig to stop.');
});

test('each result has a place of its own in the HTML report, whatever others are called', () => {
  const named = (name: string, flavour: string): TestResult => {
    return { ...placeholderResult({ suite: 'swap', test: name, status: 'pass', message: '' }), params: { flavour } };
  };
  const results = [named('kept', 'plain'), named('kept', 'kasan'), named('a ≤ b', 'plain'), named('a ≥ b', 'plain')];
  const page = htmlReport({ ...SAMPLE_REPORT, results }, '/');
  const ids = Array.from(page.matchAll(/ id="(swap[^"]*)"/g), ([, id]) => id);
  expect(new Set(ids).size).toBe(4);
  const links = Array.from(page.matchAll(/href="#(swap[^"]*)"/g), ([, id]) => id);
  expect(links.toSorted()).toEqual(ids.toSorted());
});

test('a test of days is drawn, though it has more samples than a function may have arguments', () => {
  const samples = Array.from({ length: 3 * 86_400 }, (_, index) => index);
  expect(() => timeChart('Memory', samples, [{ name: 'a', values: samples }])).not.toThrow();
});
