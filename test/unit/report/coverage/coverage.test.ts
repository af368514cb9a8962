/**
 * What the coverage of a program of two files is told to be, from the compiler's own counters: the control of `dgpu-rig
 * coverage`, without a kernel. The program stands for the kernel, and each of its runs for a VM.
 */
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { codeToProfile, collectProfiled, NOTES } from '../../../../src/builds/kernel/profiled-code.ts';
import type { Patch } from '../../../../src/builds/tree/patch-series.ts';
import { writeCoverage } from '../../../../src/report/coverage/coverage-files.ts';
import {
  coverageReport,
  ownersIn,
  readSources,
  type CoverageReport,
  type CoveredLine,
  type Sources,
} from '../../../../src/report/coverage/coverage-report.ts';
import { coverageSummary, coverageTable, patchText } from '../../../../src/report/coverage/coverage-text.ts';
import { readCounts } from '../../../../src/report/coverage/line-counts.ts';
import { buildCounted, DRIVER } from './counted-program.ts';

/** Its second half is of the second patch; line 12 runs with two arguments only, which no suite gives. */
const LIMIT = `int driver(int words);

int limited(int words);
int limited(int words)
{
	return driver(words + 1) - 1;
}

int main(int words, char **arguments)
{
	if (words > 2)
		words = limited(words);
	return driver(words) - words;
}
`;
const DRIVER_SOURCE = `int driver(int words);
int driver(int words)
{
	return words;
}

int unused(void);
int unused(void)
{
	return 1;
}
`;

const lines = LIMIT.trimEnd().split('\n');
const SERIES: Patch[] = [
  patch('0001-first.patch', `@@ -0,0 +1,7 @@\n${lines.slice(0, 7).map(added).join('')}`),
  patch(
    '0004-second.patch',
    `@@ -6,2 +6,9 @@\n \treturn driver(words + 1) - 1;\n }\n${lines.slice(7).map(added).join('')}`,
  ),
];

function patch(name: string, hunks: string): Patch {
  const heading = 'diff --git a/mm/limit.c b/mm/limit.c\n--- a/mm/limit.c\n+++ b/mm/limit.c\n';
  return { name, file: `/patches/${name}`, text: `From: nobody\n\n${heading}${hunks}-- \n2.39.5\n` };
}

function added(line: string): string {
  return `+${line}\n`;
}

let folder = '';
let report: CoverageReport;
let sources: Sources;

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'dgpu-rig-test-'));
  const tree = path.join(folder, 'tree');
  const run = await buildCounted(tree, { 'mm/limit.c': LIMIT, [`${DRIVER}/driver.c`]: DRIVER_SOURCE });
  const counters = path.join(folder, 'counters');
  await run(path.join(counters, 'smoke/one'));
  await run(path.join(counters, 'smoke/two'), ['word']);
  await run(path.join(counters, 'evict/one'), ['word']);
  await mkdir(path.join(counters, 'evict/dead'), { recursive: true });
  const profiled = { folder: path.join(folder, 'profiled'), gcov: 'gcov' };
  await collectProfiled(tree, codeToProfile(SERIES, DRIVER), profiled.folder);
  sources = await readSources(profiled.folder);
  const counts = await readCounts(counters, profiled);
  report = coverageReport({
    ...{ kernel: '7.3.4', series: SERIES, driver: DRIVER, counts },
    sources,
    owners: ownersIn(sources, SERIES),
  });
});
afterAll(() => rm(folder, { recursive: true }));

describe('a line that no test reaches', () => {
  test('is told, with the patch that adds it', () => {
    const row = coverageTable(report, DRIVER)
      .split('\n')
      .find((line) => line.startsWith('0004-second'));
    expect(row).toMatch(/^0004-second +\d\d\.\d % of +\d+ {2}mm\/limit\.c:12$/);
  });

  test('is told apart from the next one where another patch has lines in between', () => {
    const missed = (line: number): CoveredLine => ({ line, count: 0, suites: [] });
    const counts = [missed(3), missed(5), missed(9), missed(10)];
    const part = { file: 'mm/limit.c', lines: 4, covered: 0, counts, added: [3, 4, 5, 9, 10] };
    const patches = [{ patch: '0007-third', lines: 4, covered: 0, files: [part] }];
    expect(coverageTable({ ...report, patches }, DRIVER)).toMatch(/0\.0 % of +4 {2}mm\/limit\.c:3-5,9-10$/m);
  });

  test('is marked among those of its patch', () => {
    const [, second] = report.patches;
    const marked = second
      ? patchText(second, sources)
          .split('\n')
          .filter((line) => line.includes('#####'))
      : [];
    expect(marked).toEqual(['     #####               12  \t\twords = limited(words);']);
  });

  test('of a function that is never called is told by the function, too', () => {
    const driver = report.files.find(({ file }) => file === `${DRIVER}/driver.c`);
    expect(driver?.functions).toMatchObject([
      { name: 'driver', count: 3, suites: ['evict', 'smoke'] },
      { name: 'unused', count: 0, suites: [] },
    ]);
  });
});

test('of a line that is reached, the suites are told that reach it, and how often', () => {
  const main = report.files.find(({ file }) => file === 'mm/limit.c')?.counts.find(({ line }) => line === 11);
  expect(main).toEqual({ line: 11, count: 3, suites: ['evict', 'smoke'] });
});

test('a VM that died is counted as lost', () => {
  expect(report.vms).toEqual({ counted: 3, lost: ['evict/dead'] });
  expect(coverageSummary(report)).toMatch(
    /^series \d\d\.\d % of \d+ lines, driver 50\.0 % of 4 lines, by 2 suites in 3 VMs; 1 VM ended before its counters were fetched$/,
  );
});

test('counters of another build of the kernel are told, and not taken for none', async () => {
  const other = path.join(folder, 'other');
  const notes = path.join(other, NOTES, 'mm/limit.gcno');
  await mkdir(path.dirname(notes), { recursive: true });
  const compile = ['-fprofile-arcs', '-ftest-coverage', '-c', 'mm/limit.c', '-o', path.join(other, 'limit.o')];
  await writeFile(path.join(folder, 'tree/mm/limit.c'), `int more(void);\nint more(void) { return 1; }\n${LIMIT}`);
  await execa('gcc', compile, { cwd: path.join(folder, 'tree') });
  await rename(path.join(other, 'limit.gcno'), notes);
  const reading = readCounts(path.join(folder, 'counters'), { folder: other, gcov: 'gcov' });
  await expect(reading).rejects.toThrow(/gcov can't read the counters: .*mismatch/);
});

test('the files say the same', async () => {
  const file = (name: string): string => path.join(folder, name);
  const files = { json: file('c.json'), html: file('c.html'), lcov: file('c.info'), cobertura: file('c.xml') };
  await writeCoverage(files, { report, driver: DRIVER, sources });
  expect(JSON.parse(await readFile(files.json, 'utf8'))).toEqual(report);
  const lcov = await readFile(files.lcov, 'utf8');
  expect(lcov).toContain('SF:mm/limit.c\n');
  expect(lcov).toMatch(/^DA:12,0$/m);
  expect(lcov).toMatch(/^FNDA:0,unused$/m);
  expect(await readFile(files.cobertura, 'utf8')).toContain('<line number="12" hits="0" branch="false"/>');
  const html = await readFile(files.html, 'utf8');
  expect(html).toMatch(/<tr class="missed">\s*<td class="number">12<.*✗ 0.*words = limited\(words\);/);
  // What a patch adds that is no code is there, and has no count.
  expect(html).toMatch(/<td class="number">7<\/td><td class="number count"><\/td>/);
  expect(html).not.toMatch(/(src|href)="http/);
});
