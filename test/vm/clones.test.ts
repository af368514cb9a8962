/**
 * Clones of a template: there at once, well, as like as they have to be and no more; and a boot where one is not to be
 * had.
 */
import { readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { z } from 'zod';
import { startVm } from '../../src/testbed/life/vm-start.ts';
import { obtainTemplate } from '../../src/vm/clone/template.ts';
import { Vm } from '../../src/vm/vm.ts';
import { failureOf, testVmSpec } from './test-vm.ts';

/** No suite has a device of this size: the templates of this file are its own. */
const gpu = { dmaBits: 40, vramMiB: 32, apertureMiB: 32 } as const;

async function clone(machine: string, dmaBits = 40): Promise<Vm> {
  const spec = await testVmSpec(machine, { gpu: { ...gpu, dmaBits } });
  const vm = await Vm.clone(spec, await obtainTemplate(spec));
  endLater(vm);
  return vm;
}

function endLater(vm: Vm): void {
  onTestFinished(async () => {
    await vm.end({ keep: false, verdict: { status: 'passed' } });
  });
}

const say = async (vm: Vm, command: string): Promise<string> => (await vm.exec(command)).stdout.trim();

describe('clones', () => {
  test('two at once, from a template that both want first, share what is no harm and nothing else', async () => {
    const clones = await Promise.all([clone('tight'), clone('tight')]);
    const both = (command: string): Promise<string[]> => Promise.all(clones.map((vm) => say(vm, command)));
    const [hostA, hostB] = await both('md5sum /run/host_key');
    // They are the same machine, hence the rest is not different by itself.
    expect(hostA).toBe(hostB);
    for (const distinct of ['head -c 32 /dev/urandom | md5sum', 'hostname', 'cat /proc/sys/kernel/random/boot_id']) {
      expect(new Set(await both(distinct)).size, distinct).toBe(2);
    }
    for (const seconds of await both('date +%s'))
      expect(Math.abs(Number(seconds) - Date.now() / 1000)).toBeLessThan(30);
    expect(await both('grep -c vda /proc/swaps')).toEqual(['1', '1']);
    // What one writes to memory or swap is not the other's.
    await clones[0].exec(
      'echo mine > /tmp/mine; swapoff /dev/vda; dd if=/dev/urandom of=/dev/vda bs=1M seek=8 count=1',
    );
    expect(await both('cat /tmp/mine 2>/dev/null')).toEqual(['mine', '']);
    const blocks = await both('dd if=/dev/vda bs=1M skip=8 count=1 2>/dev/null | md5sum');
    expect(new Set(blocks).size).toBe(2);
    expect(clones.flatMap((vm) => vm.kernelReports)).toEqual([]);
  });

  test('have the limit of their own device, and a driver that works', async () => {
    const vm = await clone('tiers', 32);
    expect(await say(vm, 'modprobe edgpu && edgpu-stress info')).toContain('"dmaBits":32');
    const limit = await vm.qmp('qom-get', { path: '/machine/peripheral/gpu0', property: 'dma-bits' }, z.number());
    expect(limit).toBe(32);
  });
});

test('the memory of a clone is in huge pages, where the host has any', async ({ skip }) => {
  const choice = await readFile('/sys/kernel/mm/transparent_hugepage/enabled', 'utf8').catch(() => '[never]');
  skip(choice.includes('[never]'), 'this host gives none');
  const vm = await clone('noswap');
  await say(vm, 'dd if=/dev/zero of=/tmp/much bs=1M count=200');
  const all = await readFile(`/proc/${vm.pid}/smaps_rollup`, 'utf8');
  const kibOf = (name: string): number => Number(new RegExp(`^${name}: +(\\d+) kB$`, 'm').exec(all)?.[1]);
  // The rest is QEMU's own: its heap and what it has translated.
  expect(kibOf('AnonHugePages')).toBeGreaterThan(kibOf('Anonymous') / 2);
});

describe('a machine is booted', () => {
  test('where its template is damaged, which is said, and the next one is made anew', async () => {
    const spec = await testVmSpec('noswap', { gpu });
    const template = await obtainTemplate(spec);
    await truncate(template.state, 1000);
    await believe(template.folder);
    const told: string[] = [];
    const { vm, cloned } = await startVm(spec, { stateless: true, onFallback: (why) => told.push(why) });
    endLater(vm);
    expect(cloned).toBe(false);
    expect(await say(vm, 'echo well')).toBe('well');
    expect(told).toEqual([expect.stringMatching(/^noswap is booted, not cloned: /)]);
    await rm(`${spec.folder}-clone`, { recursive: true });
    await clone('noswap');
  });

  test('where its template has changed behind our back, after a new one was made', async () => {
    const spec = await testVmSpec('noswap', { gpu });
    const before = await obtainTemplate(spec);
    await truncate(before.state, 4096);
    const after = await obtainTemplate(spec);
    expect(after.hostKey).not.toBe(before.hostKey);
  });

  test('where QEMU can not save it', async () => {
    const spec = await testVmSpec('iommu-amd', { gpu });
    for (let attempt = 0; attempt < 2; attempt++) {
      const failure = await failureOf(obtainTemplate(spec));
      expect(failure).toMatchObject({ message: expect.stringContaining('amd-iommu') as string });
    }
  });
});

/** Has the damaged file pass for the one that was saved. */
async function believe(folder: string): Promise<void> {
  const file = path.join(folder, 'template.json');
  const record = z
    .looseObject({ files: z.array(z.looseObject({ name: z.string() })) })
    .parse(JSON.parse(await readFile(file, 'utf8')));
  const files = await Promise.all(
    record.files.map(async (known) => {
      const { size, ino, ctimeMs } = await stat(path.join(folder, known.name));
      return { ...known, size, ino, ctimeMs };
    }),
  );
  await writeFile(file, JSON.stringify({ ...record, files }));
}
