/** Bisecting: how commits are judged, and `git bisect run` over a real little history with a step that is no rig. */
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { bisect, openBisectTree } from '../../../src/series/bisect-tree.ts';
import { git } from '../../../src/builds/tree/git.ts';
import {
  accumulatedError,
  chanceToPass,
  confidenceText,
  doubtText,
  GIT_ANSWERS,
  judgeCommit,
  judgeExit,
  recordedRate,
  runsNeeded,
} from '../../../src/cli/bisect/bisect-judgement.ts';
import { stepArguments, type BisectOptions } from '../../../src/cli/bisect/bisect-options.ts';
import type { RecordedRun } from '../../../src/report/past/history.ts';
import type { TestResult } from '../../../src/report/run-report.ts';
import { SAMPLE_REPORT } from '../report/sample-report.ts';

function seededRandom(seed: number): () => number {
  let state = seed;
  return () => (state = (state * 16_807) % 2_147_483_647) / 2_147_483_647;
}

const NEVER = new AbortController().signal;

describe('a commit is judged', () => {
  test.for([
    [0, 'good'],
    [1, 'bad'],
    [2, 'skip'],
    [3, 'bad'],
    [4, 'skip'],
    [5, 'skip'],
    [130, 'stop'],
    [-1, 'stop'],
  ] as const)('exit code %i: %s', ([code, judgement]) => expect(judgeExit(code)).toBe(judgement));

  test('by its first failure, and good only when it passes every time', async () => {
    const answers = (codes: readonly number[]): Promise<[string, number]> => {
      let asked = 0;
      const run = (): Promise<number> => Promise.resolve(codes[asked++] ?? 0);
      return judgeCommit(5, run).then((judgement) => [judgement, asked]);
    };
    expect(await answers([0, 0, 1])).toEqual(['bad', 3]);
    expect(await answers([0, 4])).toEqual(['skip', 2]);
    expect(await answers([])).toEqual(['good', 5]);
  });

  test('as often as its failure rate makes necessary', () => {
    expect(runsNeeded(undefined)).toBe(1);
    expect(runsNeeded({ failures: 5, runs: 5 })).toBe(1);
    // ln 0.01 / ln 0.6 = 9.02
    expect(runsNeeded({ failures: 400, runs: 1000 })).toBe(10);
    for (const [failures, runs] of [
      [1, 20],
      [3, 20],
      [8, 20],
      [19, 20],
    ] as const) {
      const rate = { failures, runs };
      expect(chanceToPass(rate, runsNeeded(rate))).toBeLessThanOrEqual(0.01);
      expect(chanceToPass(rate, runsNeeded(rate) - 1)).toBeGreaterThan(0.01);
      // A point estimate takes what was seen for the truth, and is too sure of itself.
      expect(runsNeeded(rate)).toBeGreaterThanOrEqual(Math.ceil(Math.log(0.01) / Math.log(1 - failures / runs)));
    }
    expect(() => runsNeeded({ failures: 0, runs: 10 })).toThrow(/can't be bisected/);
  });

  test('more often where little is known of the rate, as bad kernels of unknown rates show', () => {
    expect(runsNeeded({ failures: 2, runs: 5 })).toBeGreaterThan(1.5 * runsNeeded({ failures: 40, runs: 100 }));
    // Of all kernels that could be met, those that fail 2 of 5 times: how many then pass as often as is asked for?
    const random = seededRandom(7);
    const times = runsNeeded({ failures: 2, runs: 5 });
    let [seen, mistaken] = [0, 0];
    for (let kernel = 0; kernel < 400_000; kernel++) {
      const rate = random();
      const fails = (): number => Number(random() < rate);
      if (fails() + fails() + fails() + fails() + fails() !== 2) continue;
      seen++;
      mistaken += (1 - rate) ** times;
    }
    expect(mistaken / seen).toBeGreaterThan(0.007);
    expect(mistaken / seen).toBeLessThan(0.011);
  });

  test('and says how sure that is', () => {
    expect(confidenceText({ failures: 400, runs: 1000 }, 'given')).toBe(
      'As given, a bad commit fails 400 of 1000 times. One is good when it passes 10 times in a row, which a bad one does with a probability of 0.62 %.',
    );
    expect(confidenceText({ failures: 3, runs: 3 }, 'recorded')).toMatch(/recorded, .* 3 of 3 .* passes once\.$/);
    expect(confidenceText(undefined, 'recorded')).toContain('--rate');
  });

  test('and the answer with the errors of all commits that were called good', () => {
    const rate = { failures: 400, runs: 1000 };
    const each = chanceToPass(rate, 10);
    expect(accumulatedError(rate, 10, 7)).toBeCloseTo(1 - (1 - each) ** 7, 12);
    expect(doubtText(rate, 10, 7)).toBe(
      'This is wrong with a probability of 4.3 % at most: 7 commits were called good, and each may be a bad one that passed 10 times in a row (0.62 %).\n',
    );
    expect(doubtText(rate, 10, 0)).toBe('');
    expect(doubtText({ failures: 3, runs: 3 }, 1, 7)).toBe('');
    expect(doubtText(undefined, 1, 7)).toBe('');
  });

  test('whatever commit is first, by a test that fails at random', () => {
    const random = seededRandom(11);
    const rate = { failures: 8, runs: 20 };
    const wrong = Array.from({ length: 2000 }, (_, trial) => {
      const first = trial % 64;
      let [good, bad] = [-1, 63];
      while (bad - good > 1) {
        const middle = Math.floor((good + bad) / 2);
        const fails = Array.from({ length: runsNeeded(rate) }, () => random() < 0.4);
        if (middle >= first && fails.includes(true)) bad = middle;
        else good = middle;
      }
      return bad !== first;
    }).filter(Boolean);
    // Six steps, each wrong in less than 1 of 100 cases.
    expect(wrong.length / 2000).toBeLessThan(0.03);
  });

  describe('by the rate that is recorded for the bad one', () => {
    const BAD = '0123456789abcdef0123456789abcdef01234567';
    const recorded = (
      version: string,
      status: TestResult['status'],
      changes: Partial<TestResult> = {},
    ): RecordedRun => {
      const [first] = SAMPLE_REPORT.results;
      if (!first) throw new Error('The sample is empty');
      const results = [{ ...first, suite: 'dma', test: 'tiers > all is had', status, ...changes }];
      return { id: 1, startedAt: '', report: { ...SAMPLE_REPORT, kernel: { version, patches: [] }, results } };
    };
    const bad = `7.3.4 (linux) at ${BAD.slice(0, 12)}`;
    const rateOf = (...runs: RecordedRun[]): unknown =>
      recordedRate(runs, { commit: BAD, suites: ['dma'], filter: /tiers all/ });

    test('in all runs of that test with that commit', () => {
      const runs = (['fail', 'pass', 'error', 'pass', 'skip'] as const).map((status) => recorded(bad, status));
      const others = [recorded('7.3.4 at 999999999999', 'fail'), recorded(bad, 'fail', { suite: 'swap' })];
      expect(rateOf(...runs, ...others, recorded(bad, 'fail', { test: 'straddle' }))).toEqual({ failures: 2, runs: 4 });
    });
    test('repetitions that measured it count, too', () => {
      expect(rateOf(recorded(bad, 'fail', { rate: { failures: 2, runs: 9 } }))).toEqual({ failures: 3, runs: 10 });
    });
    test('too few of them say nothing, and neither do those that all passed', () => {
      expect(rateOf(recorded(bad, 'fail'), recorded(bad, 'pass'))).toBeUndefined();
      expect(rateOf(recorded(bad, 'pass'), recorded(bad, 'pass'), recorded(bad, 'pass'))).toBeUndefined();
    });
  });

  test('in words that git understands', () => expect(GIT_ANSWERS).toEqual({ good: 0, bad: 1, skip: 125, stop: 128 }));
});

describe('a history', () => {
  let origin: string;
  let commits: string[];
  const before = process.env['DGPU_RIG_CACHE'];

  beforeEach(async () => {
    const folder = await mkdtemp(path.join(tmpdir(), 'dgpu-rig-test-'));
    process.env['DGPU_RIG_CACHE'] = path.join(folder, 'cache');
    origin = path.join(folder, 'origin');
    await mkdir(origin);
    await git(origin, ['init', '--quiet', '--initial-branch=rig']);
    commits = [];
    for (let version = 0; version < 16; version++) {
      await writeFile(path.join(origin, 'version'), String(version));
      await git(origin, ['add', 'version']);
      await git(origin, ['commit', '--quiet', '-m', `version ${String(version)}`]);
      commits.push((await git(origin, ['rev-parse', 'HEAD'])).trim());
    }
  });

  afterEach(async () => {
    await rm(path.dirname(origin), { recursive: true });
    if (before === undefined) delete process.env['DGPU_RIG_CACHE'];
    else process.env['DGPU_RIG_CACHE'] = before;
  });

  let said: string[];
  beforeEach(() => (said = []));

  const search = async (script: string): ReturnType<typeof bisect> => {
    const tree = await openBisectTree(origin, { good: 'HEAD~15', bad: 'HEAD' }, NEVER);
    return bisect(tree, ['sh', '-c', `v=$(cat version); ${script}`], {
      signal: NEVER,
      onLine: (line) => said.push(line),
    });
  };

  test('leads to the commit since which the step says bad, and leaves the tree alone', async () => {
    await writeFile(path.join(origin, 'version'), 'edited, and not committed');
    expect(await search('echo at $v; test $v -lt 11')).toEqual({ commit: commits[11], subject: 'version 11' });
    expect(said).toContain('at 11');
    expect(await readFile(path.join(origin, 'version'), 'utf8')).toBe('edited, and not committed');
    // Again, with a clone that is there already.
    expect(await search('test $v -lt 3')).toEqual({ commit: commits[3], subject: 'version 3' });
  });

  test('goes around commits that can not be judged', async () => {
    expect(await search('test $v = 7 && exit 125; test $v -lt 11')).toMatchObject({ commit: commits[11] });
  });

  test('names all that may be it when those between can not be judged', async () => {
    const found = await search('test $v -ge 9 && test $v -le 11 && exit 125; test $v -lt 10');
    expect(found).toHaveProperty('candidates');
    const subjects = 'candidates' in found ? found.candidates.map(({ subject }) => subject) : [];
    expect(subjects.sort()).toEqual(['version 10', 'version 11', 'version 12', 'version 9']);
  });

  test('an abort ends a step that is under way, and what git has started', async () => {
    const tree = await openBisectTree(origin, { good: 'HEAD~15', bad: 'HEAD' }, NEVER);
    const end = new AbortController();
    const start = performance.now();
    const searching = bisect(tree, ['sh', '-c', 'echo begun; exec sleep 60'], {
      signal: end.signal,
      onLine: (line) => {
        if (line === 'begun') end.abort(new Error('Ctrl-C'));
      },
    });
    await expect(searching).rejects.toThrow('Ctrl-C');
    expect(performance.now() - start).toBeLessThan(40_000);
  });

  test('a step that asks to stop is heard', async () => {
    await expect(search('exit 128')).rejects.toMatchObject({ failureClass: 'infrastructure' });
  });

  test('a range that is none is refused', async () => {
    await expect(openBisectTree(origin, { good: 'HEAD', bad: 'HEAD~3' }, NEVER)).rejects.toThrow(/no ancestor/);
    await expect(openBisectTree(origin, { good: 'nowhere', bad: 'HEAD' }, NEVER)).rejects.toThrow(/no commit named/);
    await expect(openBisectTree(`${origin}/nosuch`, { good: 'a', bad: 'b' }, NEVER)).rejects.toMatchObject({
      message: `There is no kernel tree at ${origin}/nosuch.`,
      remedy: expect.stringContaining(`kernel edit ${origin}/nosuch`) as string,
    });
    const plain = await mkdtemp(path.join(tmpdir(), 'dgpu-rig-plain-'));
    onTestFinished(() => rm(plain, { recursive: true }));
    await expect(openBisectTree(plain, { good: 'a', bad: 'b' }, NEVER)).rejects.toThrow(/is no git repository/);
  });
});

describe('each run of a step', () => {
  const options: BisectOptions = {
    ...{ good: 'a', bad: 'b', machine: 'tight', dmaBits: [32, 40], accel: 'tcg', keep: false, flavour: 'kasan' },
    ...{ backend: 'shmem', maxVms: 2 },
  };
  test('gets what was asked for, whatever the defaults are where it starts', () => {
    expect(stepArguments(['dma', 'swap'], options)).toEqual(
      'dma swap --machine tight --dma-bits 32,40 --accel tcg --flavour kasan --backend shmem --max-vms 2'.split(' '),
    );
    const more = { filter: /a b|c/, debugInfo: true, unpatched: true, qemuSrc: 'q', kernelSrc: '/k' };
    const added = stepArguments([], { ...options, ...more }).filter(
      (word) => !stepArguments([], options).includes(word),
    );
    expect(added).toEqual(['--unpatched', '--debug-info', '--qemu-src', path.resolve('q'), '--filter', 'a b|c']);
  });

  test('of a machine, options and patches of one’s own: where their files are', () => {
    const own = { machine: 'm.yaml', kconfig: ['CONFIG_A=y', 'my.config'], patch: ['a.patch'], append: 'a b' };
    expect(stepArguments([], { ...options, ...own }).join('|')).toBe(
      [
        ...['--machine', path.resolve('m.yaml'), '--dma-bits', '32,40', '--accel', 'tcg', '--append', 'a b'],
        ...['--flavour', 'kasan', '--patch', path.resolve('a.patch')],
        ...['--kconfig', 'CONFIG_A=y', '--kconfig', path.resolve('my.config')],
        ...['--backend', 'shmem', '--max-vms', '2'],
      ].join('|'),
    );
  });

  test('of programs: each again, and where its files are', () => {
    const put = [{ from: 'a', to: '/tmp/' }];
    const share = [{ folder: 's' }];
    expect(
      stepArguments([], { ...options, exec: ['/tmp/a -x', 'b'], put, share, install: ['b', 'c'], timeout: 1500 }).join(
        '|',
      ),
    ).toContain(
      `|--exec|/tmp/a -x|--exec|b|--put|${path.resolve('a')}:/tmp/|--share|${path.resolve('s')}|--install|b|--install|c|--timeout|1500 ms`,
    );
  });
});
