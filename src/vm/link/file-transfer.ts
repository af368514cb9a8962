/**
 * Files and folders into the guest and out of it, by tar over SSH: the guest has no scp. As with cp, what goes to a
 * folder that exists goes into it.
 */
import { mkdir, mkdtemp, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { execa } from 'execa';
import type { ClientChannel } from 'ssh2';
import type { Transfer } from '../../config/transfer.ts';
import { orAbort } from '../../util/on-abort.ts';
import { RigError } from '../../util/rig-error.ts';
import { shellQuote } from '../../util/shell-quote.ts';
import type { SshSession } from './ssh-session.ts';

/** Into or out of a userland it is another one. */
type Session = Pick<SshSession, 'open'>;

/** The end of what tar says in the guest is kept. */
const LONGEST_COMPLAINT = 10_000;

export async function putFiles(session: Session, from: string, to: string, signal: AbortSignal): Promise<void> {
  await stat(from).catch((cause: unknown) => {
    throw new RigError('usage', `${from} can't be put into the guest: there is no such file.`, { cause });
  });
  const { channel, exit } = await start(session, unpackScript({ from, to }), signal);
  // What nobody reads would keep it open.
  channel.resume();
  const packing = new AbortController();
  const pack = execa('tar', packArguments(from), {
    encoding: 'buffer',
    buffer: { stdout: false },
    reject: false,
    cancelSignal: packing.signal,
  });
  pack.stdout.pipe(channel);
  try {
    const { code, said } = await exit;
    // A guest that has failed reads no more, and a tar that nobody reads from never ends.
    if (code !== 0) packing.abort();
    pack.stdout.resume();
    const { exitCode, stderr } = await orAbort(pack, signal);
    if (code === 0 && exitCode === 0) return;
    throw new RigError('usage', `${from} could not be put to ${to}: ${said || Buffer.from(stderr).toString().trim()}`);
  } finally {
    packing.abort();
    channel.destroy();
  }
}

/** Of a tar that has the file or folder on its standard output. */
export function packArguments(from: string): string[] {
  const source = path.resolve(from);
  return ['-c', '-C', path.dirname(source), '--', path.basename(source)];
}

/** For a shell of the guest that has this tar on its standard input. */
export function unpackScript({ from, to }: Transfer): string {
  const name = shellQuote(path.basename(path.resolve(from)));
  // Unpacked beside where it goes, and then moved: there is no half of it.
  const folder = to.endsWith('/') ? to : path.posix.dirname(to);
  return [
    ...['set -e', `mkdir -p ${shellQuote(folder)}`, `new=$(mktemp -d ${shellQuote(`${folder}/.put-XXXXXX`)})`],
    ...[`tar -x -C "$new"`, `mv "$new"/${name} ${shellQuote(to)}`, `rmdir "$new"`],
  ].join('\n');
}

export async function getFiles(session: Session, from: string, to: string, signal: AbortSignal): Promise<void> {
  const target = path.resolve(to);
  const isFolder = to.endsWith('/') || ((await stat(target).catch(() => undefined))?.isDirectory() ?? false);
  const folder = isFolder ? target : path.dirname(target);
  await mkdir(folder, { recursive: true });
  const fresh = await mkdtemp(path.join(folder, '.get-'));
  try {
    const source = path.posix.normalize(from).replace(/(.)\/$/, '$1');
    const [parent, name] = [path.posix.dirname(source), path.posix.basename(source)];
    const { channel, exit } = await start(session, `tar -c -C ${shellQuote(parent)} ${shellQuote(name)}`, signal);
    channel.end();
    const [{ code, said }, unpack] = await Promise.all([
      exit,
      execa('tar', ['-x', '-C', fresh], { input: channel, reject: false, cancelSignal: signal }),
    ]).finally(() => channel.destroy());
    if (code !== 0 || unpack.exitCode !== 0) {
      throw new RigError('usage', `${from} could not be taken out of the guest: ${said || unpack.stderr}`);
    }
    await rename(path.join(fresh, name), isFolder ? path.join(target, name) : target);
  } finally {
    await rm(fresh, { recursive: true, force: true });
  }
}

interface Started {
  readonly channel: ClientChannel;
  /** Rejects when the signal aborts. */
  readonly exit: Promise<{ readonly code: number | null; readonly said: string }>;
}

async function start(session: Session, command: string, signal: AbortSignal): Promise<Started> {
  const { channel, ended } = await orAbort(session.open(command), signal);
  let said = '';
  channel.stderr.on('data', (text: Buffer) => (said = (said + text.toString()).slice(-LONGEST_COMPLAINT)));
  const exit = orAbort(ended, signal).then((code) => ({ code, said: said.trim() }));
  // Whoever waits for it learns of it, if only later.
  exit.catch(() => undefined);
  return { channel, exit };
}
