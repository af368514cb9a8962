/**
 * What happens to a VM under KVM, by `--effort 2`: it is cloned, sleeps, is saved while its device works, and is
 * killed.
 */
import { copyFile, mkdir } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { z } from 'zod';
import { loadMachineProfile } from '../../src/config/machine-profile.ts';
import { Guest } from '../../src/testbed/guest/guest.ts';
import { runProgram, smokeReport } from '../../src/testbed/programs/stress-program.ts';
import { Sleeper } from '../../src/testbed/programs/sleeper.ts';
import { obtainTemplate } from '../../src/vm/clone/template.ts';
import { runningVms, sshAddressOf } from '../../src/vm/link/door.ts';
import { Vm, type VmSpec } from '../../src/vm/vm.ts';
import { endLater, KvmHost, loaded } from './kvm-host.ts';

const EFFORT = Number(process.env['DGPU_RIG_EFFORT'] ?? '1');
const MIB = 2 ** 20;
const DEADLINE_MS = 300_000;
/** Little, for a processor that is emulated twice. */
const OBJECTS = { vram: 8, system: 4, objectSize: MIB, seed: 1 } as const;
const POWER = '/sys/class/drm/renderD128/device/power';

/** Of a VM inside, whose machine has this name. */
async function specOf(host: KvmHost, machine: string, name: string): Promise<VmSpec> {
  return host.spec(await loadMachineProfile(machine), { name });
}

async function booted(host: KvmHost, machine: string, name = 'inside'): Promise<Vm> {
  return host.bootInside(await loadMachineProfile(machine), { name });
}

/** Its clock is KVM's, and goes with the host's; and the scheduler's, which stamps the log, never goes back. */
async function expectRightTime(vm: Vm): Promise<void> {
  const clock = '/sys/devices/system/clocksource/clocksource0/current_clocksource';
  const [source = '', seconds = ''] = (await vm.exec(`cat ${clock}; date +%s`)).stdout.split('\n');
  expect(source).toMatch(/^(kvm-clock|tsc)$/);
  expect(Math.abs(Number(seconds) - Date.now() / 1000)).toBeLessThan(60);
  const stamps = [...(await vm.exec('dmesg')).stdout.matchAll(/^\[ *(\d+\.\d+)\]/gm)].map(([, stamp]) => Number(stamp));
  expect(stamps.length).toBeGreaterThan(100);
  expect(stamps.filter((stamp, index) => stamp < (stamps[index - 1] ?? 0) - 1)).toEqual([]);
}

/** Its QEMU's, in the machine around it. */
async function pidInside(host: KvmHost, vm: Vm): Promise<string> {
  return (await host.vm.exec(`cat ${vm.folder.consoleName}.pid`)).stdout.trim();
}

describe.skipIf(EFFORT === 1)('under KVM', () => {
  test('two clones of a template are well, and their devices keep what they are given', async () => {
    const host = await KvmHost.boot();
    // The template is of a QEMU that is gone tomorrow.
    vi.stubEnv('DGPU_RIG_CACHE', path.join(host.vm.folder.path, 'cache'));
    onTestFinished(() => void vi.unstubAllEnvs());
    const template = await obtainTemplate(await specOf(host, 'noswap', 'first'));
    for (const name of ['first', 'second']) {
      const vm = endLater(await Vm.clone(await specOf(host, 'noswap', name), template));
      await expectRightTime(vm);
      const { guest } = await loaded(vm);
      const options = { bytes: 24 * MIB, 'object-size': MIB, seed: 1 };
      const run = { name: 'smoke', options, report: smokeReport, deadlineMs: DEADLINE_MS };
      expect(await runProgram(guest, run)).toMatchObject({ ok: true, mismatches: 0 });
      expect(await runProgram(guest, { ...run, options: { ...options, flip: 1 } })).toMatchObject({ ok: false });
      expect(vm.kernelReports).toEqual([]);
    }
  });

  test('VRAM is back after S3, after D3hot and after S4; what is not saved is missed', async () => {
    const host = await KvmHost.boot();
    const vm = await booted(host, 'tight');
    const { guest, gpu } = await loaded(vm);
    const sleeper = await Sleeper.start(guest, OBJECTS);
    const before = await gpu.vramGeneration();

    expect(await vm.suspend('s3')).not.toHaveProperty('refusal');
    expect(vm.events('WAKEUP')).toHaveLength(1);
    expect(await gpu.vramGeneration()).toBe(before + 1);
    expect(await sleeper.verify()).toBeUndefined();
    await expectRightTime(vm);

    await guest.run(`echo 100 > ${POWER}/autosuspend_delay_ms && echo auto > ${POWER}/control`);
    await guest.run(`until grep -qx suspended ${POWER}/runtime_status; do sleep 0.1; done`, {
      deadlineMs: DEADLINE_MS,
    });
    expect(await sleeper.verify()).toBeUndefined();
    await guest.run(`echo on > ${POWER}/control`);
    expect(await gpu.vramGeneration()).toBeGreaterThan(before + 1);

    const first = vm.pid;
    expect(await vm.suspend('s4')).not.toHaveProperty('refusal');
    expect(vm.pid).not.toBe(first);
    expect(await sleeper.verify()).toBeUndefined();
    await expectRightTime(vm);

    await guest.run('echo Y > /sys/module/edgpu/parameters/skip_vram_save');
    expect(await vm.suspend('s3')).not.toHaveProperty('refusal');
    expect(await sleeper.verify()).toMatch(/object \d+ at 0x/);
    expect(vm.kernelReports).toEqual([]);
  });

  test('a machine that is saved while it runs, and its device works, goes on from there in another QEMU', async () => {
    const host = await KvmHost.boot();
    const vm = await booted(host, 'noswap', 'source');
    const { guest } = await loaded(vm);
    await guest.run(
      'setsid edgpu-stress sleeper --vram 8 --system 4 --object-size 1048576 --seed 1 --busy yes --writers 1' +
        ' < /dev/null > /run/busy.log 2>&1 & until grep -qs holding /run/busy.log; do sleep 0.2; done',
      { deadlineMs: DEADLINE_MS },
    );
    const ssh = await addressOf(vm);
    // Not in the folder of either VM: what is gone leaves nothing there when the next one starts.
    const folder = `${path.dirname(vm.folder.path)}/saved`;
    const state = `${folder}/state`;
    await saveWhileRunning(vm, state);
    const initrd = path.join(folder, 'initrd');
    await mkdir(folder);
    await copyFile(vm.folder.file('initrd'), initrd);
    await vm.end({ keep: false, verdict: { status: 'passed' } });

    const key = { publicKey: '', privateKey: ssh.privateKey };
    const template = { folder, state, initrd, swapImage: undefined, key, hostKey: ssh.hostKey };
    const target = endLater(await Vm.clone(await specOf(host, 'noswap', 'target'), template));
    const again = new Guest(target);
    await again.run('kill -USR1 $(pidof edgpu-stress) && until grep "^verified 1 " /run/busy.log; do sleep 0.2; done', {
      deadlineMs: DEADLINE_MS,
    });
    await again.run('kill -TERM $(pidof edgpu-stress) && while pidof edgpu-stress; do sleep 0.2; done');
    expect(await again.run('tail -n 1 /run/busy.log')).toContain('"ok":true');
    expect(target.kernelReports).toEqual([]);
  });

  test('a QEMU that is killed, and then the machine around it, is a trouble of the host; between them one boots', async () => {
    const host = await KvmHost.boot();
    const vm = await booted(host, 'noswap', 'first');
    const { guest } = await loaded(vm);
    await Sleeper.start(guest, { ...OBJECTS, busy: true });
    await host.vm.exec(`kill -KILL ${await pidInside(host, vm)}`);
    await expectKilled(vm);
    const next = await booted(host, 'noswap', 'second');
    await loaded(next);
    process.kill(host.vm.pid, 'SIGKILL');
    await expectKilled(next);
  });
});

async function expectKilled(vm: Vm): Promise<void> {
  await expect(vm.exec('sleep 600')).rejects.toMatchObject({
    failureClass: 'infrastructure',
    message: expect.stringMatching(/^QEMU was killed by SIGKILL/) as string,
  });
}

async function addressOf(vm: Vm): Promise<{ readonly hostKey: string; readonly privateKey: string }> {
  const found = (await runningVms()).find(({ pid }) => pid === vm.pid);
  const address = found && (await sshAddressOf(found));
  if (!address) throw new Error('The VM has no SSH address');
  return address;
}

/** It is asked to stand still only for what it writes to faster than that can be saved. */
async function saveWhileRunning(vm: Vm, file: string): Promise<void> {
  const capabilities = [{ capability: 'mapped-ram', state: true }];
  await vm.qmp('migrate-set-capabilities', { capabilities }, z.unknown());
  await vm.qmp('migrate-set-parameters', { 'downtime-limit': 10_000, 'max-bandwidth': 0 }, z.unknown());
  await vm.qmp('migrate', { uri: `file:${file}` }, z.unknown());
  const progress = z.object({ status: z.string(), ram: z.object({ 'dirty-sync-count': z.number() }).optional() });
  await vi.waitFor(
    async () => {
      const { status, ram } = await vm.qmp('query-migrate', {}, progress);
      expect(status).toBe('completed');
      // Once by the guest's first pages, and again by those that were written to in the meantime.
      expect(ram?.['dirty-sync-count']).toBeGreaterThan(1);
    },
    { timeout: DEADLINE_MS, interval: 500 },
  );
}
