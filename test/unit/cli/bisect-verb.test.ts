/** `dgpu-rig bisect` that is cut short: what it has learnt until then is told, and how to go on from there. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import type { BisectOptions } from '../../../src/cli/bisect/bisect-options.ts';
import { bisectVerb } from '../../../src/cli/bisect/bisect-verb.ts';
import { Interruption, STOPPING } from '../../../src/cli/session.ts';

const fakes = vi.hoisted(() => ({ openBisectTree: vi.fn(), bisect: vi.fn() }));
vi.mock('../../../src/series/bisect-tree.ts', () => fakes);

interface Listener {
  readonly onLine: (line: string) => void;
}

const STEPS = [
  { commit: 'a'.repeat(40), subject: 'fine', judgement: 'good', exitCodes: [0], durationMs: 61_000 },
  { commit: 'c'.repeat(40), subject: 'broken', judgement: 'bad', exitCodes: [3], durationMs: 62_000 },
  { commit: 'b'.repeat(40), subject: 'no kernel', judgement: 'skip', exitCodes: [4], durationMs: 63_000 },
  { commit: 'd'.repeat(40), subject: 'broken before', judgement: 'bad', exitCodes: [3], durationMs: 64_000 },
];

async function setUp(): Promise<{ folder: string; said: () => string }> {
  const folder = await mkdtemp(path.join(tmpdir(), 'dgpu-rig-test-'));
  vi.stubEnv('DGPU_RIG_CACHE', folder);
  vi.stubEnv('DGPU_RIG_HISTORY', path.join(folder, 'history'));
  let text = '';
  const write = vi.spyOn(process.stdout, 'write').mockImplementation((part) => ((text += String(part)), true));
  onTestFinished(async () => {
    write.mockRestore();
    vi.unstubAllEnvs();
    await rm(folder, { recursive: true });
  });
  return { folder, said: () => text };
}

test.for([
  ['nothing', 0, '--good v1 --bad v2'],
  ['a good commit', 1, `--good ${'a'.repeat(12)} --bad v2`],
  ['good and bad ones, and one that says nothing', 3, `--good ${'a'.repeat(12)} --bad ${'c'.repeat(12)}`],
  ['two bad ones', 4, `--good ${'a'.repeat(12)} --bad ${'d'.repeat(12)}`],
] as const)('knowing %s', async ([, count, range]) => {
  const { folder, said } = await setUp();
  const why = new Interruption('SIGINT told the rig to stop.');
  fakes.openBisectTree.mockResolvedValue({ folder, good: 'v1', bad: 'v2' });
  const told: string[] = [];
  fakes.bisect.mockImplementation(async (_tree, [, , file]: readonly string[], { onLine }: Listener) => {
    for (const line of ['a commit: run 1 of at most 1', STOPPING, STOPPING]) onLine(line);
    const { log } = JSON.parse(await readFile(String(file), 'utf8')) as { log: string };
    const lines = STEPS.slice(0, count).map((step) => `${JSON.stringify(step)}\n`);
    await writeFile(log, lines.join(''));
    throw why;
  });
  const progress = { emit: () => undefined, print: (text: string) => void told.push(text), stop: () => undefined };
  const options = { kernelSrc: folder, good: 'v1', bad: 'v2' } as BisectOptions;
  const ended = bisectVerb(['smoke'], options, { progress, signal: new AbortController().signal });
  await expect(ended).rejects.toBe(why);
  // The rigs of the step say that they stop, and so did this one.
  expect(told.slice(1)).toEqual(['a commit: run 1 of at most 1']);
  expect(said()).toContain(`To go on from here: ${range}\n`);
  for (const { subject } of STEPS.slice(0, count)) expect(said()).toContain(`  ${subject}  (`);
});

test.for([
  [
    'fails only sometimes',
    { failures: 8, runs: 20 },
    /First bad commit: .*\nThis is wrong with a probability of [\d.]+ % at most: one commit/,
  ],
  ['fails every time', { failures: 5, runs: 5 }, /First bad commit: \S+ broken\n$/],
] as const)('a commit is found by a test that %s', async ([, rate, ending]) => {
  const { folder, said } = await setUp();
  fakes.openBisectTree.mockResolvedValue({ folder, good: 'v1', bad: 'v2' });
  fakes.bisect.mockImplementation(async (_tree, [, , file]: readonly string[]) => {
    const { log } = JSON.parse(await readFile(String(file), 'utf8')) as { log: string };
    await writeFile(log, STEPS.map((step) => `${JSON.stringify(step)}\n`).join(''));
    return { commit: 'c'.repeat(40), subject: 'broken' };
  });
  const progress = { emit: () => undefined, print: () => undefined, stop: () => undefined };
  const options = { kernelSrc: folder, good: 'v1', bad: 'v2', rate } as BisectOptions;
  expect(await bisectVerb(['smoke'], options, { progress, signal: new AbortController().signal })).toBe(0);
  expect(said()).toMatch(ending);
});
