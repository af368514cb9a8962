/**
 * How another process of the same user gets to a VM that runs: a socket in a folder that nobody else may enter. A
 * visitor says in a line of JSON what it wants; "console" then is the serial port itself, anything else is answered by
 * one line.
 */
import { existsSync, lstatSync, mkdirSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { connect, createServer, type Server, type Socket } from 'node:net';
import path from 'node:path';
import { z } from 'zod';
import { boundedWait } from '../../util/bounded-wait.ts';
import { RigError } from '../../util/rig-error.ts';
import type { SerialConsole } from './serial-console.ts';
import type { SshAddress } from './ssh-session.ts';

const wish = z.object({ want: z.enum(['who', 'ssh', 'console']) });
type Wish = z.infer<typeof wish>;

const host = z.object({ pid: z.number(), folder: z.string(), state: z.string() });
export type RunningVm = z.infer<typeof host> & { readonly door: string };

const address = z.object({ port: z.number(), hostKey: z.string(), privateKey: z.string() }).nullable();

/** What a VM tells its visitors. */
export interface Household {
  readonly pid: number;
  readonly folder: string;
  readonly state: () => string;
  /** Undefined before its SSH server listens. */
  readonly ssh: () => SshAddress | undefined;
  readonly console: SerialConsole;
}

/** The time that a process takes to answer which is not stopped. */
const ANSWER_MS = 5_000;
/** The longest is an answer with a private key in it. */
const LONGEST_LINE = 16 * 1024;

export class Door {
  readonly #server: Server;
  readonly #visitors = new Set<Socket>();

  private constructor(server: Server) {
    this.#server = server;
  }

  /** A failure here is nobody's: a VM that can't be visited does all else. */
  static open(household: Household, folder = doorFolder()): Door {
    const server = createServer();
    const door = new Door(server);
    server.on('connection', (visitor) => door.#receive(visitor, household));
    server.on('error', () => undefined);
    server.unref();
    if (madeOurs(folder)) server.listen(path.join(folder, `${String(household.pid)}.sock`));
    return door;
  }

  close(): void {
    for (const visitor of this.#visitors) visitor.destroy();
    this.#server.close();
  }

  #receive(visitor: Socket, household: Household): void {
    this.#visitors.add(visitor);
    visitor.once('close', () => this.#visitors.delete(visitor));
    visitor.on('error', () => undefined);
    readLine(visitor, (line) => {
      const parsed = wish.safeParse(parseJson(line));
      if (parsed.success) answer(visitor, parsed.data, household);
      else visitor.destroy();
    });
  }
}

function answer(visitor: Socket, { want }: Wish, household: Household): void {
  const { pid, folder, console } = household;
  switch (want) {
    case 'who':
      visitor.end(`${JSON.stringify({ pid, folder, state: household.state() })}\n`);
      break;
    case 'ssh':
      visitor.end(`${JSON.stringify(household.ssh() ?? null)}\n`);
      break;
    case 'console':
      visitor.write(console.recentText());
      visitor.once('close', console.copyTo(visitor));
      visitor.once('close', console.typeFrom(visitor));
      break;
  }
}

/** All VMs of this user that run, the oldest first. Doors that a killed process left are taken away. */
export async function runningVms(folder = doorFolder()): Promise<RunningVm[]> {
  // Whoever else made it could show VMs of their own in it: guests that take our files, and names that steer a
  // terminal.
  if (existsSync(folder) && !isOurs(folder)) {
    throw new RigError('infrastructure', `${folder} is another user's, or open to others: no VM is looked for in it.`, {
      remedy: 'Remove it, or have it removed; the next VM makes it anew.',
    });
  }
  const names = (await readdir(folder).catch(() => [])).filter((name) => name.endsWith('.sock'));
  const found = await Promise.all(
    names.map(async (name): Promise<RunningVm[]> => {
      const door = path.join(folder, name);
      try {
        return [{ ...(await askDoor(door, 'who', host)), door }];
      } catch (error) {
        if (isRefusal(error)) await rm(door, { force: true });
        return [];
      }
    }),
  );
  return found.flat().sort((a, b) => a.pid - b.pid);
}

/** Null before its SSH server listens. */
export async function sshAddressOf({ door }: RunningVm): Promise<SshAddress | null> {
  return askDoor(door, 'ssh', address);
}

/** The serial port, from what it said last. */
export async function consoleOf({ door }: RunningVm): Promise<Socket> {
  return knock(door, 'console');
}

async function askDoor<T>(door: string, want: Wish['want'], schema: z.ZodType<T>): Promise<T> {
  const visitor = await knock(door, want);
  const reply = new Promise<string>((resolve, reject) => {
    visitor.once('close', () => reject(new Error('The VM ended instead of answering')));
    readLine(visitor, resolve);
  });
  try {
    const bounds = { signal: new AbortController().signal, deadlineMs: ANSWER_MS };
    return schema.parse(parseJson(await boundedWait('The answer of a VM', reply, bounds)));
  } finally {
    visitor.destroy();
  }
}

function knock(door: string, want: Wish['want']): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const visitor = connect(door, () => {
      visitor.write(`${JSON.stringify({ want })}\n`);
      visitor.off('error', reject).on('error', () => undefined);
      resolve(visitor);
    });
    visitor.once('error', reject);
  });
}

/** The same for every process of the user, whatever its environment; and the path of a socket may be 107 bytes long. */
export function doorFolder(): string {
  return `/tmp/dgpu-rig-${String(process.getuid?.() ?? 0)}`;
}

/** Behind a door is a key to the guest: in a folder of somebody else there is none. */
function madeOurs(folder: string): boolean {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    return isOurs(folder);
  } catch {
    return false;
  }
}

function isOurs(folder: string): boolean {
  const { uid, mode } = lstatSync(folder);
  return uid === process.getuid?.() && (mode & 0o077) === 0;
}

/** The first line; what follows it is for the next listener, which `onLine` may add. */
function readLine(socket: Socket, onLine: (line: string) => void): void {
  let bytes = Buffer.alloc(0);
  const read = (chunk: Buffer): void => {
    bytes = Buffer.concat([bytes, chunk]);
    const end = bytes.indexOf('\n');
    if (end === -1 && bytes.length < LONGEST_LINE) return;
    // Nothing may arrive between the two listeners.
    socket.pause();
    socket.off('data', read);
    if (end >= 0 && end + 1 < bytes.length) socket.unshift(bytes.subarray(end + 1));
    onLine(bytes.subarray(0, Math.max(end, 0)).toString());
    socket.resume();
  };
  socket.on('data', read);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isRefusal(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ECONNREFUSED' || error.code === 'ENOENT');
}
