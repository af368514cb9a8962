/** Files and folders into the guest and out of it, by tar over SSH: the guest has no scp. As with cp, what goes to a folder that exists goes into it. */
import { mkdir, mkdtemp, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { execa } from 'execa';
import { RigError } from '../../util/rig-error.ts';
import { shellQuote } from '../../util/shell-quote.ts';
import type { OpenCommand, SshSession } from './ssh-session.ts';

export async function putFiles(session: SshSession, from: string, to: string, signal: AbortSignal): Promise<void> {
  await stat(from).catch((cause: unknown) => {
    throw new RigError('usage', `${from} can't be put into the guest: there is no such file.`, { cause });
  });
  const source = path.resolve(from);
  const name = shellQuote(path.posix.basename(source));
  // Unpacked beside where it goes, and then moved: there is no half of it.
  const folder = to.endsWith('/') ? to : path.posix.dirname(to);
  const unpack = [
    ...['set -e', `mkdir -p ${shellQuote(folder)}`, `new=$(mktemp -d ${shellQuote(`${folder}/.put-XXXXXX`)})`],
    ...[`tar -x -C "$new"`, `mv "$new"/${name} ${shellQuote(to)}`, `rmdir "$new"`],
  ].join('\n');
  const command = await session.open(unpack);
  const { channel } = command;
  // What nobody reads would keep it open.
  channel.resume();
  const done = exitOf(command, signal);
  const pack = execa('tar', ['-c', '-C', path.dirname(source), '--', path.basename(source)], {
    encoding: 'buffer',
    buffer: false,
    reject: false,
    cancelSignal: signal,
  });
  pack.stdout.pipe(channel);
  const [{ code, said }, { exitCode }] = await Promise.all([done, pack]);
  if (code !== 0 || exitCode !== 0) throw new RigError('usage', `${from} could not be put to ${to}: ${said}`);
}

export async function getFiles(session: SshSession, from: string, to: string, signal: AbortSignal): Promise<void> {
  const target = path.resolve(to);
  const isFolder = to.endsWith('/') || ((await stat(target).catch(() => undefined))?.isDirectory() ?? false);
  const folder = isFolder ? target : path.dirname(target);
  await mkdir(folder, { recursive: true });
  const fresh = await mkdtemp(path.join(folder, '.get-'));
  try {
    const source = path.posix.normalize(from).replace(/(.)\/$/, '$1');
    const [parent, name] = [path.posix.dirname(source), path.posix.basename(source)];
    const command = await session.open(`tar -c -C ${shellQuote(parent)} ${shellQuote(name)}`);
    const { channel } = command;
    channel.end();
    const done = exitOf(command, signal);
    const unpack = await execa('tar', ['-x', '-C', fresh], { input: channel, reject: false, cancelSignal: signal });
    const { code, said } = await done;
    if (code !== 0 || unpack.exitCode !== 0) {
      throw new RigError('usage', `${from} could not be taken out of the guest: ${said || unpack.stderr}`);
    }
    await rename(path.join(fresh, name), isFolder ? path.join(target, name) : target);
  } finally {
    await rm(fresh, { recursive: true, force: true });
  }
}

function exitOf({ channel, ended }: OpenCommand, signal: AbortSignal): Promise<{ code: number | null; said: string }> {
  let said = '';
  channel.stderr.on('data', (text: Buffer) => (said += text.toString()));
  return new Promise((resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
    ended.then((code) => resolve({ code, said: said.trim() }), reject);
  });
}
