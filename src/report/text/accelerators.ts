/** What the VMs of a run ran under, for people: KVM is not to be had for each machine on every host. */
import type { RunReport } from '../run-report.ts';

/** `kvm`, or `tcg (There is no /dev/kvm)`. */
export function accelerationText({ accelerator, reason }: Pick<RunReport['host'], 'accelerator' | 'reason'>): string {
  return reason === undefined ? accelerator : `${accelerator} (${reason.replace(/\.$/, '')})`;
}

/** The same of a whole run: `kvm; tcg for pair and tiers`. */
export function acceleratorsOf({ host, results }: Pick<RunReport, 'host' | 'results'>): string {
  const others = new Set<string>();
  for (const { accelerator = host.accelerator, params } of results) {
    if (accelerator !== host.accelerator) others.add(String(params['machine']));
  }
  const other = host.accelerator === 'kvm' ? 'tcg' : 'kvm';
  const names = new Intl.ListFormat('en').format([...others].sort());
  return `${accelerationText(host)}${others.size === 0 ? '' : `; ${other} for ${names}`}`;
}
