/**
 * A place in which the rig may be ill-treated: a mount namespace with a copy of the cache that costs nothing (overlayfs
 * on a tmpfs of a chosen size). Whatever runs in it can be found, and all of it is gone with the namespace.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, readlink, rm, stat, statfs, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { execa } from 'execa';
import { expect, onTestFinished } from 'vitest';
import { z } from 'zod';
import { cacheDirectory, repositoryPath } from '../../src/config/paths.ts';

/** Why there can't be a sandbox here; undefined where there can. */
export const NO_SANDBOX: string | undefined = await whyNoSandbox();

async function whyNoSandbox(): Promise<string | undefined> {
  if (process.getuid?.() !== 0) return 'only root can mount the copy of the cache that is ill-treated';
  const folder = await mkdtemp(path.join(tmpdir(), 'dgpu-rig-probe-'));
  const { failed } = await execa('unshare', ['-m', 'sh', '-c', mountScript(folder, 1)], { reject: false });
  await rm(folder, { recursive: true });
  return failed ? 'no overlayfs can be mounted here' : undefined;
}

function mountScript(folder: string, sizeMiB: number): string {
  const [upper, work, cache] = ['upper', 'work', 'cache'].map((name) => path.join(folder, name));
  const layers = `lowerdir=${cacheDirectory()},upperdir=${String(upper)},workdir=${String(work)}`;
  return [
    `mount -t tmpfs -o size=${String(sizeMiB)}M sandbox ${folder}`,
    `mkdir ${String(upper)} ${String(work)} ${String(cache)}`,
    `mount -t overlay -o ${layers} overlay ${String(cache)}`,
  ].join(' && ');
}

export interface SandboxOptions {
  /** Room for all that is written into the cache. */
  readonly sizeMiB?: number;
  /** Begin with an empty cache, in which only these folders of the real one are seen. */
  readonly only?: readonly string[];
  /** Give the artifacts so much room, and none of the repository's. */
  readonly artifactsMiB?: number;
}

export class Sandbox {
  readonly #holder: ChildProcess;
  readonly #folder: string;

  private constructor(holder: ChildProcess, folder: string) {
    this.#holder = holder;
    this.#folder = folder;
  }

  /** Ends with the test. */
  static async open({ sizeMiB = 2048, only, artifactsMiB }: SandboxOptions = {}): Promise<Sandbox> {
    const folder = await mkdtemp(path.join(tmpdir(), 'dgpu-rig-sandbox-'));
    const artifacts = repositoryPath('artifacts');
    const script = [
      mountScript(folder, sizeMiB),
      ...(only === undefined
        ? []
        : [
            `umount ${folder}/cache`,
            ...only.map((name) => `ln -s ${path.join(cacheDirectory(), name)} ${folder}/cache/${name}`),
          ]),
      ...(artifactsMiB === undefined
        ? []
        : [`mkdir -p ${artifacts}`, `mount -t tmpfs -o size=${String(artifactsMiB)}M artifacts ${artifacts}`]),
      'echo ready',
      'exec sleep infinity',
    ].join(' && ');
    // Ends, and its mounts with it, when this process does.
    const argv = ['--pdeathsig', 'KILL', '--', 'unshare', '--mount', '--propagation', 'private', 'sh', '-c', script];
    const holder = spawn('setpriv', argv, { stdio: ['ignore', 'pipe', 'inherit'] });
    const sandbox = new Sandbox(holder, folder);
    onTestFinished(() => sandbox.#close());
    await once(holder.stdout, 'data');
    return sandbox;
  }

  /** A file of the cache, as the sandbox sees it. */
  cache(...segments: readonly string[]): string {
    return path.join(this.#root, this.#folder, 'cache', ...segments);
  }

  /** What the sandbox has written to the cache, and only that. */
  written(...segments: readonly string[]): string {
    return path.join(this.#root, this.#folder, 'upper', ...segments);
  }

  file(absolute: string): string {
    return path.join(this.#root, absolute);
  }

  /** Starts the rig, as a user would. */
  start(...args: readonly string[]): RigRun {
    const mark = `--mount=/proc/${String(this.#holder.pid)}/ns/mnt`;
    const cache = `${this.#folder}/cache`;
    const environment = [`DGPU_RIG_CACHE=${cache}`, `DGPU_RIG_HISTORY=${cache}/history-of-sandbox`];
    const rig = [...environment, repositoryPath('dgpu-rig')];
    const argv = ['--pdeathsig', 'KILL', '--', 'nsenter', mark, '--', 'env', ...rig];
    // A process group of its own, as a shell gives it one.
    const child = spawn('setpriv', [...argv, ...args], { stdio: ['ignore', 'pipe', 'pipe'], detached: true });
    onTestFinished(() => void child.kill('SIGKILL'));
    return new RigRun(child);
  }

  /** Removes an entry of the cache, so that its stage has to be built. */
  async forget(stage: string): Promise<void> {
    await rm(this.cache(stage), { recursive: true, force: true });
  }

  /** Fills the disk up to the last so many KiB; returns the way to give the space back. */
  async fill(leaveKiB: number): Promise<() => Promise<void>> {
    const filler = path.join(this.#root, this.#folder, 'filler');
    const { bavail, bsize } = await statfs(path.dirname(filler));
    const available = (bavail * bsize) / 1024;
    await execa('fallocate', ['-l', `${String(available - leaveKiB)}K`, filler]);
    return () => rm(filler);
  }

  /** Command lines of all processes that run in it. */
  async processes(): Promise<string[]> {
    const own = await readlink(`/proc/${String(this.#holder.pid)}/ns/mnt`);
    const ids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name) && Number(name) !== this.#holder.pid);
    const found = await Promise.all(
      ids.map(async (id) => {
        const namespace = await readlink(`/proc/${id}/ns/mnt`).catch(() => '');
        // One that is about to be reaped has no command line any more.
        const line = namespace === own ? await readFile(`/proc/${id}/cmdline`, 'utf8').catch(() => '') : '';
        return line.replaceAll('\0', ' ').trim();
      }),
    );
    return found.filter((line) => line !== '');
  }

  /** What must hold once the rig has ended, however it did: nothing runs, nothing is locked, no entry is half there. */
  async expectClean(): Promise<void> {
    // A process that is being torn down has no command line any more before its files, and locks with them, are closed.
    await until(
      async () => (await this.processes()).length === 0 && (await this.#lockedStages()).length === 0,
      PROCESSES_END_MS,
    );
    expect(await this.processes(), 'processes left behind').toEqual([]);
    expect(await this.#lockedStages(), 'locks left behind').toEqual([]);
    expect(await this.#damage(), 'damaged cache entries').toEqual([]);
  }

  get #root(): string {
    return `/proc/${String(this.#holder.pid)}/root`;
  }

  async #lockedStages(): Promise<string[]> {
    const names = await readdir(this.cache('locks')).catch(() => []);
    const answers = names.map((name) => execa('flock', ['-n', this.cache('locks', name), 'true'], { reject: false }));
    return (await Promise.all(answers)).flatMap(({ failed }, index) => (failed ? [String(names[index])] : []));
  }

  /** By the manifest of every entry that the sandbox wrote. */
  async #damage(): Promise<string[]> {
    const damage: string[] = [];
    for (const stage of STAGES) {
      for (const entry of await readdir(this.written(stage)).catch(() => [])) {
        // What a dead rig was still building, by its name; the next build sweeps it up.
        if (entry.startsWith('tmp-') || !(await stat(this.written(stage, entry))).isDirectory()) continue;
        const folder = this.cache(stage, entry);
        const { files } = manifest.parse(JSON.parse(await readFile(path.join(folder, '.entry.json'), 'utf8')));
        for (const { path: name, digest } of files) {
          const content = await readFile(path.join(folder, name)).catch(() => Buffer.from('missing'));
          const actual = createHash('sha256').update(content).digest('hex');
          if (actual !== digest) damage.push(`${stage}/${entry}/${name}`);
        }
      }
    }
    return damage;
  }

  async #close(): Promise<void> {
    this.#holder.kill('SIGKILL');
    if (this.#holder.exitCode === null && this.#holder.signalCode === null) await once(this.#holder, 'exit');
    await rm(this.#folder, { recursive: true, force: true });
  }
}

const manifest = z.object({ files: z.array(z.object({ path: z.string(), digest: z.string() })) });

/** Those whose entries hold plain files only. */
const STAGES = ['guest-image', 'firmware', 'packages', 'qemu'];

/** They get their signal at once, but on a busy host it takes them a moment to die of it. */
const PROCESSES_END_MS = 15_000;

export interface RigExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export class RigRun {
  readonly #child: ChildProcess;
  readonly ended: Promise<RigExit>;
  #output = '';

  constructor(child: ChildProcess) {
    this.#child = child;
    for (const stream of [child.stdout, child.stderr])
      stream?.on('data', (text: Buffer) => (this.#output += text.toString()));
    this.ended = new Promise((resolve) => child.once('exit', (code, signal) => resolve({ code, signal })));
  }

  /** All it has printed so far. */
  get output(): string {
    return this.#output;
  }

  get hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  /** It and all that it has started in its process group, as a terminal and timeout(1) do. */
  signalGroup(name: NodeJS.Signals): void {
    if (this.#child.pid !== undefined && !this.hasEnded) process.kill(-this.#child.pid, name);
  }

  /** True as soon as it has printed this; false when it ended without. */
  async hasSaid(pattern: RegExp): Promise<boolean> {
    await until(() => this.hasEnded || pattern.test(this.#output), 300_000);
    return pattern.test(this.#output);
  }
}

export async function until(condition: () => boolean | Promise<boolean>, milliseconds: number): Promise<void> {
  const end = performance.now() + milliseconds;
  while (!(await condition()) && performance.now() < end) await sleep(20);
}

/** The smallest thing that goes through all that a run is made of. */
export const SMALL_RUN = ['run', 'smoke', '--filter', 'dma-bits 32 keeps', '--dma-bits', '32'] as const;

/** The events of a run that writes them to `file`, parsed as far as they go. */
export async function readEvents(file: string): Promise<Record<string, unknown>[]> {
  if (!existsSync(file)) return [];
  const lines = (await readFile(file, 'utf8')).split('\n').slice(0, -1);
  return lines.map((line) => z.record(z.string(), z.unknown()).parse(JSON.parse(line)));
}

export async function corrupt(file: string): Promise<void> {
  const content = await readFile(file);
  const middle = Math.floor(content.length / 2);
  content[middle] = (content[middle] ?? 0) ^ 0xff;
  await writeFile(file, content);
}
