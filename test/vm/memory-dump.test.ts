/** The memory of a guest that panics is on the disk afterwards, as ELF, and has in it what the guest had. */
import { readFile, stat } from 'node:fs/promises';
import { execa } from 'execa';
import { expect, inject, test } from 'vitest';
import { bootTestVm, failureOf } from './test-vm.ts';

const MIB = 2 ** 20;

test('a panic leaves a dump, whose holes take no room', async () => {
  const { build } = inject('rig');
  // As if it had debug information: what reads the dump is a matter of its own.
  const kernel = { ...build.kernel, debugModules: '/none' };
  const vm = await bootTestVm('noswap', { software: { ...build, kernel } });
  await vm.exec('printf "a-word-in-%s" memory > /tmp/word');
  expect(String(await failureOf(vm.exec('echo c > /proc/sysrq-trigger')))).toContain('Kernel panic');
  await vm.end({ keep: true, verdict: { status: 'failed' } });

  const file = vm.folder.file('memory.elf');
  const { size, blocks } = await stat(file);
  expect(size).toBeGreaterThan(512 * MIB);
  expect(blocks * 512).toBeLessThan(size / 2);
  const { stdout } = await execa('readelf', ['-h', '-l', '--wide', file]);
  expect(stdout).toMatch(/Type: +CORE/);
  expect(stdout).toMatch(/LOAD +0x\w+ 0x0+ 0x0+ /);
  expect((await execa('grep', ['-c', '-a', 'a-word-in-memory', file])).stdout).not.toBe('0');
  expect(await readFile(vm.folder.file('memory.json'), 'utf8')).toContain(build.kernel.vmlinux);
});
