/** Whose line is it, when several patches have changed a file? */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { execa } from 'execa';
import { expect, onTestFinished, test } from 'vitest';
import { PATCH_FOLDER } from '../../../src/builds/kernel/kernel-build.ts';
import { readSeries, type Patch } from '../../../src/builds/tree/patch-series.ts';
import { ownersOfLines } from '../../../src/series/added-lines.ts';

/** Patches that git makes of these versions of one file. */
async function seriesOf(versions: readonly string[]): Promise<Patch[]> {
  const folder = await mkdtemp(path.join(tmpdir(), 'dgpu-rig-test-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const git = (...args: string[]): Promise<{ stdout: string }> =>
    execa('git', ['-c', 'user.name=x', '-c', 'user.email=x@x.example', ...args], { cwd: folder });
  await git('init', '-q');
  for (const [number, version] of versions.entries()) {
    await writeFile(path.join(folder, 'file.c'), version);
    await git('add', '.');
    await git('commit', '-q', '-m', String(number));
  }
  await git('format-patch', '-q', '--root', '-o', 'out', '--start-number', '0', `-${String(versions.length - 1)}`);
  return readSeries(path.join(folder, 'out'));
}

function numbersOf(text: string, series: readonly Patch[]): string {
  const owners = ownersOfLines('file.c', text, series);
  return owners.map((owner) => (owner === undefined ? '-' : String(series.indexOf(owner)))).join('');
}

const BASE = 'a\nb\nc\nd\ne\nf\ng\nh\ni\nj\nk\nl\n';

test('a line belongs to the last patch that added it', async () => {
  const last = BASE.replace('c\n', 'c\nnew\nNEWER\n').replace('k\n', 'K\n');
  const series = await seriesOf([BASE, BASE.replace('c\n', 'c\nnew\nolder\n'), last]);
  expect(numbersOf(last, series)).toBe('---01-------1--');
});

test("a line that a later patch removed is nobody's, and one that it moved is its own", async () => {
  const moved = BASE.replace('b\n', '').replace('l\n', 'l\nmoved\n');
  const series = await seriesOf([BASE, BASE.replace('a\n', 'a\nmoved\n'), moved]);
  expect(numbersOf(moved, series)).toBe('-----------1-');
});

test('a tree in which all is some lines further down has the same owners', async () => {
  const last = BASE.replace('g\n', 'g\nnew\n');
  const series = await seriesOf([BASE, last]);
  expect(numbersOf(`x\ny\nz\n${last}`, series)).toBe('----------0------');
});

test('a tree with another series is told, with patch and file', async () => {
  const last = BASE.replace('g\n', 'g\nnew\n');
  const series = await seriesOf([BASE, last]);
  expect(() => ownersOfLines('file.c', last.replace('new', 'other'), series)).toThrow(
    /file\.c is not what 0000-1\.patch/,
  );
});

test("a file that no patch touches is nobody's", async () => {
  expect(new Set(ownersOfLines('mm/none.c', BASE, await readSeries(PATCH_FOLDER)))).toEqual(new Set([undefined]));
});
