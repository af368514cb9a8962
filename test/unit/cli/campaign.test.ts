/** A campaign of mutants with kernels that are only names, and suites whose verdicts are written down. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Campaign, type Candidate, type SuiteOutcome, type Trial } from '../../../src/cli/mutate/campaign.ts';
import { Journal } from '../../../src/cli/mutate/journal.ts';
import { RigError } from '../../../src/util/rig-error.ts';
import type { Mutant } from '../../../src/series/mutants/mutants.ts';

type Failure = NonNullable<SuiteOutcome['failed']>;
const TESTED: Failure = { how: 'suite', failure: 'test', test: 'holds', message: 'no' };

let folder = '';
let lines: string[] = [];
/** What was built, run and discarded, in order. */
let done: string[] = [];

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'dgpu-rig-test-'));
  [lines, done] = [[], []];
});
afterEach(() => rm(folder, { recursive: true }));

function candidate(id: string, ...suites: string[]): Candidate {
  const mutant: Mutant = {
    ...{ id, file: 'mm/limit.c', function: 'take', operator: 'constant', line: 3, statement: 3 },
    ...{ was: 'a = 1;', becomes: 'a = 2;', diff: '' },
  };
  return { mutant, suites };
}

/** What fails, by kernel and suite: several times one after the other; all else passes. */
type Failing = Readonly<Record<string, readonly (Failure | undefined)[]>>;

const TIMES: Readonly<Record<string, number>> = { slow: 30, quick: 10 };

function trial(failing: Failing = {}, unbuilt: readonly string[] = []): Trial<string> {
  const runs = new Map<string, number>();
  return {
    build: (mutant) => {
      const name = mutant?.id ?? 'plain';
      done.push(`build ${name}`);
      return Promise.resolve(unbuilt.includes(name) ? undefined : name);
    },
    run: (kernel, suite) => {
      const key = `${kernel} ${suite}`;
      done.push(key);
      const nth = runs.get(key) ?? 0;
      runs.set(key, nth + 1);
      const failed = failing[key]?.[nth];
      return Promise.resolve({ durationMs: TIMES[suite] ?? 20, ...(failed ? { failed } : {}) });
    },
    discard: (kernel) => {
      done.push(`discard ${kernel}`);
      return Promise.resolve();
    },
  };
}

async function campaign(
  candidates: readonly Candidate[],
  judge: Trial<string>,
  count = candidates.length,
  textOf: (suite: string) => string = (suite) => suite,
): Promise<Campaign<string>> {
  const journal = await Journal.open(path.join(folder, 'mutants/journal.jsonl'), textOf);
  return new Campaign({ candidates, count, journal, onJudged: (line) => lines.push(line) }, judge);
}

test('suites are run on the code as it is, then on each mutant, the fastest first, until one notices', async () => {
  const all = [candidate('m1', 'slow', 'quick'), candidate('m2', 'slow', 'quick')];
  const one = await campaign(all, trial({ 'm1 quick': [TESTED] }));
  await one.run();
  expect(done).toEqual([
    ...['build plain', 'plain slow', 'plain quick'],
    ...['build m1', 'm1 quick', 'discard m1'],
    ...['build m2', 'm2 quick', 'm2 slow', 'discard m2'],
  ]);
  expect(one.mutants.map(({ id, caught, suites }) => [id, caught?.suite, suites])).toEqual([
    ['m1', 'quick', ['quick', 'slow']],
    ['m2', undefined, ['quick', 'slow']],
  ]);
  expect(lines).toEqual([
    'caught    m1  mm/limit.c:3 take(): constant, by quick › holds (suite)  (0.0 s)',
    'survived  m2  mm/limit.c:3 take(): constant  (0.0 s)',
  ]);
  // What its suites took, and its kernel.
  const [first, second] = one.mutants.map(({ durationMs }) => durationMs);
  expect(first).toBeGreaterThanOrEqual(10);
  expect(second).toBeGreaterThanOrEqual(40);
  expect(one.suites).toEqual([
    { name: 'quick', durationMs: 10 },
    { name: 'slow', durationMs: 30 },
  ]);
});

test('what does not compile counts for nothing', async () => {
  const all = [candidate('m1', 'quick'), candidate('m2', 'quick'), candidate('m3', 'quick')];
  const one = await campaign(all, trial({}, ['m1']), 1);
  await one.run();
  expect(one.mutants.map(({ id }) => id)).toEqual(['m2']);
  expect(one.unbuilt.map(({ id }) => id)).toEqual(['m1']);
  expect(lines[0]).toBe('no kernel m1  mm/limit.c:3 take(): constant');
});

test('a suite that fails without any mutant is refused before a mutant is built', async () => {
  const oops: Failure = { how: 'kernel report', failure: 'kernel', test: 'boots', message: 'Oops: 0002\nmore' };
  const one = await campaign([candidate('m1', 'quick', 'slow')], trial({ 'plain quick': [oops] }));
  const error = await one.run().then(undefined, (reason: unknown) => reason);
  expect(error).toBeInstanceOf(RigError);
  expect(error).toMatchObject({
    failureClass: 'kernel',
    message: 'The suite quick fails without any mutant (boots: Oops: 0002), so nothing can be judged.',
  });
  expect(done).toEqual(['build plain', 'plain quick']);
  // The next campaign does not take it for known.
  const again = await campaign([candidate('m1', 'quick')], trial());
  done = [];
  await again.run();
  expect(done).toContain('plain quick');
});

describe('what is noticed', () => {
  test.for<[string, readonly (Failure | undefined)[], string | undefined, number]>([
    ['a test of KUnit', [{ ...TESTED, how: 'kunit' }], 'kunit', 1],
    ['a report of the kernel', [{ ...TESTED, how: 'kernel report', failure: 'kernel' }], 'kernel report', 1],
    ['a hang', [{ ...TESTED, how: 'time-out', failure: 'timeout' }], 'time-out', 1],
    ['a VM that is lost once', [{ ...TESTED, how: 'lost VM', failure: 'infrastructure' }, undefined], undefined, 2],
    ['a VM that is lost twice', Array(2).fill({ ...TESTED, how: 'lost VM', failure: 'infrastructure' }), 'lost VM', 2],
  ])('%s', async ([, failing, how, runs]) => {
    const one = await campaign([candidate('m1', 'quick')], trial({ 'm1 quick': failing }));
    await one.run();
    expect(one.mutants[0]?.caught?.how).toBe(how);
    expect(done.filter((what) => what === 'm1 quick').length).toBe(runs);
  });
});

test('an interrupted campaign goes on where it was, within a mutant, too', async () => {
  const all = [candidate('m1', 'quick'), candidate('m2', 'quick', 'slow'), candidate('m3', 'quick')];
  const judge = trial({ 'm1 quick': [TESTED] }, ['m3']);
  const ending: Trial<string> = {
    ...judge,
    run: (kernel, suite) =>
      kernel === 'm2' && suite === 'slow' ? Promise.reject(new Error('SIGINT')) : judge.run(kernel, suite),
  };
  const first = await campaign(all, ending);
  await expect(first.run()).rejects.toThrow('SIGINT');
  expect(first.mutants.map(({ id }) => id)).toEqual(['m1']);
  expect(done.at(-1)).toBe('discard m2');
  done = [];
  const second = await campaign(all, trial({}, ['m3']));
  await second.run();
  expect(done).toEqual(['build m2', 'm2 slow', 'discard m2', 'build m3']);
  expect(second.mutants.map(({ id, caught }) => [id, caught?.how])).toEqual([
    ['m1', 'suite'],
    ['m2', undefined],
  ]);
  // A third has nothing left to do.
  done = [];
  const third = await campaign(all, trial());
  await third.run();
  expect(done).toEqual([]);
  expect(third.unbuilt.map(({ id }) => id)).toEqual(['m3']);
});

test('half a line in the journal, as a full disk leaves it, is as if it were not there', async () => {
  const file = path.join(folder, 'mutants/journal.jsonl');
  await (await campaign([candidate('m1', 'quick')], trial())).run();
  const text = await readFile(file, 'utf8');
  await writeFile(file, text.slice(0, -10));
  done = [];
  const again = await campaign([candidate('m1', 'quick')], trial());
  await again.run();
  expect(done).toEqual(['build m1', 'm1 quick', 'discard m1']);
  await (await campaign([candidate('m1', 'quick')], trial())).run();
  expect(done.length).toBe(3);
});

test('a suite that was edited is run again where nothing else has noticed the mutant, and no other suite', async () => {
  const all = [candidate('m1', 'quick', 'slow'), candidate('m2', 'quick', 'slow')];
  await (await campaign(all, trial({ 'm1 quick': [TESTED] }))).run();
  done = [];
  const edited = await campaign(all, trial({ 'm2 slow': [TESTED] }), all.length, (suite) => {
    return suite === 'slow' ? 'with another test' : suite;
  });
  await edited.run();
  expect(done).toEqual(['build plain', 'plain slow', 'build m2', 'm2 slow', 'discard m2']);
  expect(edited.mutants.map(({ caught }) => caught?.suite)).toEqual(['quick', 'slow']);
});
