/** What the rig finds out about KVM, on hosts that have it and on hosts that do not. */
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { addressBitsOf, describeKvm, type KvmDevice } from '../../src/config/kvm-device.ts';
import { loadMachineProfile, type MachineProfile } from '../../src/config/machine-profile.ts';
import { chooseAccelerator, type ProofSubject } from '../../src/vm/kvm-proof.ts';
import { Vm, type VmSpec } from '../../src/vm/vm.ts';
import { KvmHost, PATIENCE } from './kvm-host.ts';

const EFFORT = Number(process.env['DGPU_RIG_EFFORT'] ?? '1');

/** As the rig asks its own host, asked of the host inside. */
function deviceOf({ vm }: KvmHost): KvmDevice {
  return {
    opens: async () => {
      const { exitCode } = await vm.exec('test -c /dev/kvm');
      return describeKvm('/dev/kvm', exitCode === 0 ? undefined : 'ENOENT', 'kvm');
    },
    addressBits: async () => addressBitsOf((await vm.exec('cat /proc/cpuinfo')).stdout),
  };
}

function subject(host: KvmHost, profile: MachineProfile): ProofSubject {
  return {
    software: host.software,
    profile,
    emit: () => undefined,
    signal: new AbortController().signal,
    device: deviceOf(host),
    patience: PATIENCE,
  };
}

async function boot(host: KvmHost, profile: MachineProfile): Promise<Vm> {
  const spec: VmSpec = {
    profile,
    accelerator: 'kvm',
    software: host.software,
    gpu: { dmaBits: 40, vramMiB: 64, apertureMiB: 64 },
    patience: PATIENCE,
    folder: path.join(host.vm.folder.path, 'inside'),
    signal: new AbortController().signal,
  };
  const vm = await Vm.boot(spec);
  onTestFinished(async () => {
    await vm.end({ keep: false, verdict: { status: 'passed' } });
  });
  return vm;
}

test('a host with KVM of 46 bits, and one that loses it: each way to no has its reason, before any guest runs', async () => {
  const host = await KvmHost.boot({ addressBits: 46 });
  const [noswap, tiers] = await Promise.all(['noswap', 'tiers'].map(loadMachineProfile));
  if (!noswap || !tiers) throw new Error('unreachable');

  const { accelerator, reason } = await chooseAccelerator('auto', subject(host, tiers));
  expect(accelerator).toBe('tcg');
  expect(reason).toBe("machine tiers needs physical addresses of 50 bits, and this host's processor has 46.");
  await expect(boot(host, tiers)).rejects.toThrow(/phys-bits too low \(46\)/);

  const picky = { ...noswap, cpu: `${noswap.cpu},enforce=on,avx512f=on` };
  const refused = await chooseAccelerator('auto', subject(host, picky));
  expect(refused.reason).toMatch(/^QEMU said: .*doesn't support requested features/);

  expect((await host.vm.exec('rmmod kvm-amd')).exitCode).toBe(0);
  const lost = await chooseAccelerator('auto', subject(host, noswap));
  expect(lost.reason).toMatch(/^There is no \/dev\/kvm/);
  expect(lost.remedy).toMatch(/Load kvm-intel or kvm-amd/);
  // As for a run that had its proof from before.
  const failure = await boot(host, noswap).catch((error: unknown) => error);
  expect(failure).toMatchObject({ failureClass: 'infrastructure', message: expect.stringMatching(/KVM/) as string });
});

/** Guests run here, and do not always come up: docs/kvm.md tells what is known of that. */
test.skipIf(EFFORT === 1)('a machine that fits runs: KVM is proven, and used', async () => {
  const host = await KvmHost.boot({ addressBits: 46, inTurn: true });
  const [noswap, tiers46] = await Promise.all(['noswap', 'tiers-46'].map(loadMachineProfile));
  if (!noswap || !tiers46) throw new Error('unreachable');

  expect(await chooseAccelerator('auto', subject(host, noswap))).toEqual({ accelerator: 'kvm' });
  const vm = await boot(host, tiers46);
  const { stdout } = await vm.exec('dmesg; cat /proc/cpuinfo; modprobe edgpu && ls /dev/dri');
  expect(stdout).toContain('Hypervisor detected: KVM');
  // The processor is AMD's, and the guest takes it for Intel's: no instruction of the other vendor may have been
  // needed.
  expect((await host.vm.exec('cat /proc/cpuinfo')).stdout).toContain('AuthenticAMD');
  expect(stdout).toContain('GenuineIntel');
  expect(stdout).toContain('renderD128');
  expect(vm.kernelReports).toEqual([]);
});

test.skipIf(EFFORT === 1)(
  'a guest that does not come up in time is remembered, whoever asks; but not by who asks for another trial',
  async () => {
    const host = await KvmHost.boot();
    const noswap = await loadMachineProfile('noswap');
    const impatient = { ...subject(host, noswap), patience: 1 / 8 };
    expect(await chooseAccelerator('auto', impatient)).toMatchObject({
      accelerator: 'tcg',
      reason: 'the kernel did not come up in seconds.',
    });
    expect(await chooseAccelerator('auto', subject(host, noswap))).toMatchObject({ accelerator: 'tcg' });
    expect(await chooseAccelerator('auto', { ...subject(host, noswap), again: true })).toEqual({ accelerator: 'kvm' });
  },
);
