/** A console that says too much costs neither memory nor disk without end, and is still heard. */
import { PassThrough, Writable } from 'node:stream';
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
