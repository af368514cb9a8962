/**
 * Allocations that fail, in the kernel flavour `failslab`: the test programs have the kernel refuse allocations of
 * theirs, drawn from the seed, and try again (images/stress/lib/faults.h). The kernel counts what it refused.
 */
import { RigError } from '../../util/rig-error.ts';
import type { Guest } from '../guest/guest.ts';

const DEBUGFS = '/sys/kernel/debug';
const ALLOCATIONS = ['failslab', 'fail_page_alloc'] as const;
/** Counts as an allocation where a program names one by its number, for it may fail for want of memory as well. */
const USER_MEMORY = 'fail_usercopy';

/** The kernel counts down from here, one for each it refuses. */
const COUNTDOWN = 1_000_000_000;

/** What may be refused: all of it, as far as possible; and silently, or each would look like a report. */
const SETTINGS: Readonly<Record<string, Readonly<Record<string, string | number>>>> = {
  failslab: { 'ignore-gfp-wait': 'N', verbose: 0, times: COUNTDOWN },
  fail_page_alloc: { 'ignore-gfp-wait': 'N', 'ignore-gfp-highmem': 'N', 'min-order': 0, verbose: 0, times: COUNTDOWN },
  [USER_MEMORY]: { verbose: 0 },
};

/** Only a kernel of that flavour can. */
export async function canFailAllocations(guest: Guest): Promise<boolean> {
  return (await guest.exec(`test -e ${DEBUGFS}/failslab`)).exitCode === 0;
}

/** Environment of a program whose allocations fail, by this seed. */
export function failingEnvironment(seed: number): Record<string, number> {
  return { EDGPU_STRESS_FAULTS: seed };
}

export async function prepareFailures(guest: Guest): Promise<void> {
  const writes = Object.entries(SETTINGS).flatMap(([kind, settings]) =>
    Object.entries(settings).map(([name, value]) => `echo ${String(value)} > ${DEBUGFS}/${kind}/${name}`),
  );
  await guest.run(writes.join(' && '));
}

/**
 * How many allocations were refused since `prepareFailures`. None means that nothing was tested: an error, if some had
 * to be.
 */
export async function countFailures(guest: Guest, { required = true } = {}): Promise<number> {
  const counters = await guest.run(`cat ${ALLOCATIONS.map((kind) => `${DEBUGFS}/${kind}/times`).join(' ')}`);
  const refused = counters
    .trim()
    .split('\n')
    .map((left) => COUNTDOWN - Number(left));
  const sum = refused.reduce((total, count) => total + count, 0);
  if (sum === 0 && required)
    throw new RigError('test', 'No allocation failed: this run tested nothing that others do not.');
  return sum;
}
