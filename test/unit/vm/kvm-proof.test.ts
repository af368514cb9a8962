/** What is remembered of KVM: a boot that succeeded or hung, and no passing trouble of the host. */
import path from 'node:path';
import { describe, expect } from 'vitest';
import { loadMachineProfile } from '../../../src/config/machine-profile.ts';
import { chooseAccelerator, type ProofSubject } from '../../../src/vm/kvm-proof.ts';
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
    isUsable: () => Promise.resolve(true),
    proofMs: 1000,
  };
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
    const patient = { ...one, proofMs: 60_000 };
    expect(await Promise.all([chooseAccelerator('auto', patient), chooseAccelerator('auto', patient)])).toEqual([
      ...['kvm', 'kvm'],
    ]);
    expect(await qemu.pids()).toHaveLength(1);
  });

  test('that hangs is not tried again', async () => {
    const qemu = await FakeQemu.create();
    for (let attempt = 0; attempt < 2; attempt++)
      expect(await chooseAccelerator('auto', await subject(qemu))).toBe('tcg');
    expect(await qemu.pids()).toHaveLength(1);
    await expect(chooseAccelerator('kvm', await subject(qemu))).rejects.toThrow(
      /KVM does not work here: .*did not come up/,
    );
  });

  test('under which the kernel panics is not tried again', async () => {
    const qemu = await FakeQemu.create();
    qemu.onEveryStart(async () => {
      const folder = await proofFolder(qemu);
      await qemu.say('[    0.711405] Kernel panic - not syncing: no working CPU', folder);
      await qemu.say('[    0.711505] ---[ end Kernel panic - not syncing: no working CPU ]---', folder);
    });
    const patient = { ...(await subject(qemu)), proofMs: 60_000 };
    for (let attempt = 0; attempt < 2; attempt++) expect(await chooseAccelerator('auto', patient)).toBe('tcg');
    expect(await qemu.pids()).toHaveLength(1);
  });

  test('is tried again after a trouble of the host, of which the reason is told in one line', async () => {
    const qemu = await FakeQemu.create({ greets: false });
    qemu.onEveryStart(() => qemu.exit(1, 'warning: 4 processors are many\nNo space left on device'));
    const notices: string[] = [];
    const one: ProofSubject = {
      ...(await subject(qemu)),
      proofMs: 60_000,
      emit: (event) => {
        if (event.type === 'notice') notices.push(event.text);
      },
    };
    expect(await chooseAccelerator('auto', one)).toBe('tcg');
    expect(notices).toEqual([
      'KVM could not be tried, so it is TCG this time: No space left on device (--accel kvm tells it all)',
    ]);
    await expect(chooseAccelerator('kvm', one)).rejects.toThrow('No space left on device');
    expect(await qemu.pids()).toHaveLength(2);
  });
});
