/** Runs over a cluster of two virtual nodes: real jobs, real VMs, and a node that dies while its VM runs. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { repositoryPath } from '../../src/config/paths.ts';
import { runReport } from '../../src/report/run-report.ts';
import { NO_SLURM, VirtualCluster } from './virtual-cluster.ts';

const TIMEOUT = { timeout: 900_000 };
/** Light ones, in two shards; the third has nothing to do. */
const TESTS = ['smoke', 'matrix', '--filter', 'bounce, it is seen|tiers 40-bit shmem'];
const ON_SLURM = ['--engine', 'slurm', '--shards', '3', '--max-vms', '1'];

async function until(condition: () => boolean | Promise<boolean>, milliseconds = 300_000): Promise<void> {
  const end = performance.now() + milliseconds;
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`still not true: ${condition.toString()}`);
    await sleep(100);
  }
}

describe.skipIf(NO_SLURM !== undefined)(`a cluster${NO_SLURM === undefined ? '' : ` (${NO_SLURM})`}`, () => {
  let cluster: VirtualCluster;
  beforeAll(async () => {
    cluster = await VirtualCluster.start();
  });
  afterAll(() => cluster.stop());

  interface Started {
    readonly ended: Promise<number | null>;
    readonly hasEnded: () => boolean;
    readonly signal: (name: NodeJS.Signals) => void;
    readonly said: () => string;
    /** What the jobs write into, once there is one. */
    readonly folder: () => string | undefined;
  }

  function start(...args: readonly string[]): Started {
    const environment = { ...process.env, ...cluster.environment };
    const run = spawn(repositoryPath('dgpu-rig'), args, { env: environment, stdio: ['ignore', 'pipe', 'pipe'] });
    let text = '';
    for (const stream of [run.stdout, run.stderr]) stream.on('data', (chunk: Buffer) => (text += chunk.toString()));
    const ended = new Promise<number | null>((resolve) => run.once('exit', resolve));
    const folder = (): string | undefined => / in (\/\S+\/slurm-\S+)/.exec(text)?.[1];
    onTestFinished(async () => {
      run.kill('SIGKILL');
      await rm(folder() ?? '/nonexistent', { recursive: true, force: true });
    });
    return { ended, hasEnded: () => run.exitCode !== null, signal: (name) => run.kill(name), said: () => text, folder };
  }

  /** A node that runs a test right now. */
  async function testingNode(folder: string | undefined): Promise<string | undefined> {
    const shards = folder === undefined ? [] : await readdir(folder).catch(() => []);
    for (const shard of shards.filter((name) => name.startsWith('shard-'))) {
      const read = (name: string): Promise<string> =>
        readFile(path.join(String(folder), shard, 'attempt-0', name), 'utf8').catch(() => '');
      const events = await read('events.jsonl');
      if (/"title":"(smoke|matrix) ›/.test(events) && !events.includes('"test-end"'))
        return (await read('node')).trim();
    }
    return undefined;
  }

  test('a node dies while its VM runs: all results are there, and it is told', TIMEOUT, async () => {
    const results = await mkdtemp(path.join(tmpdir(), 'dgpu-rig-test-'));
    onTestFinished(() => rm(results, { recursive: true }));
    const json = path.join(results, 'all.json');
    const { ended, hasEnded, said, folder } = start('run', ...TESTS, ...ON_SLURM, '--json', json);
    let node: string | undefined;
    await until(async () => hasEnded() || (node = await testingNode(folder())) !== undefined);
    expect(node, said()).toMatch(/^node[12]$/);
    await cluster.kill(String(node));
    expect(await ended, said()).toBe(0);
    const report = runReport.parse(JSON.parse(await readFile(json, 'utf8')));
    expect(report.results.map(({ suite, test: name }) => `${suite}: ${name}`).sort()).toEqual([
      'matrix: tiers 40-bit shmem cached plain > content is kept, and limits are',
      'smoke: bouncing > control: where the kernel is made to bounce, it is seen',
    ]);
    expect(report.results.map(({ status }) => status)).toEqual(['pass', 'pass']);
    expect(report.lostJobs?.map((job) => job.node)).toContain(node);
    expect(said()).toMatch(/Shard \d was lost with node\d, after 0 tests, and ran again/);
    expect(existsSync(String(folder())), 'what is left of the lost job').toBe(true);
    expect(await cluster.processes()).toEqual([]);
  });

  test('Ctrl-C cancels the jobs, and they end in order', TIMEOUT, async () => {
    const { ended, hasEnded, signal, said, folder } = start('run', ...TESTS, ...ON_SLURM);
    await until(async () => hasEnded() || (await testingNode(folder())) !== undefined);
    signal('SIGINT');
    expect(await ended, said()).toBe(130);
    expect(said()).toMatch(/^Interrupted: SIGINT told the rig to stop\./m);
    expect(said()).toMatch(/not run: interrupted/);
    expect(await cluster.squeue()).toEqual([]);
    await until(async () => (await cluster.processes()).length === 0, 30_000);
    const names = await readdir(String(folder()), { recursive: true });
    const outputs = names.filter((name) => name.endsWith('/output'));
    const texts = await Promise.all(outputs.map((name) => readFile(path.join(String(folder()), name), 'utf8')));
    expect(texts.filter((text) => text.includes('Stopping in order')).length, texts.join('\n')).toBeGreaterThan(0);
  });

  test('jobs that end without a report are an error, with what they said last', TIMEOUT, async () => {
    // Not there on the nodes, though the suites and the plan are.
    const { ended, said } = start('run', ...TESTS, ...ON_SLURM, '--shards', '2', '--kernel-src', '/nonexistent');
    expect(await ended, said()).toBe(4);
    expect(said()).toMatch(/No shard wrote a report.*FAILED/);
    expect(said()).toContain('/nonexistent');
  });
});

test('without Slurm, it says what to do', async () => {
  const rig = [repositoryPath('src/cli/main.ts'), 'run', 'smoke', '--engine', 'slurm'];
  const { exitCode, stderr } = await execa(process.execPath, ['--import', 'tsx', ...rig], {
    cwd: repositoryPath(),
    env: { PATH: '/nonexistent' },
    extendEnv: false,
    reject: false,
  });
  expect(stderr).toMatch(/There is no sinfo here.*\n.*apt-get install/);
  expect(exitCode).toBe(4);
});
