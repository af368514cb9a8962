/** What past runs left: what goes by age, what by size, and what stays whatever the limits are. */
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, truncate, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { cleanVerb } from '../../../src/cli/verbs/clean-verb.ts';
import {
  artifactsHint,
  listArtifacts,
  superfluous,
  type RunArtifacts,
} from '../../../src/report/past/old-artifacts.ts';

const DAY = 24 * 3600 * 1000;
const NOW = 100 * DAY;

describe('beyond the limits', () => {
  const run = (days: number, bytes = 10): RunArtifacts => {
    return { folder: `${String(days)} days`, bytes, writtenAt: NOW - days * DAY };
  };
  const gone = (runs: readonly RunArtifacts[], olderDays: number, aboveBytes: number): string[] =>
    superfluous(runs, { olderMs: olderDays * DAY, aboveBytes }, NOW).map(({ folder }) => folder);

  test('by age', () => expect(gone([run(2), run(29), run(31)], 30, Infinity)).toEqual(['31 days']));

  test('by size the oldest go, but a large one takes no smaller one with it', () => {
    expect(gone([run(2), run(3), run(4)], Infinity, 25)).toEqual(['4 days']);
    expect(gone([run(2), run(3, 100), run(4)], Infinity, 25)).toEqual(['3 days']);
  });

  test('what was written to within a day stays, and counts', () => {
    expect(gone([run(0.5, 100), run(2)], 0, 0)).toEqual(['2 days']);
    expect(gone([run(0.5, 100), run(2)], Infinity, 105)).toEqual(['2 days']);
  });
});

describe('on disk', () => {
  let root: string;
  let printed = '';
  beforeEach(async () => {
    root = await mkdtemp(path.join(tmpdir(), 'dgpu-rig-artifacts-'));
    printed = '';
    vi.spyOn(process.stdout, 'write').mockImplementation((text) => (printed += String(text)).length > 0);
    onTestFinished(() => {
      vi.restoreAllMocks();
      return rm(root, { recursive: true });
    });
  });

  async function addRun(name: string, ageDays: number): Promise<string> {
    const vm = path.join(root, name, 'vm');
    await mkdir(vm, { recursive: true });
    const file = path.join(vm, 'serial.log');
    await writeFile(file, 'x'.repeat(8192));
    const time = new Date(Date.now() - ageDays * DAY);
    for (const written of [file, vm, path.join(root, name)]) await utimes(written, time, time);
    return path.join(root, name);
  }

  test('a sparse file counts by what it takes, and the latest file of a run by its time', async () => {
    const folder = await addRun('a', 50);
    const swap = path.join(folder, 'swap.img');
    await writeFile(swap, '');
    await truncate(swap, 2 ** 30);
    const [found] = await listArtifacts(root);
    expect(found?.bytes).toBeGreaterThanOrEqual(8192);
    expect(found?.bytes).toBeLessThan(2 ** 20);
    expect(Date.now() - (found?.writtenAt ?? 0)).toBeLessThan(DAY);
  });

  test('nothing goes that nobody asked for; what is old is told of', async () => {
    const [old, young] = [await addRun('old', 31), await addRun('young', 3)];
    expect(await artifactsHint(root)).toMatch(/^artifacts\/ has what 2 runs \(.*\) left; .*clean removes 1 run \(/);
    expect(existsSync(old)).toBe(true);
    expect(await cleanVerb({}, root)).toBe(0);
    expect([existsSync(old), existsSync(young)]).toEqual([false, true]);
    expect(printed).toMatch(/^Removed the artifacts of 1 run \(.*\)\. The artifacts of 1 run \(.*\) are left\.\n$/);
    expect(await artifactsHint(root)).toBeUndefined();
  });

  test('one limit is that one alone', async () => {
    const old = await addRun('old', 31);
    expect(await cleanVerb({ above: 2 ** 30 }, root)).toBe(0);
    expect(existsSync(old)).toBe(true);
    expect(await cleanVerb({ older: 2 * DAY }, root)).toBe(0);
    expect(existsSync(old)).toBe(false);
    printed = '';
    expect(await cleanVerb({}, path.join(root, 'none'))).toBe(0);
    expect(printed).toBe('Nothing was removed. None are left.\n');
  });
});
