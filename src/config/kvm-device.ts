/** What this host says of KVM before anything is tried: whether its device opens, and how far an address reaches. */
import { open, readFile, stat } from 'node:fs/promises';
import type { Finding } from './host-checks.js';

const DEVICE = '/dev/kvm';

/** How a user namespace, in which a Debian userland is, shows groups of the host. */
const UNMAPPED = 'nogroup';

/** What a VM under KVM finds on its host; tests put another one in its place. */
export interface KvmDevice {
  /** Good when this user may open it. */
  readonly opens: () => Promise<Finding>;
  /** Of a physical address: a guest under KVM has no more. */
  readonly addressBits: () => Promise<number>;
}

export const KVM_DEVICE: KvmDevice = {
  opens: async () => {
    const code = await open(DEVICE, 'r+').then(
      async (file) => file.close(),
      (error: unknown) => (error instanceof Error && 'code' in error ? String(error.code) : String(error)),
    );
    return describeKvm(DEVICE, code ?? undefined, await groupOf(DEVICE));
  },
  addressBits: async () => addressBitsOf(await readFile('/proc/cpuinfo', 'utf8')),
};

/** For who looks at the machine, and not at a run that has its reason: what follows for the guests, too. */
export async function kvmFinding(device = KVM_DEVICE): Promise<Finding> {
  const { text, ...finding } = await device.opens();
  const slower = ' Guests run under TCG, which takes about five times as long.';
  return { ...finding, text: finding.verdict === 'good' ? text : `${text}${slower}` };
}

/** Of the processor that this /proc/cpuinfo is about; 36 if it does not say, as the oldest with KVM have. */
export function addressBitsOf(cpuinfo: string): number {
  return Number(/^address sizes\s*: (\d+) bits physical/m.exec(cpuinfo)?.[1] ?? 36);
}

/** By what came of opening it. Never a fault: TCG does everything, only slower. */
export function describeKvm(device: string, code: string | undefined, group: string): Finding {
  switch (code) {
    case undefined:
      return { verdict: 'good', text: `${device} opens; the first run proves whether it works.` };
    case 'ENOENT':
      return {
        verdict: 'note',
        text: `There is no ${device}.`,
        remedy:
          'Load kvm-intel or kvm-amd, and switch virtualization on in the firmware; in a VM, ask for nested virtualization; in a container, pass the device in.',
      };
    case 'EACCES': {
      const others =
        { root: '', [UNMAPPED]: ' and a group of the host, mostly kvm' }[group] ?? ` and the group ${group}`;
      const text = `${device} exists, and this user may not open it, only root${others}.`;
      const giveAway = group === 'root' ? `sudo chgrp kvm ${device} && sudo chmod 660 ${device} && ` : '';
      const join = `sudo usermod -aG ${['root', UNMAPPED].includes(group) ? 'kvm' : group} "$USER"`;
      return { verdict: 'note', text, remedy: `${giveAway}${join}\n  Then log in again.` };
    }
    default:
      return { verdict: 'note', text: `${device} exists, and does not open (${code}).` };
  }
}

async function groupOf(file: string): Promise<string> {
  const gid = await stat(file).then(
    (found) => found.gid,
    () => 0,
  );
  const groups = await readFile('/etc/group', 'utf8');
  return new RegExp(`^([^:]+):[^:]*:${gid}:`, 'm').exec(groups)?.[1] ?? String(gid);
}
