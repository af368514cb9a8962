import { access, readFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect } from 'vitest';

import { repositoryPath } from '../../../src/config/paths.ts';
import { shellQuote } from '../../../src/util/shell-quote.ts';
import { runBuildCommand } from '../../../src/builds/tree/build-command.ts';
import { test } from '../cache/temporary-cache.ts';

const NEVER = new AbortController().signal;

function shell(cache: string, script: string, signal = NEVER): Parameters<typeof runBuildCommand>[0] {
  return { what: 'the test', argv: ['sh', '-c', script], cwd: cache, log: path.join(cache, 'logs/test.log'), signal };
}

async function waitForLine(
  run: (onLine: (line: string) => void) => Promise<void>,
): Promise<{ line: string; end: Promise<unknown> }> {
  return new Promise((resolve) => {
    const end: Promise<unknown> = run((line) => resolve({ line, end })).catch((error: unknown) => error);
  });
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** An orphan is reaped by another process, in its own time. */
async function untilReaped(pid: number): Promise<void> {
  expect(pid).toBeGreaterThan(0);
  for (let tries = 0; isAlive(pid) && tries < 100; tries++) await sleep(20);
  expect(isAlive(pid)).toBe(false);
}

describe('a command', () => {
  test('is watched line by line and logged', async ({ cache }) => {
    const lines: string[] = [];
    await runBuildCommand({ ...shell(cache, 'echo one; echo two >&2'), onLine: (line) => lines.push(line) });
    expect(lines.sort()).toEqual(['one', 'two']);
    expect(await readFile(path.join(cache, 'logs/test.log'), 'utf8')).toMatch(/^\$ cd .*\n(one\ntwo|two\none)\n$/);
  });

  test('does not see what would change a build', async ({ cache }) => {
    process.env['CFLAGS'] = '-O0';
    try {
      await runBuildCommand(shell(cache, 'test -z "$CFLAGS" && test -n "$HOME"'));
    } finally {
      delete process.env['CFLAGS'];
    }
  });

  test('that fails: the first error, the exit code, the log', async ({ cache }) => {
    const running = runBuildCommand(
      shell(cache, 'echo fine; echo "a.c:1: error: broken"; echo "make: *** [a.o]"; exit 3'),
    );
    await expect(running).rejects.toMatchObject({
      failureClass: 'infrastructure',
      message: 'the test failed (exit code 3):\n  a.c:1: error: broken',
      remedy: expect.stringContaining('logs/test.log') as string,
    });
  });

  test('that fails since make can not go on: what make says', async ({ cache }) => {
    const running = runBuildCommand(shell(cache, 'echo "make: *** No rule to make target"; exit 2'));
    await expect(running).rejects.toThrow(/\n {2}make: \*\*\* No rule/);
  });

  test('that finds an error in a file of the rig names the file that is edited, whose mistake it is', async ({
    cache,
  }) => {
    const edited = new Map([['drivers/gpu/drm/edgpu/a.c', repositoryPath('guest-kernel/edgpu/a.c')]]);
    const said = [
      'In file included from drivers/gpu/drm/edgpu/a.c:3:',
      "drivers/gpu/drm/edgpu/a.c:9:1: error: expected ';'",
      'drivers/gpu/drm/drm_b.c:2:1: error: a consequence',
      'make[3]: *** [a.o] Error 1',
    ];
    const command = shell(cache, `printf '%s\\n' ${said.map(shellQuote).join(' ')}; exit 2`);
    await expect(runBuildCommand({ ...command, editedFile: (name) => edited.get(name) })).rejects.toMatchObject({
      failureClass: 'usage',
      message:
        "the test failed (exit code 2):\n  guest-kernel/edgpu/a.c:9:1: error: expected ';'\n  drivers/gpu/drm/drm_b.c:2:1: error: a consequence",
    });
    await expect(runBuildCommand(command)).rejects.toMatchObject({ failureClass: 'infrastructure' });
  });

  test("that ninja runs: the compiler's error, not the command that ninja prints before it", async ({ cache }) => {
    const edited = new Map([['../src/hw/edgpu/a.c', repositoryPath('rig/edgpu/a.c')]]);
    const said = [
      'FAILED: libsystem.a.p/hw_edgpu_a.c.o ',
      'cc -Ilibsystem.a.p -o libsystem.a.p/hw_edgpu_a.c.o -c ../src/hw/edgpu/a.c',
      "../src/hw/edgpu/a.c: In function 'a':",
      "../src/hw/edgpu/a.c:9:1: error: expected ';'",
      'ninja: build stopped: subcommand failed.',
    ];
    const command = shell(cache, `printf '%s\\n' ${said.map(shellQuote).join(' ')}; exit 1`);
    await expect(runBuildCommand({ ...command, editedFile: (name) => edited.get(name) })).rejects.toMatchObject({
      failureClass: 'usage',
      message: expect.stringContaining(
        "the test failed (exit code 1):\n  rig/edgpu/a.c:9:1: error: expected ';'\n",
      ) as string,
    });
  });

  test('that fills the disk: the remedy is another one than the log', async ({ cache }) => {
    const running = runBuildCommand(shell(cache, 'echo "write: No space left on device"; exit 1'));
    await expect(running).rejects.toMatchObject({ remedy: expect.stringContaining('DGPU_RIG_CACHE') as string });
  });

  test('that is killed from outside', async ({ cache }) => {
    await expect(runBuildCommand(shell(cache, 'kill -KILL $$'))).rejects.toThrow('the test failed (SIGKILL)');
  });

  test('that does not exist', async ({ cache }) => {
    const running = runBuildCommand({ ...shell(cache, ''), argv: ['no-such-program'] });
    await expect(running).rejects.toThrow(/the test failed \(exit code 127\):\n.*no-such-program/);
  });
});

describe('an abort', () => {
  test('ends the whole process group', async ({ cache }) => {
    const abort = new AbortController();
    const script = 'sleep 60 & echo $!; wait';
    const { line, end } = await waitForLine(async (onLine) =>
      runBuildCommand({ ...shell(cache, script, abort.signal), onLine }),
    );
    const grandchild = Number(line);
    expect(isAlive(grandchild)).toBe(true);
    abort.abort(new Error('Ctrl-C'));
    expect(await end).toMatchObject({ message: 'Ctrl-C' });
    await untilReaped(grandchild);
  });

  test('ends what has left the group and takes no notice', async ({ cache }) => {
    const abort = new AbortController();
    // In bash, `set -m` gives a job a group of its own, as ninja does, and without a terminal, too.
    const script = "set -m; sh -c 'trap : TERM; echo $$; while :; do sleep 0.1; done' & wait";
    const argv = ['bash', '-c', script] as const;
    const command = { ...shell(cache, script, abort.signal), argv, graceMs: 100 };
    const { line, end } = await waitForLine(async (onLine) => runBuildCommand({ ...command, onLine }));
    abort.abort(new Error('Ctrl-C'));
    expect(await end).toMatchObject({ message: 'Ctrl-C' });
    await untilReaped(Number(line));
  });

  test('while the command is being started ends it, too', async ({ cache }) => {
    const abort = new AbortController();
    const running = runBuildCommand(shell(cache, 'sleep 30', abort.signal));
    abort.abort(new Error('Ctrl-C'));
    const start = performance.now();
    await expect(running).rejects.toThrow('Ctrl-C');
    expect(performance.now() - start).toBeLessThan(20_000);
  });

  test('ends the wait, too, where something that can not be ended holds the output', async ({ cache }) => {
    const abort = new AbortController();
    // Out of the session, as a process that is stuck in the host's kernel is out of reach; it says so once it is.
    const command = { ...shell(cache, "setsid sh -c 'echo $$; exec sleep 30' & wait", abort.signal), graceMs: 100 };
    const { line, end } = await waitForLine(async (onLine) => runBuildCommand({ ...command, onLine }));
    const start = performance.now();
    abort.abort(new Error('Ctrl-C'));
    expect(await end).toMatchObject({ message: 'Ctrl-C' });
    expect(performance.now() - start).toBeLessThan(15_000);
    process.kill(Number(line));
  });

  test('before the start starts nothing', async ({ cache }) => {
    const running = runBuildCommand(shell(cache, 'touch started', AbortSignal.abort(new Error('Ctrl-C'))));
    await expect(running).rejects.toThrow('Ctrl-C');
    await expect(access(path.join(cache, 'started'))).rejects.toThrow('ENOENT');
  });
});

describe('the marker of a tree that is being changed', () => {
  const dirtyMarker = 'dirty';

  test.for([
    ['stays while the command runs', 'test -e dirty', false],
    ['goes when the command fails by itself', 'exit 0', false],
    ['stays when the command is killed', 'kill -KILL $$', true],
  ] as const)('%s', async ([, script, remains], { cache }) => {
    const marker = path.join(cache, dirtyMarker);
    await runBuildCommand({ ...shell(cache, script), dirtyMarker: marker }).catch(() => undefined);
    const found = await access(marker).then(
      () => true,
      () => false,
    );
    expect(found).toBe(remains);
  });
});
