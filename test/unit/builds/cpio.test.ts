import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { execa } from 'execa';
import fc from 'fast-check';
import { expect, test } from 'vitest';

import { padTo, writeCpio } from '../../../src/builds/guest/cpio.ts';
import type { CpioEntry } from '../../../src/builds/guest/cpio.ts';

const ENTRIES: readonly CpioEntry[] = [
  { kind: 'dir', path: 'etc' },
  { kind: 'file', path: 'etc/empty', data: Buffer.alloc(0) },
  { kind: 'file', path: 'etc/five', data: Buffer.from('12345'), mode: 0o600 },
  { kind: 'file', path: 'run', data: Buffer.from('#!/bin/sh\n'), mode: 0o755 },
  { kind: 'link', path: 'link', target: 'etc/five' },
  { kind: 'char', path: 'console', major: 5, minor: 1 },
];

// The rig itself needs no cpio program, so a machine may be without.
const hasCpio = !(await execa('cpio', ['--version'], { reject: false })).failed;

test.skipIf(!hasCpio)('another implementation reads it', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'dgpu-rig-cpio-'));
  try {
    const archive = path.join(folder, 'archive');
    await writeFile(archive, writeCpio(ENTRIES));
    // Its failure is the device node, which an ordinary user may not make.
    await execa('cpio', ['-i', '--quiet', '-F', archive], { cwd: folder, reject: false });
    expect(await readFile(path.join(folder, 'link'), 'utf8')).toBe('12345');
    expect((await stat(path.join(folder, 'run'))).mode & 0o777).toBe(0o755);
    expect((await stat(path.join(folder, 'etc/empty'))).size).toBe(0);
  } finally {
    await rm(folder, { recursive: true });
  }
});

test('the kernel finds a second archive after the first', () => {
  fc.assert(
    fc.property(fc.string({ minLength: 1 }), fc.uint8Array(), (name, data) => {
      const archive = writeCpio([{ kind: 'file', path: name, data: Buffer.from(data) }]);
      expect(archive.length % 512).toBe(0);
      expect(archive.toString('latin1')).toContain('TRAILER!!!');
    }),
  );
});

test('the same entries are the same bytes', () => {
  expect(writeCpio(ENTRIES).equals(writeCpio(ENTRIES))).toBe(true);
});

test.each([
  [0, 0],
  [1, 4],
  [4, 4],
  [5, 8],
])('padding %i bytes to a multiple of 4', (length, padded) => {
  expect(padTo(Buffer.alloc(length, 1), 4)).toHaveLength(padded);
});
