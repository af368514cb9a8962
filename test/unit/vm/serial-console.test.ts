/** A console that says too much costs neither memory nor disk without end, and is still heard. */
import { PassThrough, Writable } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { SerialConsole } from '../../../src/vm/link/serial-console.ts';

const MIB = 2 ** 20;

function countingLog(): { log: Writable; bytes: () => number } {
  let bytes = 0;
  const log = new Writable({
    write: (chunk: Buffer, _, done) => {
      bytes += chunk.length;
      done();
    },
  });
  return { log, bytes: () => bytes };
}

const BOUNDS = { signal: new AbortController().signal, deadlineMs: 30_000 };

async function flood(chunk: Buffer, times: number): Promise<{ console: SerialConsole; bytes: () => number }> {
  const stream = new PassThrough();
  const { log, bytes } = countingLog();
  const console = new SerialConsole(stream, log);
  for (let sent = 0; sent < times; sent++) {
    if (!stream.write(chunk)) await new Promise((resolve) => stream.once('drain', resolve));
  }
  stream.write('\nTHE END\n');
  await console.waitFor(/^THE END$/, BOUNDS);
  return { console, bytes };
}

test('a flood of lines: the last are kept, the log ends with a remark, and what follows is heard', async () => {
  const lines = Buffer.from('all work and no play makes jack a dull boy\n'.repeat(MIB / 43));
  const { console, bytes } = await flood(lines, 300);
  expect(bytes()).toBeLessThan(258 * MIB);
  expect(console.tail(Infinity).length).toBeLessThan(100_000);
  expect(console.tail(1)).toEqual(['THE END']);
});

test('a line without end is cut', async () => {
  const { console } = await flood(Buffer.alloc(MIB, 'x'), 64);
  expect(Math.max(...console.tail(Infinity).map(({ length }) => length))).toBeLessThan(3 * MIB);
});

test('short output is kept and logged whole', async () => {
  const { console, bytes } = await flood(Buffer.from('one\r\ntwo\n'), 1);
  expect(console.tail(Infinity)).toEqual(['one', 'two', '', 'THE END']);
  expect(bytes()).toBe('one\r\ntwo\n'.length + '\nTHE END\n'.length);
});

test('what is kept of a flood without lines is bounded in bytes', async () => {
  const { console } = await flood(Buffer.alloc(MIB, 'no line '), 64);
  expect(console.tail(Infinity).reduce((sum, { length }) => sum + length, 0)).toBeLessThan(16 * MIB);
  expect(console.tail(1)).toEqual(['THE END']);
});

test('who watches and does not read misses what is said meanwhile, and is told how much', async () => {
  const port = new PassThrough();
  const console = new SerialConsole(port, new PassThrough().resume());
  const shown: Buffer[] = [];
  let read: (() => void) | undefined;
  const visitor = new Writable({
    write: (chunk: Buffer, _, done) => {
      shown.push(chunk);
      if (shown.length === 1) read = done;
      else done();
    },
  });
  console.copyTo(visitor);
  for (let count = 0; count < 64; count++) {
    if (!port.write(Buffer.alloc(MIB, 'x'))) await new Promise((resolve) => port.once('drain', resolve));
  }
  await turn();
  expect(visitor.writableLength).toBeLessThan(8 * MIB);
  read?.();
  await expect.poll(() => visitor.writableLength).toBe(0);
  port.write('now\n');
  await expect.poll(() => shown.at(-1)?.toString()).toBe('now\n');
  const text = Buffer.concat(shown).toString();
  const [, missed] = /\[dgpu-rig: (\d+) bytes are not shown: they came faster than they were read\]/.exec(text) ?? [];
  expect(Number(missed) + (text.match(/x/g)?.length ?? 0)).toBe(64 * MIB);
});
