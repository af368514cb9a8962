/** A VM can be got at by who owns it, from another process, and by nobody else. */
import { chmod, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { PassThrough, Writable, Duplex } from 'node:stream';
import { expect, onTestFinished, test, vi } from 'vitest';
import {
  consoleOf,
  Door,
  runningVms,
  sshAddressOf,
  type Household,
  type RunningVm,
} from '../../../src/vm/link/door.ts';
import { SerialConsole } from '../../../src/vm/link/serial-console.ts';

const ADDRESS = { port: 2222, hostKey: 'host', privateKey: `-----BEGIN\n${'k'.repeat(3000)}` };

interface Home {
  readonly folder: string;
  readonly port: PassThrough;
  readonly typed: () => string;
  readonly door: Door;
}

async function doorFolder(): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'dgpu-rig-test-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

async function home(changes: Partial<Household> = {}, folder?: string): Promise<Home> {
  const where = folder ?? (await doorFolder());
  const port = new PassThrough();
  let typed = '';
  const keyboard = new Writable({
    write: (chunk: Buffer, _, done) => {
      typed += chunk.toString();
      done();
    },
  });
  const console = new SerialConsole(Duplex.from({ readable: port, writable: keyboard }), new PassThrough().resume());
  const household = { pid: 77, folder: '/artifacts/run/smoke', state: () => 'ready', ssh: () => ADDRESS, console };
  const door = Door.open({ ...household, ...changes }, where);
  onTestFinished(() => door.close());
  await expect.poll(() => readdir(where)).not.toHaveLength(0);
  return { folder: where, port, typed: () => typed, door };
}

async function only(folder: string): Promise<RunningVm> {
  const [vm] = await runningVms(folder);
  if (!vm) throw new Error('There is none');
  return vm;
}

test('who asks is told which VM it is, and how to log in', async () => {
  const { folder } = await home();
  const vm = await only(folder);
  expect(vm).toMatchObject({ pid: 77, folder: '/artifacts/run/smoke', state: 'ready' });
  expect(await sshAddressOf(vm)).toEqual(ADDRESS);
});

test('before the guest listens there is no address', async () => {
  const { folder } = await home({ ssh: () => undefined, state: () => 'booting' });
  expect(await sshAddressOf(await only(folder))).toBeNull();
});

test('the console: what it said last, what it says, and what is typed', async () => {
  const { folder, port, typed } = await home();
  port.write('booted\nlogin: ');
  const stream = await consoleOf(await only(folder));
  let shown = '';
  stream.on('data', (chunk: Buffer) => (shown += chunk.toString()));
  await expect.poll(() => shown).toBe('booted\r\nlogin: ');
  stream.write('root\r');
  await expect.poll(typed).toBe('root\r');
  port.write('\x1b[1mwelcome');
  await expect.poll(() => shown).toBe('booted\r\nlogin: \x1b[1mwelcome');
});

test('what is typed together with the wish reaches the guest', async () => {
  const { folder, typed } = await home();
  const visitor = connect((await only(folder)).door);
  onTestFinished(() => void visitor.destroy());
  visitor.write('{"want":"console"}\nüber\n');
  await expect.poll(typed).toBe('über\n');
  visitor.write('more\n');
  await expect.poll(typed).toBe('über\nmore\n');
});

test('what is no wish is not answered', async () => {
  const { folder, typed } = await home();
  const vm = await only(folder);
  for (const nonsense of ['{"want":"money"}\n', 'reboot\n', `${'x'.repeat(100_000)}\n`]) {
    const visitor = connect(vm.door);
    visitor.on('error', () => undefined);
    visitor.write(nonsense);
    visitor.resume();
    await new Promise((resolve) => visitor.once('close', resolve));
  }
  expect(typed()).toBe('');
  expect(await runningVms(folder)).toHaveLength(1);
});

test('the end of a VM ends its visits, and takes the door away', async () => {
  const { folder, door } = await home();
  const stream = await consoleOf(await only(folder));
  const closed = new Promise((resolve) => stream.once('close', resolve));
  stream.resume();
  door.close();
  await closed;
  await expect.poll(() => readdir(folder)).toEqual([]);
});

test('what a killed process left is taken away, and in nobody’s way', async () => {
  const folder = await doorFolder();
  await writeFile(path.join(folder, 'notes'), '');
  // A socket file without a process behind it.
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(path.join(folder, 'live'), resolve));
  const { rename } = await import('node:fs/promises');
  await rename(path.join(folder, 'live'), path.join(folder, '76.sock'));
  await new Promise((resolve) => server.close(resolve));
  await home({}, folder);
  expect((await runningVms(folder)).map(({ pid }) => pid)).toEqual([77]);
  expect((await readdir(folder)).sort()).toEqual(['77.sock', 'notes']);
});

test('in a folder that others may enter there is no door', async () => {
  const folder = await doorFolder();
  await chmod(folder, 0o755);
  const console = new SerialConsole(new PassThrough(), new PassThrough());
  const door = Door.open({ pid: 77, folder: '', state: () => '', ssh: () => ADDRESS, console }, folder);
  onTestFinished(() => door.close());
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(await readdir(folder)).toEqual([]);
});

test('in a folder that others may enter nobody is asked, and it is said', async () => {
  const { folder } = await home();
  await chmod(folder, 0o755);
  await expect(runningVms(folder)).rejects.toMatchObject({
    failureClass: 'infrastructure',
    message: expect.stringContaining(folder) as string,
  });
  await chmod(folder, 0o700);
  expect(await runningVms(folder)).toHaveLength(1);
});

test("in another user's folder nobody is asked, either, and there is no door", async () => {
  const { folder } = await home();
  const before = await readdir(folder);
  const user = vi.spyOn(process, 'getuid').mockReturnValue((process.getuid?.() ?? 0) + 1);
  onTestFinished(() => user.mockRestore());
  await expect(runningVms(folder)).rejects.toThrow(`${folder} is another user's`);
  const console = new SerialConsole(new PassThrough(), new PassThrough());
  const door = Door.open({ pid: 78, folder: '', state: () => '', ssh: () => ADDRESS, console }, folder);
  onTestFinished(() => door.close());
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(await readdir(folder)).toEqual(before);
});

test('where there is no folder there are no VMs', async () => {
  expect(await runningVms(path.join(await doorFolder(), 'none'))).toEqual([]);
});
