/** The launcher refuses what can't work before it fetches anything; npm and Node.js are fakes that say what they were asked. */
import { chmod, cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { execa } from 'execa';
import { expect } from 'vitest';
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
}

async function launch(cache: string, { name = 'rig', fakes = {}, env = {} }: LaunchOptions): Promise<Launch> {
  const repository = path.join(cache, name);
  await mkdir(path.join(repository, 'src/config'), { recursive: true });
  for (const file of ['dgpu-rig', 'package-lock.json', 'src/config/host-checks.js', 'src/config/places.js']) {
    await cp(repositoryPath(file), path.join(repository, file));
  }
  // Then the space on this disk does not matter.
  for (const stage of ['packages', 'qemu', 'kernel'])
    await mkdir(path.join(cache, stage, 'entry'), { recursive: true });
  const bin = path.join(cache, 'bin');
  const asked = path.join(cache, 'asked');
  await mkdir(bin);
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

test('an old Node.js', async ({ cache }) => {
  const { exitCode, stderr, npm } = await launch(cache, { fakes: { node: 'echo v18.20.4' } });
  expect(exitCode).toBe(4);
  expect(stderr).toMatch(/needs Node\.js 20\.19 or later.* v18\.20\.4\n {2}Install/);
  expect(npm).toBeUndefined();
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
