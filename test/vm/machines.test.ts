/** Every machine profile boots, with its RAM where the profile says. */
import { readFile } from 'node:fs/promises';
import { describe, expect, inject, test } from 'vitest';
import { listMachineProfiles, loadMachineProfile } from '../../src/config/machine-profile.ts';
import { parseZoneInfo } from '../../src/testbed/guest/proc-files.ts';
import { bootTestVm } from './test-vm.ts';

const MIB = 2 ** 20;

describe('machines', async () => {
  test.for(await listMachineProfiles())('%s boots, with its RAM in place', async (machine, { task }) => {
    const start = performance.now();
    const vm = await bootTestVm(machine);
    await vm.exec('true');
    const spawnToCommandMs = Math.round(performance.now() - start);
    task.meta.rig = { params: { machine }, metrics: { spawnToCommandMs }, kernelReports: [] };
    expect(vm.kernelReports).toEqual([]);

    const { memory, swap } = await loadMachineProfile(machine);
    const zones = parseZoneInfo((await vm.exec('cat /proc/zoneinfo')).stdout);
    for (const { address, sizeMiB } of memory.dimms) {
      const start = Number(address);
      const holding = zones.filter((zone) => zone.startAddress <= start && zone.endAddress >= start + sizeMiB * MIB);
      expect(holding, `RAM at ${String(address)}`).toHaveLength(1);
    }
    const swaps = (await vm.exec('cat /proc/swaps')).stdout.trim().split('\n').slice(1);
    expect(swaps).toHaveLength(swap ? 1 : 0);
  });
});

test('the tiers machine has a node for each DMA tier, with memory in it', async () => {
  const vm = await bootTestVm('tiers');
  const zones = parseZoneInfo((await vm.exec('cat /proc/zoneinfo')).stdout);
  const starts = [2 ** 33, 2 ** 40, 2 ** 48];
  const high = starts.map((start) => zones.find((zone) => zone.startAddress === start));
  expect(new Set(high.map((zone) => zone?.node)).size).toBe(3);
  for (const zone of high) expect(zone?.freeBytes).toBeGreaterThan(200 * MIB);
});

test('the emulated GPU is on the bus, and its driver binds to it', async () => {
  const vm = await bootTestVm('tiers', { gpu: { dmaBits: 40, vramMiB: 64, apertureMiB: 64 } });
  const { exitCode, stderr } = await vm.exec('modprobe edgpu && test -c /dev/dri/renderD128');
  expect(stderr).toBe('');
  expect(exitCode).toBe(0);
  // QEMU is in its sandbox: 2 is a filter of system calls.
  expect(await readFile(`/proc/${vm.pid}/status`, 'utf8')).toMatch(/^Seccomp:\s+2$/m);
});

test('the run says which accelerator it uses', () => {
  expect(['kvm', 'tcg']).toContain(inject('rig').acceleration.accelerator);
});
