/** A patch that a person names by the id of its message on a list: b4 fetches it, with the rest of its series. */

import { mkdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { execa } from 'execa';

import { contentKey } from '../../cache/content-key.ts';
import { cacheDirectory } from '../../config/paths.ts';
import { RigError } from '../../util/rig-error.ts';
import type { Emit } from '../../util/rig-event.ts';
import { slug } from '../../util/slug.ts';
import { temporaryFolder } from '../../util/temporary-folder.ts';
import { touchedFiles } from './patch-series.ts';

/**
 * The files of these patches: a word that is no file and has an @ in it is the id of a message. What is fetched stays
 * in the cache under its content, so that whatever is done with it again, or elsewhere, is done with the same patches.
 */
export async function patchFiles(given: readonly string[], emit: Emit, signal: AbortSignal): Promise<string[]> {
  const files: string[] = [];
  for (const word of given) {
    const isMessage = word.includes('@') && !(await isThere(word));
    files.push(isMessage ? await fetchMessage(word.replaceAll(/^<|>$/g, ''), emit, signal) : word);
  }
  return files;
}

async function isThere(file: string): Promise<boolean> {
  return stat(file).then(
    () => true,
    () => false,
  );
}

/** It asks a server for the thread, and further ones for keys. */
const LONGEST_MS = 2 * 60_000;

async function fetchMessage(id: string, emit: Emit, signal: AbortSignal): Promise<string> {
  // What others have replied would make another kernel of the same patches.
  const argv = ['am', '--no-add-trailers', '--outdir', '-', '--', id];
  const raw = { stdin: 'ignore', encoding: 'buffer', stripFinalNewline: false } as const;
  const data = await temporaryFolder('b4');
  const options = { ...raw, env: withoutRecords(data), cancelSignal: signal, timeout: LONGEST_MS } as const;
  const { failed, code, timedOut, stdout, stderr } = await execa('b4', argv, { ...options, reject: false });
  await rm(data, { recursive: true });
  signal.throwIfAborted();
  if (code === 'ENOENT') {
    const message = `--patch ${id}: that is no file, and to fetch the message of this id takes b4, which is not installed.`;
    throw new RigError('infrastructure', message, { remedy: `sudo apt-get install b4, ${BY_HAND}` });
  }
  const said = textOf(stderr);
  if (failed) {
    const reason = timedOut
      ? 'it did not answer in 2 min'
      : (said.trimEnd().split('\n').at(-1) ?? 'it does not say why');
    throw new RigError('infrastructure', `--patch ${id}: b4 could not fetch it: ${reason}`, {
      remedy: `Look whether b4 am ${id} works, ${BY_HAND}`,
    });
  }
  const text = textOf(stdout);
  if (touchedFiles({ text }).length === 0) {
    throw new RigError('usage', `--patch ${id}: there is no patch in what b4 has fetched.`);
  }
  const missing = [...said.matchAll(/ERROR: (missing \[\d+\/\d+\])/g)].map(([, which]) => which);
  if (missing.length > 0) {
    throw new RigError('infrastructure', `--patch ${id}: b4 did not find all of the series: ${missing.join(', ')}.`, {
      remedy: 'Try again later, or save the messages that there are, and give each by --patch FILE.',
    });
  }
  const warnings = said.split('\n').filter((line) => line.startsWith('WARNING'));
  emit({ type: 'notice', text: [`--patch ${id}: ${subjects(text).join(', ')}`, ...warnings].join('\n  ') });
  return keep(slug(id), stdout);
}

/**
 * Whoever applies a series by b4 is taken for its maintainer: b4 notes below its folder for data whom to thank, and has
 * patchwork say what it is told to. A test accepts nothing; and in a Debian userland the home can't be written.
 */
function withoutRecords(data: string): Record<string, string> {
  const number = process.env['GIT_CONFIG_COUNT'] ?? '0';
  return {
    XDG_DATA_HOME: data,
    GIT_CONFIG_COUNT: String(Number(number) + 1),
    [`GIT_CONFIG_KEY_${number}`]: 'b4.pw-review-state',
    [`GIT_CONFIG_VALUE_${number}`]: '',
  };
}

const BY_HAND = 'or save the raw message, and give that file.';

function textOf(output: Uint8Array): string {
  return Buffer.from(output).toString();
}

/** Of the messages of a mailbox. */
function subjects(mailbox: string): string[] {
  const messages = mailbox.split(/^From \S+ .*\d{4}$/m).slice(1);
  const heads = messages.map((message) => message.trimStart().split('\n\n', 1)[0] ?? '');
  return heads.flatMap((head) => /^Subject: (.*(?:\n[ \t].*)*)/m.exec(head)?.[1]?.replaceAll(/\s+/g, ' ') ?? []);
}

async function keep(name: string, content: Uint8Array): Promise<string> {
  const folder = path.join(cacheDirectory(), 'messages', contentKey({ content: Buffer.from(content) }));
  await mkdir(folder, { recursive: true });
  const file = path.join(folder, `${name}.mbox`);
  const unfinished = `${file}.${String(process.pid)}`;
  await writeFile(unfinished, content);
  await rename(unfinished, file);
  return file;
}
