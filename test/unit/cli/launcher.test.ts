/**
 * The launcher refuses what can't work before it fetches anything; npm and Node.js are fakes that say what they were
 * asked.
 */
import { once } from 'node:events';
import { chmod, cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { execa } from 'execa';
import { expect, onTestFinished } from 'vitest';
import { repositoryPath } from '../../../src/config/paths.ts';
import { test } from '../cache/temporary-cache.ts';

interface Launch {
  readonly exitCode: number | undefined;
  readonly stderr: string;
  /** What npm was asked, if it was. */
  readonly npm: string | undefined;
}

interface LaunchOptions {
  /** Where the repository is, below the test's folder. */
  readonly name?: string;
  readonly fakes?: Readonly<Record<string, string>>;
  readonly env?: Readonly<Record<string, string>>;
  /** Whether npm packages are there and up to date. */
  readonly installed?: boolean;
  /** In the place of esbuild; without it, nothing can be compiled. */
  readonly esbuild?: string;
}

async function launch(cache: string, options: LaunchOptions): Promise<Launch> {
  const { name = 'rig', fakes = {}, env = {}, installed = false, esbuild } = options;
  const repository = path.join(cache, name);
  await mkdir(path.join(repository, 'src/config'), { recursive: true });
  const files = ['dgpu-rig', 'package-lock.json', 'src/config/host-checks.js', 'src/config/places.js', 'src/userland'];
  for (const file of files) {
    await cp(repositoryPath(file), path.join(repository, file), { recursive: true, preserveTimestamps: true });
  }
  if (installed) {
    await mkdir(path.join(repository, 'node_modules/typescript'), { recursive: true });
    await writeFile(path.join(repository, 'node_modules/.package-lock.json'), '', { flag: 'a' });
  }
  if (esbuild !== undefined) {
    await mkdir(path.join(repository, 'node_modules/esbuild/bin'), { recursive: true });
    await writeFile(path.join(repository, 'node_modules/esbuild/bin/esbuild'), `#!/bin/sh\n${esbuild}\n`, {
      mode: 0o755,
    });
  }
  // Then the space on this disk does not matter.
  for (const stage of ['packages', 'qemu', 'kernel'])
    await mkdir(path.join(cache, stage, 'entry'), { recursive: true });
  const bin = path.join(cache, 'bin');
  const asked = path.join(cache, 'asked');
  await mkdir(bin, { recursive: true });
  for (const [program, script] of Object.entries({ npm: `echo "$@" > ${asked}; exit 1`, ...fakes })) {
    await writeFile(path.join(bin, program), `#!/bin/sh\n${script}\n`);
    await chmod(path.join(bin, program), 0o755);
  }
  const { exitCode, stderr } = await execa(path.join(repository, 'dgpu-rig'), ['doctor'], {
    env: { PATH: `${bin}:${process.env['PATH'] ?? ''}`, ...env },
    reject: false,
  });
  return { exitCode, stderr, npm: await readFile(asked, 'utf8').catch(() => undefined) };
}

test.for(['v18.20.4', 'v20.18.3', 'v21.7.3', 'v22.12.0', 'v23.11.0'])(
  'Node.js %s, which vitest or eslint refuses',
  async (version, { cache }) => {
    const { exitCode, stderr, npm } = await launch(cache, { fakes: { node: `echo ${version}` } });
    expect(exitCode).toBe(4);
    expect(stderr).toMatch(new RegExp(`needs Node\\.js 20\\.19.* ${version}\\n {2}Install`));
    expect(npm).toBeUndefined();
  },
);

/** Its check of the host passes; as the rig itself it says whether anybody could replace the packages under it. */
const fakeNode = (version: string): string =>
  [
    `case $1 in --version) echo ${version} ;;`,
    '--import) flock -n "$(dirname "$(dirname "$(dirname "$5")")")" true && exit 0 ; exit 7 ;;',
    'esac',
  ].join('\n');

test.for(['v20.19.0', 'v22.13.0', 'v24.0.0', 'v30.1.0'])(
  'under Node.js %s the rig runs, and nobody can replace its packages meanwhile',
  async (version, { cache }) => {
    const { exitCode, npm } = await launch(cache, { installed: true, fakes: { node: fakeNode(version) } });
    expect(exitCode).toBe(7);
    expect(npm).toBeUndefined();
  },
);

test('packages are not replaced under a rig that runs', async ({ cache }) => {
  await mkdir(path.join(cache, 'rig'));
  const running = execa('flock', ['-s', path.join(cache, 'rig'), 'sh', '-c', 'echo; exec sleep 60'], { reject: false });
  onTestFinished(() => void running.kill('SIGKILL'));
  await once(running.stdout, 'data');
  const { exitCode, stderr, npm } = await launch(cache, { fakes: { node: fakeNode('v20.19.0') } });
  expect(exitCode).toBe(4);
  expect(stderr).toMatch(/another dgpu-rig .* is running.*\n {2}Wait/);
  expect(npm).toBeUndefined();
});

/** As the rig itself it says which program it is to run. */
const tellingNode = 'case $1 in --version) echo v20.19.0 ;; *) printf "%s\\n" "$@" | tail -n 2 >&2 ;; esac';

test('the sources are compiled once for each state of them', async ({ cache }) => {
  const count = path.join(cache, 'compiled');
  const esbuild = `for word; do case $word in --outdir=*) mkdir -p "\${word#*=}" ;; esac; done; echo >> ${count}`;
  const started: string[] = [];
  for (const source of ['a.ts', 'a.ts', 'b.ts']) {
    await mkdir(path.join(cache, 'rig/src'), { recursive: true });
    await writeFile(path.join(cache, 'rig/src', source), '', { flag: 'a' });
    const { stderr } = await launch(cache, { installed: true, esbuild, fakes: { node: tellingNode } });
    started.push(stderr);
  }
  const [first = '', again, changed] = started;
  expect(first).toMatch(/node_modules\/\.cache\/dgpu-rig\/[\d-]+\/main\.js\ndoctor$/);
  expect(again).toBe(first);
  expect(changed).not.toBe(first);
  expect((await readFile(count, 'utf8')).length).toBe(2);
});

test('what does not compile is run as it is, so that the error is explained', async ({ cache }) => {
  const { stderr } = await launch(cache, { installed: true, esbuild: 'exit 1', fakes: { node: tellingNode } });
  expect(stderr).toMatch(/src\/cli\/main\.ts\ndoctor$/);
});

test('no package runs scripts when it is installed', async () => {
  const { stdout } = await execa('npm', ['config', 'get', 'ignore-scripts'], { cwd: repositoryPath() });
  expect(stdout).toBe('true');
});

test('a path with a blank in it', async ({ cache }) => {
  const { exitCode, stderr, npm } = await launch(cache, { name: 'my rig' });
  expect(exitCode).toBe(4);
  expect(stderr).toMatch(/^dgpu-rig: The repository is in ".*my rig", .*blanks.*\n {2}Move it .*\n?$/);
  expect(npm).toBeUndefined();
});

test('packages of the development are installed under NODE_ENV=production, too', async ({ cache }) => {
  const { exitCode, stderr, npm } = await launch(cache, { env: { NODE_ENV: 'production' } });
  expect(npm).toMatch(/^ci .*--include=dev/);
  expect(exitCode).toBe(4);
  expect(stderr).toMatch(/npm ci failed.*\n {2}.*proxy/);
});
