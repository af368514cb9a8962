/**
 * How templates are made, and what is remembered of one that could not be: with a fake QEMU, and a cache of the test's
 * own.
 */
import { mkdir, readdir, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect } from 'vitest';
import { discardTemplatesOf, obtainTemplate } from '../../../src/vm/clone/template.ts';
import type { VmSpec } from '../../../src/vm/vm.ts';
import { test } from '../cache/temporary-cache.ts';
import { FakeQemu } from './fakes/fake-qemu.ts';

const HOST_KEY = 'A'.repeat(68);

/** Its guest listens at once, unless the test says something else on the console. */
async function fake(console: readonly string[] = [`RIG-READY ${HOST_KEY}`]): Promise<{ qemu: FakeQemu; spec: VmSpec }> {
  const qemu = await FakeQemu.create();
  const spec = await qemu.spec();
  qemu.onEveryStart(async () => {
    for (const line of console) await qemu.say(line, `${spec.folder}-template`);
  });
  qemu.on('query-migrate', () => ({ status: 'none' }));
  return { qemu, spec };
}

/** As QEMU does it, but for the state. */
function savesWell(qemu: FakeQemu): void {
  let status = 'none';
  qemu.on('migrate', async ({ uri }) => {
    await writeFile(String(uri).replace(/^file:/, ''), 'the state of a machine');
    status = 'completed';
    return {};
  });
  qemu.on('query-migrate', () => ({ status }));
}

describe('a template', () => {
  test('is made once, of a machine that stood still when it was saved', async () => {
    const { qemu, spec } = await fake();
    savesWell(qemu);
    const template = await obtainTemplate(spec);
    expect(template).toMatchObject({ hostKey: HOST_KEY, swapImage: undefined });
    expect(qemu.commands).toEqual([
      ...['qmp_capabilities', 'stop', 'migrate-set-capabilities', 'migrate', 'query-migrate', 'quit'],
    ]);
    expect((await readdir(template.folder)).sort()).toEqual(['initrd', 'state', 'template.json']);
    expect(await obtainTemplate(spec)).toEqual(template);
    expect(await qemu.pids()).toHaveLength(1);
    // Of one that was made there is nothing to see.
    expect(await readdir(qemu.folder)).not.toContain('vm-template');
  });

  test('goes with its kernel, if nobody will boot that again; those of other kernels stay', async () => {
    const { qemu, spec } = await fake();
    savesWell(qemu);
    const template = await obtainTemplate(spec);
    await discardTemplatesOf('/of/another/kernel');
    expect(await obtainTemplate(spec)).toEqual(template);
    await discardTemplatesOf(spec.software.kernel.image);
    expect(await readdir(path.dirname(template.folder))).toEqual([]);
  });

  test('is made though another rig removes an old one at the same time', async ({ cache }) => {
    const { qemu, spec } = await fake();
    savesWell(qemu);
    await mkdir(path.join(cache, 'template'));
    // It is listed, and can't be looked at.
    await symlink('/no/such/template', path.join(cache, 'template/old'));
    expect(await obtainTemplate(spec)).toMatchObject({ hostKey: HOST_KEY });
  });

  test('of a kernel that panics fails at once, as a kernel bug, and its log is kept', async () => {
    const { qemu, spec } = await fake([
      '[    1.711405][    T1] Kernel panic - not syncing: sysrq triggered crash',
      '[    1.721405][    T1] ---[ end Kernel panic - not syncing: sysrq triggered crash ]---',
    ]);
    const start = performance.now();
    await expect(obtainTemplate(spec)).rejects.toMatchObject({ failureClass: 'kernel' });
    expect(performance.now() - start).toBeLessThan(10_000);
    expect(await readdir(path.join(qemu.folder, 'vm-template'))).toContain('serial.log');
  });

  test('of a kernel that reports a bug and goes on is none: its clones would begin behind the bug', async () => {
    const { qemu, spec } = await fake([
      '[    1.711405][    T1] BUG: Bad rss-counter state mm:1 type:MM_FILEPAGES val:1',
      `RIG-READY ${HOST_KEY}`,
    ]);
    savesWell(qemu);
    await expect(obtainTemplate(spec)).rejects.toMatchObject({ failureClass: 'kernel' });
  });

  test('whose disk is full fails at once, and says so', async () => {
    const { qemu, spec } = await fake([]);
    qemu.onEveryStart(() => void setTimeout(() => qemu.event('BLOCK_IO_ERROR', { nospace: true }), 100));
    await expect(obtainTemplate(spec)).rejects.toThrow("The host's disk is full");
  });

  test('of a machine with a device that can not be saved is tried once', async () => {
    const { qemu, spec } = await fake();
    qemu.on('migrate', () => {
      throw new Error("State blocked by non-migratable device 'amd-iommu'");
    });
    for (let attempt = 0; attempt < 2; attempt++) {
      await expect(obtainTemplate(spec)).rejects.toThrow(/can't be saved.*amd-iommu/);
    }
    expect(await qemu.pids()).toHaveLength(1);
  });

  test.for(['begins', 'goes on'])('that has no room on the disk when saving %s is tried again', async (when) => {
    const { qemu, spec } = await fake();
    qemu.on('query-migrate', () => ({ status: 'failed', 'error-desc': 'No space left on device' }));
    if (when === 'begins') {
      qemu.on('migrate', () => {
        throw new Error('Failed to open: No space left on device');
      });
    }
    await expect(obtainTemplate(spec)).rejects.toThrow('No space left on device');
    savesWell(qemu);
    expect(await obtainTemplate(spec)).toMatchObject({ hostKey: HOST_KEY });
  });
});
