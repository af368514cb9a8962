/**
 * Which machine a run has where nobody chose one, on hosts of any width; and that KVM is refused before anything is
 * built.
 */
import { beforeEach, describe, expect, test, vi } from 'vitest';
import type { AcceleratorChoice } from '../../../src/config/combination.ts';
import { KVM_DEVICE } from '../../../src/config/kvm-device.ts';
import { loadMachineProfile, widestLimit } from '../../../src/config/machine-profile.ts';
import { prepareRun } from '../../../src/plan/prepare-run.ts';
import { DEFAULT_SELECTION, type RigContext } from '../../../src/plan/rig-context.ts';
import { machineFor, onUsualMachine, usualMachine } from '../../../src/plan/usual-machine.ts';
import { accelerationText } from '../../../src/report/text/accelerators.ts';
import { EXIT_CODES, RigError } from '../../../src/util/rig-error.ts';

const buildRig = vi.hoisted(() => vi.fn(() => Promise.reject(new Error('It was built'))));
vi.mock('../../../src/builds/build-rig.ts', () => ({ buildRig }));

const selection = { ...DEFAULT_SELECTION, seed: 1 };

/** This host, from now on. */
function hostWith(bits: number, opens = true): void {
  const finding = opens ? { verdict: 'good', text: 'It opens.' } : { verdict: 'note', text: 'There is no /dev/kvm.' };
  vi.spyOn(KVM_DEVICE, 'opens').mockResolvedValue(finding as Awaited<ReturnType<typeof KVM_DEVICE.opens>>);
  vi.spyOn(KVM_DEVICE, 'addressBits').mockResolvedValue(bits);
}

beforeEach(() => void vi.restoreAllMocks());

describe('where nobody chose a machine', () => {
  test.for([
    // Bits of the host; then the machine for masks of 32, 36, 40, 47, 48 and 52 bits.
    [36, ['tiers', 'tiers', 'tiers', 'tiers', 'tiers', 'tiers']],
    [39, ['tiers-39', 'tiers-39', 'tiers', 'tiers', 'tiers', 'tiers']],
    [46, ['tiers-46', 'tiers-46', 'tiers-46', 'tiers', 'tiers', 'tiers']],
    [48, ['tiers-48', 'tiers-48', 'tiers-48', 'tiers-48', 'tiers', 'tiers']],
    [52, ['tiers', 'tiers', 'tiers', 'tiers', 'tiers', 'tiers']],
  ] as const)('and KVM has %i address bits, each mask has one with memory beyond it', async ([bits, machines]) => {
    hostWith(bits);
    const usual = await usualMachine('auto');
    expect([32, 36, 40, 47, 48, 52].map((mask) => machineFor(usual, mask))).toEqual(machines);
    for (const mask of [32, 36, 40, 47, 48])
      expect(widestLimit(await loadMachineProfile(machineFor(usual, mask)))).toBeGreaterThanOrEqual(mask);
  });

  test('the run says what is left to TCG', async () => {
    hostWith(46);
    const { acceleration, selection: chosen } = onUsualMachine(await usualMachine('auto'), selection, {
      accelerator: 'kvm',
    });
    expect(chosen).toMatchObject({ machine: 'tiers-46', wider: { than: 40, machine: 'tiers' } });
    expect(accelerationText(acceleration)).toBe(
      'kvm (tiers-46 instead of tiers, as the processor has 46 address bits: limits of more than 40 bits are left to tiers under tcg)',
    );
  });

  test('it is tiers where KVM does not work, is not wanted, or is not there', async () => {
    hostWith(46);
    const hung = { accelerator: 'tcg', reason: 'the kernel did not come up in seconds.' } as const;
    expect(onUsualMachine(await usualMachine('auto'), selection, hung)).toEqual({ selection, acceleration: hung });
    expect(await usualMachine('tcg')).toEqual({ machine: 'tiers' });
    hostWith(46, false);
    expect(await usualMachine('auto')).toEqual({ machine: 'tiers' });
  });

  test('who insists on KVM has no other machine beside it', async () => {
    hostWith(39);
    const usual = await usualMachine('kvm');
    expect(usual.reason).toMatch(/no limit of more than 36 bits is shown/);
    expect([32, 48].map((mask) => machineFor(usual, mask))).toEqual(['tiers-39', 'tiers-39']);
  });
});

describe('--accel kvm', () => {
  const prepare = (machine: string, accelerator: AcceleratorChoice, anyMachine = false): Promise<RigContext> =>
    prepareRun({
      ...{ selection: { ...selection, machine }, anyMachine, accelerator, kernelSource: undefined },
      ...{ emit: () => undefined, signal: new AbortController().signal },
    });

  test.for([
    ['tiers', 46, true, /^KVM can't be had here: machine tiers needs .* of 50 bits, .* has 46\.$/],
    ['tiers-46', 39, true, /^KVM can't be had here: machine tiers-46 needs .* of 42 bits, .* has 39\.$/],
    ['noswap', 46, false, /^KVM can't be had here: There is no \/dev\/kvm\.$/],
  ] as const)('for %s, with %i bits and a device (%s), is refused before anything is built', async (row) => {
    const [machine, bits, opens, message] = row;
    hostWith(bits, opens);
    const failure: unknown = await prepare(machine, 'kvm').catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(RigError);
    expect((failure as RigError).message).toMatch(message);
    expect(EXIT_CODES[(failure as RigError).failureClass]).toBe(4);
    expect(buildRig).not.toHaveBeenCalled();
  });

  test('for a machine that can have it, or for any machine, is not refused', async () => {
    hostWith(46);
    await expect(prepare('tiers-46', 'kvm')).rejects.toThrow('It was built');
    await expect(prepare('tiers', 'kvm', true)).rejects.toThrow('It was built');
  });
});
