/** What is remembered of KVM: a boot that succeeded or hung, and no passing trouble of the host. */
import path from 'node:path';
import { describe, expect } from 'vitest';
import { loadMachineProfile } from '../../../src/config/machine-profile.ts';
import { assertKvmPossible, chooseAccelerator, type ProofSubject } from '../../../src/vm/kvm-proof.ts';
import type { Finding } from '../../../src/config/host-checks.js';
import type { KvmDevice } from '../../../src/config/kvm-device.ts';
import { test } from '../cache/temporary-cache.ts';
import { fakeGuest, forwardTo } from './fakes/fake-guest.ts';
import { FakeQemu } from './fakes/fake-qemu.ts';

async function subject(qemu: FakeQemu): Promise<ProofSubject> {
  const { software } = await qemu.spec();
  return {
    software,
    profile: await loadMachineProfile('noswap'),
    emit: () => undefined,
    signal: new AbortController().signal,
    device: deviceOf(46),
    patience: 1 / 8,
  };
}

function deviceOf(addressBits: number, opens: Finding = { verdict: 'good', text: 'It opens.' }): KvmDevice {
  return { opens: () => Promise.resolve(opens), addressBits: () => Promise.resolve(addressBits) };
}

/** The folder of the boot that is the proof. */
async function proofFolder(qemu: FakeQemu): Promise<string> {
  const console = (await qemu.argv()).find((arg) => arg.includes('id=console'));
  return path.dirname(/path=(.*)$/.exec(console ?? '')?.[1] ?? '');
}

async function bootsWell(qemu: FakeQemu): Promise<void> {
  const guest = await fakeGuest();
  forwardTo(qemu, guest);
  qemu.onEveryStart(async () => qemu.say(`RIG-READY ${guest.hostKey}`, await proofFolder(qemu)));
}

describe('KVM', () => {
  test('that has booted the kernel is proven once', async () => {
    const qemu = await FakeQemu.create();
    await bootsWell(qemu);
    const one = await subject(qemu);
    const patient = { ...one, patience: 8 };
    const both = await Promise.all([chooseAccelerator('auto', patient), chooseAccelerator('auto', patient)]);
    expect(both).toEqual([{ accelerator: 'kvm' }, { accelerator: 'kvm' }]);
    expect(await qemu.pids()).toHaveLength(1);
  });

  test('that hangs is not tried again', async () => {
    const qemu = await FakeQemu.create();
    for (let attempt = 0; attempt < 2; attempt++)
      expect(await chooseAccelerator('auto', await subject(qemu))).toEqual({
        accelerator: 'tcg',
        reason: 'the kernel did not come up in seconds.',
        remedy: expect.stringContaining('doctor --kvm') as string,
      });
    expect(await qemu.pids()).toHaveLength(1);
    await expect(chooseAccelerator('kvm', await subject(qemu))).rejects.toThrow(
      /KVM can't be had here: .*did not come up/,
    );
  });

  test('that hung is tried again by whoever asks for it', async () => {
    const qemu = await FakeQemu.create();
    await chooseAccelerator('auto', await subject(qemu));
    await chooseAccelerator('auto', { ...(await subject(qemu)), again: true });
    expect(await qemu.pids()).toHaveLength(2);
  });

  test('is not tried where this user may not open it, or the host has too few address bits', async () => {
    const qemu = await FakeQemu.create();
    const shut = { verdict: 'note', text: 'There is no /dev/kvm.', remedy: 'Load kvm-amd.' } as const;
    const cases = [
      [{ device: deviceOf(46, shut) }, { accelerator: 'tcg', reason: shut.text, remedy: shut.remedy }],
      [
        { profile: await loadMachineProfile('tiers') },
        { accelerator: 'tcg', reason: /tiers needs .* 50 bits, .* 46\.$/ },
      ],
    ] as const;
    for (const [changes, expected] of cases) {
      const one = { ...(await subject(qemu)), ...changes };
      const { reason = '', ...rest } = await chooseAccelerator('auto', one);
      expect(rest.accelerator).toBe(expected.accelerator);
      expect(reason).toMatch(expected.reason);
      await expect(chooseAccelerator('kvm', one)).rejects.toThrow(expected.reason);
      await expect(assertKvmPossible(one)).rejects.toThrow(expected.reason);
    }
    expect(await qemu.pids()).toHaveLength(0);
  });

  test('under which the kernel panics is not tried again', async () => {
    const qemu = await FakeQemu.create();
    qemu.onEveryStart(async () => {
      const folder = await proofFolder(qemu);
      await qemu.say('[    0.711405] Kernel panic - not syncing: no working CPU', folder);
      await qemu.say('[    0.711505] ---[ end Kernel panic - not syncing: no working CPU ]---', folder);
    });
    const patient = { ...(await subject(qemu)), patience: 8 };
    for (let attempt = 0; attempt < 2; attempt++)
      expect(await chooseAccelerator('auto', patient)).toMatchObject({ accelerator: 'tcg' });
    expect(await qemu.pids()).toHaveLength(1);
  });

  test('is tried again after a trouble of the host, of which the reason is told in one line', async () => {
    const qemu = await FakeQemu.create({ greets: false });
    const assertion = "qemu: ../a.c:1: f: Assertion `ok' failed.";
    qemu.onEveryStart(() => qemu.exit(1, `warning: 4 processors are many\nNo space left on device\n${assertion}`));
    const details: string[] = [];
    const one: ProofSubject = {
      ...(await subject(qemu)),
      patience: 8,
      emit: (event) => {
        if (event.type === 'step-progress') details.push(event.detail);
      },
    };
    const reason = 'QEMU said: No space left on device';
    expect(await chooseAccelerator('auto', one)).toEqual({ accelerator: 'tcg', reason });
    expect(details).toEqual([`no: ${reason}`]);
    await expect(chooseAccelerator('kvm', one)).rejects.toThrow('No space left on device');
    expect(await qemu.pids()).toHaveLength(2);
  });
});
