/** Each commit of a series is run, up to the first bad one; here the run is an exit code that is written down. */
import { describe, expect } from 'vitest';
import { runSeries, type SeriesRun } from '../../../src/cli/verbs/series-run-verb.ts';
import { test } from '../cache/temporary-cache.ts';

const SERIES = ['0001-a.patch', '0002-b.patch', '0003-c.patch'].map((name) => ({
  name,
  file: `/patches/${name}`,
  text: name,
}));

/** By the number of patches of the run; all else passes. */
type ExitCodes = Readonly<Record<number, number>>;

async function runWith(
  exitCodes: ExitCodes,
  request: Partial<SeriesRun> = {},
): Promise<{ code: number; lines: string[]; runs: string[][] }> {
  const [lines, runs]: [string[], string[][]] = [[], []];
  const code = await runSeries({
    suites: ['smoke'],
    series: SERIES,
    basis: 'Linux 7.3',
    kernelSrc: undefined,
    run: (argv) => {
      runs.push([...argv]);
      const patches = argv.filter((word) => word === '--patch').length;
      return Promise.resolve(exitCodes[patches === 0 ? SERIES.length : patches] ?? 0);
    },
    print: (text) => lines.push(text),
    ...request,
  });
  return { code, lines, runs };
}

const BOOT = ['run', '--exec', 'true', '--unpatched'];
const PATCHES = SERIES.map(({ file }) => ['--patch', file]);

test('each commit is booted, and the last has the driver and runs the suite', async () => {
  const { code, lines, runs } = await runWith({});
  expect(runs).toEqual([
    [...BOOT, ...PATCHES.slice(0, 1).flat()],
    [...BOOT, ...PATCHES.slice(0, 2).flat()],
    ['run', 'smoke'],
  ]);
  expect(lines).toEqual(['✔ 0001-a.patch', '✔ 0002-b.patch', '✔ 0003-c.patch', '3 passed, 0 failed']);
  expect(code).toBe(0);
});

test('suites that need no driver of ours are run at each commit', async () => {
  const { runs } = await runWith({}, { suites: ['kunit', 'smoke', 'bochs'], kernelSrc: '/linux' });
  expect(runs[0]).toEqual(['run', 'kunit', 'bochs', '--unpatched', ...(PATCHES[0] ?? []), '--kernel-src', '/linux']);
  expect(runs.at(-1)).toEqual(['run', 'kunit', 'smoke', 'bochs', '--kernel-src', '/linux']);
});

describe('a commit', () => {
  test.for([1, 3])('whose run ends with exit code %i is the first bad one', async (exitCode) => {
    const { code, lines, runs } = await runWith({ 2: exitCode });
    expect(runs).toHaveLength(2);
    expect(lines.slice(0, -1)).toEqual([
      '✔ 0001-a.patch',
      `✘ 0002-b.patch (exit code ${String(exitCode)})`,
      'First bad commit: 0002-b.patch. It and those after it are not known to be good.',
    ]);
    expect(lines.at(-1)).toBe('1 passed, 1 failed');
    expect(code).toBe(exitCode);
  });

  test.for([2, 4, 5, 130])('whose run ends with %i is not judged, and ends the check', async (exitCode) => {
    const { code, lines, runs } = await runWith({ 2: exitCode });
    expect(runs).toHaveLength(2);
    expect(lines.join('\n')).not.toContain('bad commit');
    expect(lines.slice(-2)).toEqual([
      `- 0002-b.patch could not be judged (exit code ${String(exitCode)}). The same command goes on from here.`,
      '1 passed, 0 failed',
    ]);
    expect(code).toBe(exitCode);
  });
});

describe('the next time', () => {
  test('it goes on where it ended, and a good commit is not run again', async () => {
    await runWith({ 3: 4 });
    const { lines, runs } = await runWith({});
    expect(runs).toEqual([['run', 'smoke']]);
    expect(lines.slice(0, 2)).toEqual(['= 0001-a.patch', '= 0002-b.patch']);
  });

  test('a bad commit is run again', async () => {
    await runWith({ 2: 1 });
    expect((await runWith({ 2: 1 })).runs).toHaveLength(1);
  });

  test('a patch that has changed is run again, with all after it', async () => {
    await runWith({});
    const series = SERIES.map((patch, index) => (index === 1 ? { ...patch, text: 'edited' } : patch));
    expect((await runWith({}, { series })).runs).toHaveLength(2);
  });

  test('another suite is run with the last commit; those that have booted need not again', async () => {
    await runWith({});
    expect((await runWith({}, { suites: ['evict'] })).runs).toEqual([['run', 'evict']]);
  });

  test.for<Partial<SeriesRun>>([{ suites: ['kunit'] }, { basis: 'Linux 7.4' }, { kernelSrc: '/linux' }])(
    'with %o all is run again',
    async (other) => {
      await runWith({});
      expect((await runWith({}, other)).runs).toHaveLength(3);
    },
  );
});
