/** `dgpu-rig gdb` that is told to end: gdb is ended, its VM is gone, and the terminal is as it was. */
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { execa } from 'execa';
import { beforeEach, expect, onTestFinished, test, vi } from 'vitest';
import type { GdbOptions } from '../../../src/cli/desk/gdb-verb.ts';
import { gdbVerb } from '../../../src/cli/desk/gdb-verb.ts';
import { Interruption } from '../../../src/cli/session.ts';
import { repositoryPath } from '../../../src/config/paths.ts';
import { fakeGuest, forwardTo, succeed } from '../vm/fakes/fake-guest.ts';
import { FakeQemu } from '../vm/fakes/fake-qemu.ts';

const fakes = vi.hoisted(() => ({ prepareRun: vi.fn() }));
vi.mock('../../../src/plan/prepare-run.ts', () => fakes);

/**
 * Has Python; then makes the terminal its own, if there is one, and waits for ever. As gdb does, it says a lot upon
 * SIGTERM.
 */
const GDB = `#!/bin/sh
case "$*" in *snake*) echo snake; exit;; esac
stty raw -echo 2>/dev/null
echo $$ > "$FAKE_GDB/pid.tmp"
mv "$FAKE_GDB/pid.tmp" "$FAKE_GDB/pid"
trap 'echo KeyboardInterrupt; exit 1' TERM
trap 'kill $!; exit 1' HUP
sleep 600 &
wait
`;

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'dgpu-rig-gdb-test-'));
  await writeFile(path.join(folder, 'gdb'), GDB, { mode: 0o755 });
  vi.stubEnv('PATH', `${folder}:${process.env['PATH'] ?? ''}`);
  vi.stubEnv('FAKE_GDB', folder);
  onTestFinished(async () => {
    vi.unstubAllEnvs();
    await rm(folder, { recursive: true });
  });
});

async function gdbStarted(): Promise<number> {
  const read = (): Promise<string> => readFile(path.join(folder, 'pid'), 'utf8').catch(() => '');
  await expect.poll(read, { timeout: 20_000 }).not.toBe('');
  return Number(await read());
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

test(
  'gdb of a tree with the driver in it: the driver is loaded; at the end gdb, VM and files are gone',
  { timeout: 30_000 },
  async () => {
    const qemu = await FakeQemu.create();
    const commands: string[] = [];
    const guest = await fakeGuest((channel, command) => {
      commands.push(command);
      succeed(channel);
    });
    forwardTo(qemu, guest);
    const { software, folder: vmFolder } = await qemu.spec({ folder: path.join(qemu.folder, 'artifacts/gdb') });
    void qemu.started().then(() => qemu.say(`RIG-READY ${guest.hostKey}`, vmFolder));
    const kernel = { ...software.kernel, folder, vmlinux: '/dev/null', unpatched: false, patches: [] };
    fakes.prepareRun.mockResolvedValue({
      build: { ...software, kernel },
      acceleration: { accelerator: 'kvm' },
      selection: { machine: 'noswap', dmaBits: [32] },
      artifacts: path.dirname(vmFolder),
    });
    vi.stubEnv('TMPDIR', folder);
    const end = new AbortController();
    const progress = { emit: () => undefined, print: () => undefined, stop: () => undefined };
    const listeners = process.listeners('SIGINT');
    const options = { driver: true, keep: false, accel: 'kvm' } as GdbOptions;
    const ended = gdbVerb([], options, { progress, signal: end.signal }).catch((error: unknown) => error);
    const gdb = await gdbStarted();
    const [pid = 0] = await qemu.pids();
    expect([isAlive(gdb), isAlive(pid)]).toEqual([true, true]);
    // No patches were applied: the tree has the series, and so the driver, in it.
    expect(commands).toContainEqual(expect.stringContaining('modprobe edgpu'));

    const why = new Interruption('SIGTERM told the rig to stop.');
    end.abort(why);
    expect(await ended).toBe(why);
    expect([isAlive(gdb), isAlive(pid)]).toEqual([false, false]);
    expect((await readdir(folder)).filter((name) => name.startsWith('dgpu-rig-gdb-'))).toEqual([]);
    expect(process.listeners('SIGINT')).toEqual(listeners);
  },
);

test('the terminal is as it was', { timeout: 60_000 }, async () => {
  const program = repositoryPath('test/unit/cli/gdb-in-terminal.ts');
  const tsx = repositoryPath('node_modules/tsx/dist/loader.mjs');
  const [before, after] = ['before', 'after'].map((name) => path.join(folder, name));
  const rig = `node --import ${tsx} ${program}`;
  const shell = `stty -g > ${String(before)}; ${rig}; echo $? > ${folder}/code; stty -g > ${String(after)}`;
  const terminal = execa('script', ['-qec', shell, '/dev/null'], { stdin: 'pipe' });
  const gdb = await gdbStarted();
  process.kill(Number(await readFile(path.join(folder, 'rig'), 'utf8')), 'SIGTERM');
  expect((await terminal).stdout).not.toContain('KeyboardInterrupt');
  expect(isAlive(gdb)).toBe(false);
  expect(await readFile(String(after), 'utf8')).toBe(await readFile(String(before), 'utf8'));
  expect(await readFile(path.join(folder, 'code'), 'utf8')).toBe('130\n');
});
