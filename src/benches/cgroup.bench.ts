/**
 * What it costs to charge objects to the memory cgroup of whoever makes them: first use of a page, against the same
 * charged to the root, which is free. Instructions and string instructions: see swap.bench.ts.
 */
import { describe } from 'vitest';
import { COUNTED_GUEST } from '../testbed/bench/counted-guest.ts';
import { costPerPage, PAGE, type Phase } from '../testbed/bench/cycle-figures.ts';
import { inTurn, measurements } from '../testbed/bench/in-turn.ts';
import { test } from '../testbed/fixtures.ts';
import { cycleReport } from '../testbed/programs/stress-program.ts';

const MIB = 2 ** 20;
const BYTES = 64 * MIB;
const CYCLE = { bytes: BYTES, 'object-size': 4 * MIB, evict: 'no', swap: 'no' };
const CGROUP = '/sys/fs/cgroup';

describe.for(['cached', 'wc'])('64 MiB of objects, %s', (caching) => {
  test.override({ machine: 'tight', dmaBits: 32, ...COUNTED_GUEST });

  test('charged to the root and to the cgroup of their maker', async ({ guest, gpu, run, rounds, report, cpuUnit }) => {
    await guest.run(
      `{ grep -q " ${CGROUP} " /proc/mounts || mount -t cgroup2 none ${CGROUP}; } && ` +
        `echo +memory > ${CGROUP}/cgroup.subtree_control && mkdir ${CGROUP}/maker`,
    );
    // All that is started over SSH is then in there, too.
    await guest.run(`for pid in $(pidof dropbear); do echo $pid > ${CGROUP}/maker/cgroup.procs; done`);
    const measured = measurements(
      await inTurn(['maker', 'root'], rounds, async (payer) => {
        await gpu.load({ backend: 'shmem', chargeRoot: payer === 'root' });
        const { report: said } = await run('cycle', { ...CYCLE, caching }, cycleReport);
        await gpu.unload();
        return said;
      }),
    );
    const cost = (fill: Phase): number => costPerPage(fill, BYTES / PAGE);
    report(measured('first use', `${cpuUnit}/page`, ({ phases }) => cost(phases.fill), '≤ 1.1× root'));
  });
});
