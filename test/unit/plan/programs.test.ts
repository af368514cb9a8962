/** What is wrong with a program is told before a VM is booted for it. */
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readElf } from '../../../src/plan/elf-program.ts';
import { checkedPrograms, programTitle } from '../../../src/plan/programs.ts';

const LOADER = '/lib64/ld-linux-x86-64.so.2';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'dgpu-rig-test-'));
  await mkdir(path.join(folder, 'tests'));
  const files: Record<string, Buffer | string> = {
    'of-libc': elf({ interpreter: LOADER, libraries: ['libc.so.6'] }),
    'of-libm': elf({ interpreter: LOADER, libraries: ['libc.so.6', 'libm.so.6'] }),
    'libm.so.6': elf({}),
    'of-musl': elf({ interpreter: '/lib/ld-musl-x86_64.so.1', libraries: [] }),
    static: elf({}),
    arm: elf({ machine: 183 }),
    'py.sh': '#!/usr/bin/env python3\n',
    'ash.sh': '#!/bin/sh\n',
    'tests/of-libm': elf({ interpreter: LOADER, libraries: ['libm.so.6'] }),
  };
  for (const [name, content] of Object.entries(files)) {
    await writeFile(path.join(folder, name), content, { mode: 0o755 });
  }
  await writeFile(path.join(folder, 'plain'), 'no program', { mode: 0o644 });
  await chmod(path.join(folder, 'plain'), 0o644);
});
afterAll(() => rm(folder, { recursive: true }));

interface Elf {
  readonly machine?: number;
  readonly interpreter?: string;
  readonly libraries?: readonly string[];
}

/** A little ELF file whose segments are loaded at 0x400000. */
function elf({ machine = 62, interpreter, libraries = [] }: Elf): Buffer {
  const strings = Buffer.from(['', ...libraries, ''].join('\0'));
  const [table, interpreterAt] = [64, 64 + 3 * 56];
  const loader = Buffer.from(`${interpreter ?? ''}\0`);
  const dynamicAt = interpreterAt + loader.length;
  const dynamic = Buffer.alloc((libraries.length + 2) * 16);
  const stringsAt = dynamicAt + dynamic.length;
  const tags = [...libraries.map((name) => [1, strings.indexOf(`\0${name}\0`) + 1]), [5, 0x400000 + stringsAt]];
  for (const [index, [tag = 0, value = 0]] of tags.entries()) {
    dynamic.writeBigUInt64LE(BigInt(tag), index * 16);
    dynamic.writeBigUInt64LE(BigInt(value), index * 16 + 8);
  }
  const header = Buffer.alloc(64 + 3 * 56);
  header.set([0x7f, 0x45, 0x4c, 0x46, 2, 1]);
  header.writeUInt16LE(machine, 18);
  header.writeBigUInt64LE(BigInt(table), 32);
  header.writeUInt16LE(56, 54);
  header.writeUInt16LE(interpreter === undefined ? 1 : 3, 56);
  const segments = [
    [1, 0, stringsAt + strings.length],
    [3, interpreterAt, loader.length],
    [2, dynamicAt, dynamic.length],
  ];
  for (const [index, [type = 0, offset = 0, size = 0]] of segments.entries()) {
    const at = table + index * 56;
    header.writeUInt32LE(type, at);
    header.writeBigUInt64LE(BigInt(offset), at + 8);
    header.writeBigUInt64LE(BigInt(0x400000 + offset), at + 16);
    header.writeBigUInt64LE(BigInt(size), at + 32);
  }
  return Buffer.concat([header, loader, dynamic, strings]);
}

test('with a userland nobody knows yet what it has, but a program for another machine will not do', async () => {
  const put = ['of-libm', 'py.sh'].map((name) => ({ from: path.join(folder, name), to: '/tmp/' }));
  const programs = { commands: ['/tmp/of-libm', '/tmp/py.sh'], put };
  await expect(checkedPrograms(programs)).rejects.toThrow('libm.so.6');
  expect((await checkedPrograms(programs, { hasUserland: true })).commands).toHaveLength(2);
  const arm = { commands: ['/tmp/arm'], put: [{ from: path.join(folder, 'arm'), to: '/tmp/' }] };
  await expect(checkedPrograms(arm, { hasUserland: true })).rejects.toThrow('for another machine');
});

test.each(['/usr/local/bin/', '/bin/plain', '/opt/../sbin', '/lib/x/'])(
  'nothing is put to %s of a userland, which is read-only',
  async (to) => {
    const programs = { commands: ['true'], put: [{ from: path.join(folder, 'plain'), to }] };
    await expect(checkedPrograms(programs, { hasUserland: true })).rejects.toMatchObject({
      failureClass: 'usage',
      message: `${path.join(folder, 'plain')} can't be put to ${to}: /usr of the Debian userland is read-only.`,
      remedy: 'For example: --put plain:/opt/',
    });
    expect((await checkedPrograms(programs)).put).toHaveLength(1);
  },
);

test.each(['/opt/tools/', '/usrlocal', '/srv/lib/'])('to %s of a userland it is', async (to) => {
  const programs = { commands: ['true'], put: [{ from: path.join(folder, 'plain'), to }] };
  expect((await checkedPrograms(programs, { hasUserland: true })).put).toHaveLength(1);
});

async function complaint(command: string, ...put: string[]): Promise<string> {
  const transfers = put.map((text) => {
    const [from = '', to = ''] = text.split(':');
    return { from: path.join(folder, from), to };
  });
  return checkedPrograms({ commands: [command], put: transfers }).then(
    () => '',
    (error: unknown) => {
      expect(error).toMatchObject({ failureClass: 'usage' });
      return error instanceof Error ? error.message.replaceAll(folder, '') : '';
    },
  );
}

test.for([
  ['a program with the libraries that the guest has', '/tmp/of-libc', ['of-libc:/tmp/'], ''],
  ['one that lacks a library', '/tmp/of-libm -x', ['of-libm:/tmp/'], 'does not have libm.so.6.'],
  ['to a folder without a slash', '/tmp/of-libm', ['of-libm:/tmp'], 'libm.so.6'],
  ['by another name', '/tmp/mine', ['of-libm:/tmp/mine'], 'libm.so.6'],
  ['from its folder', 'cd /tmp && ./of-libm', ['of-libm:/tmp/'], 'libm.so.6'],
  ['in a folder that is put', '/tmp/tests/of-libm', ['tests:/tmp/'], '/tests/of-libm is dynamically linked'],
  ['in a command that begins otherwise', 'timeout 5 /tmp/of-libm > /tmp/log', ['of-libm:/tmp/'], 'libm.so.6'],
  ['with the library beside it', 'LD_LIBRARY_PATH=/tmp /tmp/of-libm', ['of-libm:/tmp/', 'libm.so.6:/tmp/'], ''],
  ['that is only data of the command', 'true', ['of-libm:/tmp/'], ''],
  ['of musl', '/tmp/of-musl', ['of-musl:/tmp/'], 'ld-musl-x86_64.so.1'],
  ['a static one', '/tmp/static', ['static:/tmp/'], ''],
  ['one for another machine', '/tmp/arm', ['arm:/tmp/'], 'another machine'],
  ['a script for an interpreter that the guest lacks', '/tmp/py.sh', ['py.sh:/tmp/'], 'a script for python3'],
  ['a script for its shell', '/tmp/ash.sh', ['ash.sh:/tmp/'], ''],
  ['what is not executable', '/tmp/plain', ['plain:/tmp/'], 'not executable'],
  ['a folder', '/tmp/tests', ['tests:/tmp/'], 'is a folder'],
  ['a file that does not exist', 'true', ['nosuch:/tmp/'], 'no such file'],
  ['a place that is not absolute', 'true', ['plain:tmp'], 'no absolute path'],
  ['nothing', ' ', [], 'is empty'],
] as const)('%s', async ([, command, put, wanted]) => {
  const message = await complaint(command, ...put);
  if (wanted === '') expect(message).toBe('');
  else expect(message).toContain(wanted);
});

test('a command that is given twice is one too many', async () => {
  await expect(checkedPrograms({ commands: ['a  b', 'a b'], put: [] })).rejects.toThrow('given twice');
});

test('a test has its command in one line as its name', () => {
  expect(programTitle(' a &&\n  b ')).toBe('a && b');
});

test('an ELF file that is cut short anywhere is no crash, and what is none is none', () => {
  const whole = elf({ interpreter: LOADER, libraries: ['libm.so.6'] });
  expect(readElf(whole)).toEqual({ isForGuest: true, interpreter: LOADER, libraries: ['libm.so.6'] });
  for (let size = 0; size < whole.length; size++) expect(() => readElf(whole.subarray(0, size))).not.toThrow();
  expect(readElf(Buffer.from('#!/bin/sh\n'))).toBeUndefined();
});
