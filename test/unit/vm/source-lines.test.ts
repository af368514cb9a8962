/** Against a small program in the place of a kernel image: symbols, sizes and debug information are the same thing. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { execa } from 'execa';
import { expect, onTestFinished, test } from 'vitest';
import { sourceLines } from '../../../src/vm/kernel-log/source-lines.ts';

const PROGRAM = `static inline __attribute__((always_inline)) int inner(volatile int *p)
{
	return *p + 1;
}
int outer(volatile int *p) { return inner(p); }
int main(void) { int x = 0; return outer(&x); }
`;

async function compile(flags: readonly string[], program = PROGRAM): Promise<{ image: string; size: number }> {
  const folder = await mkdtemp(path.join(tmpdir(), 'dgpu-rig-symbols-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  await writeFile(path.join(folder, 'program.c'), program);
  const image = path.join(folder, 'image');
  await execa('gcc', ['-O1', '-no-pie', ...flags, '-o', image, path.join(folder, 'program.c')]);
  const { stdout } = await execa('nm', ['-S', image]);
  return { image, size: parseInt(/^\S+ (\S+) T outer$/m.exec(stdout)?.[1] ?? '', 16) };
}

test('a place in a function is told by its source lines, those that were inlined first', async () => {
  const { image, size } = await compile(['-g']);
  const lines = await sourceLines({ vmlinux: image }, `outer+0x0/0x${size.toString(16)}`);
  expect(lines[0]).toMatch(/^(inner at program\.c:3|outer at program\.c:5)/);
  expect(lines.at(-1)).toMatch(/^outer at program\.c:5/);
});

test('none without debug information, for a module, for an unknown function, for no image at all', async () => {
  const { image } = await compile([]);
  for (const where of ['outer+0x0/0x10', 'outer+0x0/0x10 [ttm]', 'nosuch+0x0/0x10', 'outer']) {
    expect(await sourceLines({ vmlinux: image }, where), where).toEqual([]);
  }
  expect(await sourceLines({ vmlinux: '/no/such/vmlinux' }, 'outer+0x0/0x10')).toEqual([]);
});

test('none of a static function, whose file is known without debug information', async () => {
  const program = PROGRAM.replace('int outer', '__attribute__((noinline)) static int outer');
  const { image } = await compile([], program);
  expect(await sourceLines({ vmlinux: image }, 'outer+0x0/0x10')).toEqual([]);
});

test('of a module in its own file, which is not linked, and in the section where the function is', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'dgpu-rig-symbols-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const source = path.join(folder, 'program.c');
  await writeFile(source, PROGRAM.replace('int main', '__attribute__((section(".init.text"))) int start'));
  await mkdir(path.join(folder, 'kernel/drivers'), { recursive: true });
  await execa('gcc', ['-O1', '-g', '-c', '-o', path.join(folder, 'kernel/drivers/my-gpu.ko'), source]);
  const symbols = { vmlinux: '/no/such/vmlinux', debugModules: folder };
  expect((await sourceLines(symbols, 'outer+0x0/0x8 [my_gpu]')).at(-1)).toMatch(/^outer at program\.c:5/);
  expect((await sourceLines(symbols, 'start+0x0/0x8 [my_gpu]')).at(-1)).toMatch(/^start at program\.c:6/);
  expect(await sourceLines(symbols, 'outer+0x0/0x8 [other]')).toEqual([]);
});

test('an image with as many symbols as a kernel is searched in little time', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'dgpu-rig-symbols-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const functions = Array.from({ length: 40_000 }, (_, index) => `f${String(index)}: nop`);
  await writeFile(path.join(folder, 'many.s'), `.text\n${functions.join('\n')}\n`);
  const image = path.join(folder, 'image');
  await execa('as', ['-g', '-o', image, path.join(folder, 'many.s')]);
  const before = process.cpuUsage();
  expect(await sourceLines({ vmlinux: image }, 'f20000+0x0/0x1')).toEqual(['f20000 at many.s:20002']);
  // The time of the processor, in microseconds, in which nothing else in this process can go on. A busy host does not
  // count.
  expect(process.cpuUsage(before).user).toBeLessThan(1_500_000);
});
