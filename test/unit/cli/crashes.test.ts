/** An error of ours never ends in exit code 1: to bisect and to every CI that says that a test failed. */
import { copyFile, cp, mkdir, mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { execa } from 'execa';
import { describe, expect, test } from 'vitest';
import { repositoryPath } from '../../../src/config/paths.ts';

const TSX = repositoryPath('node_modules/tsx/dist/loader.mjs');

/** The rig, in which something happens as soon as it has a session. */
async function rigIn(what: string): Promise<{ exitCode?: number | undefined; stderr: string }> {
  const source = `const wait = setInterval(() => {
    if (process.listenerCount('SIGHUP') === 0) return;
    clearInterval(wait);
    ${what}
  }, 1).unref();`;
  const preload = `data:text/javascript,${encodeURIComponent(source)}`;
  const argv = ['--import', TSX, '--import', preload, repositoryPath('src/cli/main.ts'), 'completion', 'bash'];
  return execa('node', argv, { reject: false });
}

describe('an error that nobody has caught', { concurrent: true }, () => {
  test.for([
    ['thrown', 'throw new Error("boom");'],
    ['of a promise', 'Promise.reject(new Error("boom"));'],
  ] as const)('%s', { timeout: 60_000 }, async ([, what]) => {
    const { exitCode, stderr } = await rigIn(what);
    expect(stderr).toContain('bug of the rig itself');
    expect(stderr).toContain('boom');
    expect(exitCode).toBe(4);
  });

  test('while the rig is loaded', { timeout: 60_000 }, async ({ onTestFinished }) => {
    const folder = await mkdtemp(path.join(tmpdir(), 'dgpu-rig-broken-'));
    onTestFinished(() => rm(folder, { recursive: true }));
    await mkdir(path.join(folder, 'src/cli'), { recursive: true });
    await copyFile(repositoryPath('dgpu-rig'), path.join(folder, 'dgpu-rig'));
    await cp(repositoryPath('src/userland'), path.join(folder, 'src/userland'), { recursive: true });
    await cp(repositoryPath('package-lock.json'), path.join(folder, 'package-lock.json'), { preserveTimestamps: true });
    await symlink(repositoryPath('node_modules'), path.join(folder, 'node_modules'));
    const guard = 'src/cli/crash-guard.mjs';
    await copyFile(repositoryPath(guard), path.join(folder, guard)).catch(() => undefined);
    const { exitCode, stderr } = await execa(path.join(folder, 'dgpu-rig'), ['run'], { reject: false });
    expect(stderr).toContain('main.ts');
    expect(exitCode).toBe(4);
  });

  test('before node is there to run it', { timeout: 60_000 }, async ({ onTestFinished }) => {
    const folder = await mkdtemp(path.join(tmpdir(), 'dgpu-rig-broken-'));
    onTestFinished(() => rm(folder, { recursive: true }));
    await copyFile(repositoryPath('dgpu-rig'), path.join(folder, 'dgpu-rig'));
    await cp(repositoryPath('src/userland'), path.join(folder, 'src/userland'), { recursive: true });
    const { exitCode } = await execa(path.join(folder, 'dgpu-rig'), ['run'], { reject: false });
    expect(exitCode).toBe(4);
  });
});

test('a reader that goes away ends the run as a closed terminal does', { timeout: 60_000 }, async () => {
  const child = execa('node', ['--import', TSX, repositoryPath('test/unit/cli/crashing-session.ts')], {
    reject: false,
    buffer: false,
  });
  child.stdout.once('data', () => child.stdout.destroy());
  expect((await child).exitCode).toBe(130);
});
