/** What the rig finds out about KVM, on hosts that have it and on hosts that do not. */
import { expect, test } from 'vitest';
import { loadMachineProfile } from '../../src/config/machine-profile.ts';
import { chooseAccelerator } from '../../src/vm/kvm-proof.ts';
import { KvmHost } from './kvm-host.ts';

const EFFORT = Number(process.env['DGPU_RIG_EFFORT'] ?? '1');

test('a host with KVM of 46 bits, and one that loses it: each way to no has its reason, before any guest runs', async () => {
  const host = await KvmHost.boot({ addressBits: 46 });
  const [noswap, tiers] = await Promise.all(['noswap', 'tiers'].map(loadMachineProfile));
  if (!noswap || !tiers) throw new Error('unreachable');

  const { accelerator, reason } = await chooseAccelerator('auto', host.subject(tiers));
  expect(accelerator).toBe('tcg');
  expect(reason).toBe("machine tiers needs physical addresses of 50 bits, and this host's processor has 46.");
  await expect(host.bootInside(tiers)).rejects.toThrow(/phys-bits too low \(46\)/);

  const picky = { ...noswap, cpu: `${noswap.cpu},enforce=on,avx512f=on` };
  const lacking = await chooseAccelerator('auto', host.subject(picky));
  expect(lacking.reason).toMatch(/^QEMU said: .*doesn't support requested features/);

  // What the processor lacks is claimed all the same, and QEMU has to set its MSRs: KVM knows of none of them.
  const forced = { ...noswap, cpu: `${noswap.cpu},x-force-features=on,intel-pt=on` };
  const refused = await chooseAccelerator('auto', host.subject(forced));
  expect(refused.reason).toMatch(/^QEMU said: .*: error: failed to set MSR 0x570 to 0x0$/);

  const visitor = await host.as('visitor');
  const shut = await chooseAccelerator('auto', visitor.subject(noswap));
  expect(shut.reason).toBe('/dev/kvm exists, and this user may not open it, only root.');
  expect(shut.remedy).toMatch(/^sudo chgrp kvm \/dev\/kvm .*usermod -aG kvm/);
  // As for a run that had its proof from before.
  await expect(visitor.bootInside(noswap)).rejects.toMatchObject({
    failureClass: 'infrastructure',
    message: expect.stringMatching(/Could not access KVM kernel module: Permission denied/) as string,
  });

  expect((await host.vm.exec('rmmod kvm-amd')).exitCode).toBe(0);
  const lost = await chooseAccelerator('auto', host.subject(noswap));
  expect(lost.reason).toMatch(/^There is no \/dev\/kvm/);
  expect(lost.remedy).toMatch(/Load kvm-intel or kvm-amd/);
  await expect(host.bootInside(noswap)).rejects.toMatchObject({
    failureClass: 'infrastructure',
    message: expect.stringMatching(/KVM/) as string,
  });
});

test.skipIf(EFFORT === 1)('a processor of another vendor has no KVM in there', async () => {
  const host = await KvmHost.boot({ vendor: 'GenuineIntel', kvm: false });
  expect((await host.vm.exec('grep -o -m 1 -w svm /proc/cpuinfo')).stdout).toBe('svm\n');
  expect((await host.vm.exec('modprobe kvm-amd')).exitCode).not.toBe(0);
  expect((await host.vm.exec('dmesg')).stdout).toMatch(/CPU \d+ isn't AMD or Hygon/);
  const none = await chooseAccelerator('auto', host.subject(await loadMachineProfile('noswap')));
  expect(none.reason).toMatch(/^There is no \/dev\/kvm/);
});

test.skipIf(EFFORT === 1)('a guest whose vendor is that of its host runs, too', async () => {
  const host = await KvmHost.boot();
  const noswap = await loadMachineProfile('noswap');
  const own = { ...noswap, cpu: noswap.cpu.replace(/vendor=\w+,family=\d+,model=\d+/, 'vendor=AuthenticAMD') };
  expect(await chooseAccelerator('auto', host.subject(own))).toEqual({ accelerator: 'kvm' });
  const vm = await host.bootInside(own);
  expect((await vm.exec('cat /proc/cpuinfo')).stdout).toContain('AuthenticAMD');
  expect(vm.kernelReports).toEqual([]);
});

test.skipIf(EFFORT === 1)(
  'a guest that does not come up in time is remembered, whoever asks; but not by who asks for another trial',
  async () => {
    const host = await KvmHost.boot();
    const noswap = await loadMachineProfile('noswap');
    const impatient = { ...host.subject(noswap), patience: 1 / 8 };
    expect(await chooseAccelerator('auto', impatient)).toMatchObject({
      accelerator: 'tcg',
      reason: 'the kernel did not come up in seconds.',
    });
    expect(await chooseAccelerator('auto', host.subject(noswap))).toMatchObject({ accelerator: 'tcg' });
    expect(await chooseAccelerator('auto', { ...host.subject(noswap), again: true })).toEqual({ accelerator: 'kvm' });
  },
);
