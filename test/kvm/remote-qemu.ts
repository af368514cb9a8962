/**
 * A QEMU that runs in another machine and behaves as if it ran here: monitor, console, forwarded port, signals and exit
 * are relayed over SSH. The first argument names a file with what this program has to know, the rest is QEMU's command
 * line.
 */
import { constants, openSync, writeSync } from 'node:fs';
import { open, readFile, stat } from 'node:fs/promises';
import { createServer, Socket, type AddressInfo } from 'node:net';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { once } from 'node:events';
import ssh2, { type ClientChannel } from 'ssh2';
import { z } from 'zod';
import { shellQuote } from '../../src/util/shell-quote.ts';

const remoteQemu = z.object({
  ssh: z.object({ port: z.number(), hostKey: z.string(), privateKey: z.string() }),
  /** There, as are all paths below. */
  binary: z.string(),
  loader: z.string(),
  libraries: z.string(),
  /** The guest's image, with which each VM's own begins; it is there already. */
  image: z.string(),
  /** Who runs it. */
  user: z.string(),
});
export type RemoteQemu = z.infer<typeof remoteQemu>;

const MONITOR_FD = 3;
/** How long the console may trail behind QEMU's exit. */
const LAST_WORDS_MS = 2000;

const [configFile, ...argv] = process.argv.slice(2);
if (configFile === undefined) throw new Error('usage: remote-qemu CONFIG ARGUMENT…');
const config = remoteQemu.parse(JSON.parse(await readFile(configFile, 'utf8')));
const client = await connect(config.ssh);
process.exitCode = await relayQemu();
process.exit();

async function connect({ port, hostKey, privateKey }: RemoteQemu['ssh']): Promise<InstanceType<typeof ssh2.Client>> {
  const connection = new ssh2.Client();
  connection.connect({
    ...{ host: '127.0.0.1', port, username: 'root', privateKey, readyTimeout: 60_000 },
    hostVerifier: (key: Buffer) => key.equals(Buffer.from(hostKey, 'base64')),
  });
  await once(connection, 'ready');
  connection.on('error', () => undefined).on('close', endWithMachine);
  return connection;
}

/** A QEMU that has lost the machine it runs in says nothing any more, as one that was killed. */
function endWithMachine(): void {
  writeSync(process.stderr.fd, 'The machine around this QEMU has ended\n');
  process.kill(process.pid, 'SIGKILL');
}

async function relayQemu(): Promise<number> {
  const port = await forwardPort();
  const console = valueOf(/^pipe,id=console,path=(.*)$/);
  const initrd = argv[argv.indexOf('-initrd') + 1];
  if (initrd === undefined) throw new Error('No -initrd on the command line');
  await prepare(console, initrd);
  await relayConsole(console);
  const pidFile = shellQuote(`${console}.pid`);
  // Whoever kills this program kills the QEMU: the other end of this channel's input is then gone.
  await start(`cat > /dev/null; kill -KILL $(cat ${pidFile})`);
  const command = [config.loader, '--library-path', config.libraries, config.binary, ...remoteArguments(port)];
  const program = `exec ${command.map(shellQuote).join(' ')}`;
  const login = config.user === 'root' ? program : `exec su ${config.user} -c ${shellQuote(program)}`;
  const qemu = await start(`echo $$ > ${pidFile}; ${login}`);
  for (const name of ['SIGTERM', 'SIGINT'] as const) {
    process.on(name, () => void start(`kill -${name.slice(3)} $(cat ${pidFile})`));
  }
  const monitor = new Socket({ fd: MONITOR_FD });
  monitor.on('error', () => undefined);
  qemu.pipe(monitor);
  void relayCommands(monitor, qemu);
  qemu.stderr.pipe(process.stderr);
  const [code, signal] = (await once(qemu, 'exit')) as [number | null, NodeJS.Signals?];
  await new Promise((resolve) => setTimeout(resolve, LAST_WORDS_MS));
  if (signal !== undefined) process.removeAllListeners(signal).kill(process.pid, signal);
  return code ?? 1;
}

function valueOf(pattern: RegExp): string {
  const value = argv.map((arg) => pattern.exec(arg)?.[1]).find((found) => found !== undefined);
  if (value === undefined) throw new Error(`No argument ${String(pattern)} on the command line`);
  return value;
}

/**
 * The monitor is QEMU's standard input and output there, and SSH listens on a port that is free here. The kernel there
 * has no seccomp, which a sandbox is made of.
 */
function remoteArguments(port: number): string[] {
  const sandbox = argv.indexOf('-sandbox');
  return argv
    .filter((_, index) => sandbox < 0 || (index !== sandbox && index !== sandbox + 1))
    .map((arg) =>
      arg
        .replace(/^socket,id=monitor,fd=\d+$/, 'stdio,id=monitor,signal=off')
        .replace('hostfwd=tcp:127.0.0.1:0-', `hostfwd=tcp:127.0.0.1:${String(port)}-`),
    );
}

async function forwardPort(): Promise<number> {
  const server = createServer((visitor) => {
    visitor.on('error', () => undefined);
    client.forwardOut('127.0.0.1', 0, '127.0.0.1', port, (error, channel) => {
      if (error) visitor.destroy();
      else
        channel
          .on('error', () => undefined)
          .pipe(visitor)
          .pipe(channel);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return port;
}

/** Makes there what the rig has made here: folders, FIFOs, the disk, the image. */
async function prepare(console: string, initrd: string): Promise<void> {
  const folder = path.dirname(console);
  // Whoever runs QEMU, the files are root's.
  const lines = ['umask 0', removeOthers(folder), movedTemplate(path.dirname(initrd))];
  lines.push(...[folder, path.dirname(initrd)].map((name) => `mkdir -p ${shellQuote(name)}`));
  for (const end of ['in', 'out']) {
    const fifo = shellQuote(`${console}.${end}`);
    lines.push(`test -p ${fifo} || mkfifo ${fifo}`);
  }
  const disk = argv.map((arg) => /^if=none,id=swap,file=([^,]*)/.exec(arg)?.[1]).find((file) => file !== undefined);
  if (disk !== undefined) {
    const { size } = await stat(disk);
    lines.push(`test -e ${shellQuote(disk)} || truncate -s ${String(size)} ${shellQuote(disk)}`);
  }
  const { size } = await stat(config.image);
  const image = await open(initrd);
  const tail = Buffer.alloc((await image.stat()).size - size);
  await image.read(tail, 0, tail.length, size);
  await image.close();
  lines.push(`cat ${shellQuote(config.image)} - > ${shellQuote(initrd)}`);
  await run(lines.join(' && '), tail);
}

async function run(command: string, stdin: Buffer = Buffer.alloc(0)): Promise<void> {
  const channel = await start(command);
  channel.stderr.pipe(process.stderr);
  channel.end(stdin);
  const [code] = (await once(channel, 'exit')) as [number | null];
  if (code !== 0) throw new Error(`The files of the VM could not be made there (exit code ${String(code)})`);
}

/** The rig's commands, one a line; where the machine's state is to be written to, there is a folder by then. */
async function relayCommands(monitor: Socket, qemu: ClientChannel): Promise<void> {
  for await (const line of createInterface({ input: monitor })) {
    const state = /"execute":"migrate",.*"uri":"file:([^"]*)"/.exec(line)?.[1];
    if (state !== undefined) await run(`mkdir -p ${shellQuote(path.dirname(state))}`);
    qemu.write(`${line}\n`);
  }
}

/** A machine there has little memory, in which are also the files of VMs that are gone. */
function removeOthers(folder: string): string {
  const alive = 'kill -0 $(cat $pid) 2> /dev/null';
  const own = shellQuote(`${folder}/console.pid`);
  const pids = `${shellQuote(path.dirname(folder))}/*/console.pid`;
  return `for pid in ${pids}; do test $pid = ${own} || ${alive} || rm -rf $(dirname $pid); done; true`;
}

/** The rig makes a template in a temporary folder, which it renames when all is well. */
function movedTemplate(folder: string): string {
  const made = `${shellQuote(path.join(path.dirname(folder), `tmp-${path.basename(folder)}-`))}*`;
  return `{ test -e ${shellQuote(folder)} || test ! -d ${made} || mv ${made} ${shellQuote(folder)}; }`;
}

async function relayConsole(console: string): Promise<void> {
  const output = new Socket({ fd: openBothWays(`${console}.out`), readable: false, writable: true });
  const input = new Socket({ fd: openBothWays(`${console}.in`), readable: true, writable: false });
  (await start(`cat ${shellQuote(`${console}.out`)}`)).pipe(output);
  input.pipe(await start(`cat > ${shellQuote(`${console}.in`)}`));
}

function openBothWays(fifo: string): number {
  return openSync(fifo, constants.O_RDWR | constants.O_NONBLOCK);
}

function start(command: string): Promise<ClientChannel> {
  return new Promise((resolve, reject) => {
    client.exec(command, (error, channel) => {
      if (error) reject(error);
      else resolve(channel.on('error', () => undefined));
    });
  });
}
