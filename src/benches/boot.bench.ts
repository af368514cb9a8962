/**
 * From starting a VM to the end of a command in it: booted, and cloned from a template, against Debian's virtme-ng with
 * the same kernel, accelerator, CPUs and memory, in turn; one VM, and four at once. Its kernel is the flavour "hostfs",
 * which has the 9p that virtme-ng boots from.
 */
import { describe } from 'vitest';
import { MACHINE, openStarters, type Starter } from '../testbed/bench/boot-times.ts';
import { test } from '../testbed/fixtures.ts';
import { inTurn, measurements } from '../testbed/bench/in-turn.ts';

/** A command in one VM, on a host with KVM. Nobody has measured it on one. */
const UNDER_KVM = { cloned: '≤ 150 ms', booted: '≤ 600 ms' } as const;

/** The time until the last of so many is there. */
async function timeTogether(start: Starter, count: number, name: string): Promise<number> {
  const timed = await Promise.all(Array.from({ length: count }, (_, index) => start(`${name}-${String(index)}`)));
  await Promise.all(timed.map(({ end }) => end()));
  return Math.max(...timed.map(({ milliseconds }) => milliseconds));
}

describe('spawn to command done', () => {
  test.override({ machine: MACHINE });

  test.for([1, 4])('%i at once', async (count, { flavour, rounds, accelerator, report, signal, skip }) => {
    skip(flavour !== 'hostfs', 'virtme-ng can boot only the flavour hostfs: dgpu-rig bench boot');
    const starters = await openStarters(signal);
    const times = await inTurn(['cloned', 'booted', 'virtme-ng'] as const, rounds, (variant) =>
      timeTogether(starters[variant], count, variant),
    );
    const against = (variant: 'cloned' | 'booted', aim: string): void => {
      const both = new Map([...times].filter(([name]) => name === variant || name === 'virtme-ng'));
      const alone = accelerator === 'kvm' && count === 1 ? `${UNDER_KVM[variant]}, and ` : '';
      report(measurements(both)(variant, 'ms', (milliseconds) => milliseconds, `${alone}${aim}`));
    };
    against('cloned', '≤ 0.1× virtme-ng');
    against('booted', '≤ 0.5× virtme-ng');
  });
});
