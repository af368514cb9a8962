/**
 * The short form of a run under KVM: the proof, and then objects that the device's mask keeps low, with a control. One
 * mask, or both by `--effort 2`.
 */
import { expect, test } from 'vitest';
import { loadMachineProfile, type MachineProfile } from '../../src/config/machine-profile.ts';
import type { TestRecord } from '../../src/plan/rig-context.ts';
import { reachableFreeBytes } from '../../src/testbed/guest/proc-files.ts';
import { contentComplaints, dmaComplaints, swapComplaints } from '../../src/testbed/witnesses/dma-witnesses.ts';
import { stressWithWitnesses } from '../../src/testbed/witnesses/witnessed-stress.ts';
import { chooseAccelerator } from '../../src/vm/kvm-proof.ts';
import { KvmHost, loaded } from './kvm-host.ts';

const EFFORT = Number(process.env['DGPU_RIG_EFFORT'] ?? '1');
const MIB = 2 ** 20;

/** As tiers-46, with less of everything. */
async function smallTiers(): Promise<MachineProfile> {
  const { memory, ...profile } = await loadMachineProfile('tiers-46');
  const dimms = memory.dimms.map((dimm) => ({ ...dimm, sizeMiB: 128 }));
  return { ...profile, cpuNodes: [1, 2], memory: { ...memory, boot: { node: 0, sizeMiB: 256 }, dimms } };
}

/** Each way to run the CPUs around it has had faults of its own. */
const WAYS = [
  { dmaBits: 32, inTurn: true },
  { dmaBits: 40, inTurn: false },
];

test.for(EFFORT === 1 ? WAYS.slice(0, 1) : WAYS)(
  'KVM is proven, and under it objects keep within $dmaBits bits, go to swap and come back; without the limit not',
  async ({ dmaBits, inTurn }) => {
    const host = await KvmHost.boot({ inTurn });
    const profile = await smallTiers();
    expect(await chooseAccelerator('auto', host.subject(profile))).toEqual({ accelerator: 'kvm' });

    const vm = await host.bootInside(profile, { dmaBits });
    // The processor is AMD's, and the guest takes it for Intel's: no instruction of the other vendor may have been
    // needed.
    expect((await host.vm.exec('cat /proc/cpuinfo')).stdout).toContain('AuthenticAMD');
    const { stdout } = await vm.exec('dmesg; cat /proc/cpuinfo');
    expect(stdout).toContain('Hypervisor detected: KVM');
    expect(stdout).toContain('GenuineIntel');

    const { guest, gpu } = await loaded(vm);
    const record: TestRecord = { params: {}, metrics: {}, kernelReports: [] };
    const fixtures = { guest, gpu, seed: 1, failAllocations: false, record, annotate: () => Promise.resolve() };
    const stress = async (): Promise<string[]> => {
      const bytes = reachableFreeBytes(await guest.zones(), dmaBits) + 32 * MIB;
      const { report, witnesses } = await stressWithWitnesses(fixtures, bytes, MIB);
      const complaints = [...contentComplaints(report, bytes), ...dmaComplaints(witnesses, dmaBits)];
      return report.ok ? [...complaints, ...swapComplaints(report)] : complaints;
    };
    expect(await stress()).toEqual([]);
    await gpu.unload();
    await gpu.resetStatistics();
    await gpu.load({ backend: 'shmem', dmaBits: 64 });
    expect((await stress()).sort()).toEqual(['address-above-limit', 'device-fault', 'wrong-content']);
    // The control's fault is in the kernel's log, and no bug.
    expect(vm.kernelReports.filter(({ severity }) => severity === 'bug')).toEqual([]);
  },
);
