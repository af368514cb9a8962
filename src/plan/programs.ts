/** A person's own programs as tests: what can be known to be wrong with them before a VM is booted. */
import { constants } from 'node:fs';
import { access, readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { GUEST_LIBRARIES, GUEST_LOADER } from '../builds/guest/guest-image.ts';
import type { Transfer } from '../config/transfer.ts';
import { RigError } from '../util/rig-error.ts';
import { readElf } from './elf-program.ts';
import type { Programs } from './rig-context.ts';

/** The name of its test: the command in one line. */
export function programTitle(command: string): string {
  return command.trim().replaceAll(/\s+/g, ' ');
}

/** Returns them with the paths of their files made absolute. */
export async function checkedPrograms(
  { commands, put, timeoutMs }: Programs,
  { hasUserland = false }: { readonly hasUserland?: boolean } = {},
): Promise<Programs> {
  const titles = commands.map(programTitle);
  const twice = titles.find((title, index) => titles.indexOf(title) !== index);
  if (titles.includes('')) throw new RigError('usage', '--exec is empty: it takes a command for a shell of the guest.');
  if (twice !== undefined) {
    throw new RigError('usage', `--exec '${twice}' is given twice.`, {
      remedy: 'To run it again and again for a time: --for "10 min"',
    });
  }
  const files = put.map(({ from, to }) => ({ from: path.resolve(from), to }));
  for (const file of files) {
    await checkFile(file);
    if (hasUserland) checkPlaceInUserland(file);
  }
  for (const command of commands) await checkCommand(command, files, hasUserland);
  return { commands, put: files, ...(timeoutMs === undefined ? {} : { timeoutMs }) };
}

async function checkFile({ from, to }: Transfer): Promise<void> {
  const found = await stat(from).catch((cause: unknown) => {
    throw new RigError('usage', `${from} can't be put into the guest: there is no such file.`, { cause });
  });
  if (!found.isFile() && !found.isDirectory()) {
    throw new RigError('usage', `${from} can't be put into the guest: it is neither a file nor a folder.`);
  }
  await access(from, constants.R_OK).catch((cause: unknown) => {
    throw new RigError('usage', `${from} can't be put into the guest: it may not be read.`, { cause });
  });
  if (path.posix.isAbsolute(to)) return;
  throw new RigError('usage', `${from} can't be put to ${to}: that is no absolute path of the guest.`, {
    remedy: `For example: --put ${path.basename(from)}:/tmp/`,
  });
}

/** Its /usr, and what are links into that. */
const OF_USERLAND = /^\/(?:usr|bin|sbin|lib|lib64)(?:\/|$)/;

/** Refuses what the userland could not take. */
export function checkPlaceInUserland({ from, to }: Transfer): void {
  if (!OF_USERLAND.test(path.posix.normalize(to))) return;
  throw new RigError('usage', `${from} can't be put to ${to}: /usr of the Debian userland is read-only.`, {
    remedy: `For example: --put ${path.basename(from)}:/opt/`,
  });
}

/** The words of a command that may be files, without its redirections and quotes. */
const BETWEEN_WORDS = /[\s;&|()<>"'`=]+/;

/** Looks at each put file that the command names: what the guest can't start need not be booted for. */
async function checkCommand(command: string, put: readonly Transfer[], hasUserland: boolean): Promise<void> {
  const words = command.split(BETWEEN_WORDS).filter((word) => word !== '');
  for (const [index, word] of words.entries()) {
    for (const file of put.flatMap((transfer) => sourcesOf(word, transfer))) {
      const found = await stat(file).catch(() => undefined);
      if (found?.isFile()) checkProgram(file, await readFile(file), hasUserland ? undefined : put);
      if (index === 0 && found?.isDirectory()) {
        throw new RigError('usage', `"${command}" can't be run: ${word} is a folder, ${file}.`, {
          remedy: `Name a program in it, as in --exec ${path.posix.join(word, 'my-test')}`,
        });
      }
      if (index === 0 && found?.isFile() && (found.mode & 0o111) === 0) {
        throw new RigError('usage', `"${command}" can't be run: ${file} is not executable.`, {
          remedy: `chmod +x ${file}`,
        });
      }
    }
  }
}

/** Where this word of a command may come from: as with cp, what goes to a folder that exists goes into it. */
function sourcesOf(word: string, { from, to }: Transfer): string[] {
  const name = path.basename(from);
  const inFolder = path.posix.join(to, name);
  const places = to.endsWith('/') ? [inFolder] : [path.posix.normalize(to), inFolder];
  if (word.startsWith('./')) return word === `./${name}` ? [from] : [path.join(from, word)];
  return places.flatMap((place) => {
    if (path.posix.normalize(word) === place) return [from];
    return word.startsWith(`${place}/`) ? [path.join(from, word.slice(place.length))] : [];
  });
}

/** The guest's only shell is that of busybox. */
const NOT_IN_GUEST = /^(?:bash|dash|ksh|zsh|fish|python[\d.]*|perl|ruby|node|lua[\d.]*)$/;

/** `put` is what the guest has beside its own; undefined where a userland has nobody knows what before it is there. */
function checkProgram(file: string, content: Buffer, put: readonly Transfer[] | undefined): void {
  const elf = readElf(content);
  if (elf && !elf.isForGuest) {
    throw new RigError('usage', `${file} is a program for another machine: the guest is x86-64.`);
  }
  if (!put) return;
  const [, first = '', argument = ''] = /^#! *(\S+) *(\S*)/.exec(content.toString('latin1', 0, 256)) ?? [];
  const interpreter = path.basename(path.basename(first) === 'env' ? argument : first);
  if (NOT_IN_GUEST.test(interpreter) && !put.some(({ from }) => path.basename(from) === interpreter)) {
    throw new RigError('usage', `${file} is a script for ${interpreter}, which the guest does not have.`, {
      remedy: "The guest's shell is that of busybox: write it for #!/bin/sh, or put a static interpreter, too.",
    });
  }
  if (elf?.interpreter === undefined) return;
  const there = [...GUEST_LIBRARIES, ...put.map(({ from }) => path.basename(from))];
  const missing = [
    ...(elf.interpreter === GUEST_LOADER ? [] : [elf.interpreter]),
    ...elf.libraries.filter((library) => !there.includes(library)),
  ];
  if (missing.length === 0) return;
  throw new RigError('usage', `${file} is dynamically linked, and the guest does not have ${missing.join(', ')}.`, {
    remedy:
      'Link it statically (cc -static; in Go: CGO_ENABLED=0; in Rust: the target x86_64-unknown-linux-musl), or give the guest a Debian userland with its libraries: --rootfs debian --install PACKAGE.',
  });
}
