/** What is said about the device that KVM is reached by. */
import { expect, test } from 'vitest';
import { describeKvm, kvmFinding } from '../../../src/config/kvm-device.ts';

test.each([
  [undefined, 'good', /opens/],
  ['ENOENT', 'note', /^There is no \/dev\/kvm/],
  ['EACCES', 'note', /exists, and this user may not open it.*group kvm/],
  ['EPERM', 'note', /exists, and does not open \(EPERM\)/],
] as const)('/dev/kvm, %s', (code, verdict, text) => {
  const finding = describeKvm('/dev/kvm', code, 'kvm');
  expect(finding).toMatchObject({ verdict, text: expect.stringMatching(text) as string });
});

test('nobody is told to join the group root', () => {
  expect(describeKvm('/dev/kvm', 'EACCES', 'kvm').remedy).toContain('usermod -aG kvm');
  const { remedy, text } = describeKvm('/dev/kvm', 'EACCES', 'root');
  expect(text).toContain('only root.');
  // As it is pasted into a shell.
  expect(remedy?.split('\n')[0]).toMatch(/^sudo chgrp kvm \S+ && sudo chmod 660 \S+ && sudo usermod -aG kvm "\$USER"$/);
  expect(remedy).not.toContain('-aG root');
});

test('in a user namespace the group of the device has no name, and nobody is told to join nogroup', () => {
  const { remedy, text } = describeKvm('/dev/kvm', 'EACCES', 'nogroup');
  expect(text).toContain('only root and a group of the host, mostly kvm.');
  expect(remedy?.split('\n')[0]).toBe('sudo usermod -aG kvm "$USER"');
});

test('what follows for the guests is told to who looks at the machine, and is no part of the reason', async () => {
  const closed = describeKvm('/dev/kvm', 'EACCES', 'kvm');
  const text = '/dev/kvm exists, and this user may not open it, only root and the group kvm.';
  expect(closed.text).toBe(text);
  const device = { opens: () => Promise.resolve(closed), addressBits: () => Promise.resolve(46) };
  const slower = 'Guests run under TCG, which takes about five times as long.';
  expect(await kvmFinding(device)).toEqual({ ...closed, text: `${text} ${slower}` });
  const open = describeKvm('/dev/kvm', undefined, 'kvm');
  expect(await kvmFinding({ ...device, opens: () => Promise.resolve(open) })).toEqual(open);
});
