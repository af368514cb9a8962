/**
 * Objects below a limit that ends in the middle of RAM: on one node that lies on both sides, or on several that
 * numa=fake= has cut there. limit-cost.md has the figures, and the commands.
 */
import { dmaComplaints, expect, test } from 'dgpu-rig';
import type { Guest } from 'dgpu-rig/testbed/guest/guest.ts';
import { COUNTED_GUEST } from 'dgpu-rig/testbed/bench/counted-guest.ts';
import { cycleReport } from 'dgpu-rig/testbed/programs/stress-program.ts';

const MIB = 2 ** 20;
const PAGE = 4096;
const bytes = 256 * MIB;
const COUNTERS = ['shmem_limit_fallback', 'shmem_limit_migrate_up', 'pgsteal_kswapd', 'pgsteal_direct', 'pswpout'];

test.override({ ...COUNTED_GUEST, machine: `${import.meta.dirname}/cut-node.yaml`, dmaBits: 33 });

/** What is in the way of objects. */
const occupations: Readonly<Record<string, (guest: Guest) => Promise<unknown>>> = {
  nothing: () => Promise.resolve(),
  'page cache': (guest) => guest.run('cat /dev/vda > /dev/null', { deadlineMs: 600_000 }),
  'anonymous memory': async (guest) => {
    const free = (await guest.meminfo()).get('MemFree') ?? NaN;
    const hog = `edgpu-stress hog --bytes ${String(free - (free % PAGE) - 768 * MIB)} --seed 1 --use once`;
    await guest.runInBackground(hog, { until: 'holding' });
  },
};

test.for(Object.keys(occupations))('%s', { concurrent: true }, async (name, { guest, gpu, run, record }) => {
  await gpu.load({ backend: 'shmem' });
  await occupations[name]?.(guest);
  const before = await guest.vmstat();
  const { report, witnesses } = await run('cycle', { bytes, 'object-size': 16 * MIB }, cycleReport);
  const after = await guest.vmstat();
  for (const counter of COUNTERS) record.metrics[counter] = (after.get(counter) ?? NaN) - (before.get(counter) ?? NaN);
  record.metrics['instructionsPerPage'] = Math.round(report.phases.fill.cpuNs / (bytes / PAGE));
  record.metrics['swappedToFill'] = report.phases.fill.pswpout;
  record.metrics['residentMiB'] = report.bytesResident / MIB;
  record.metrics['nodes'] = (await guest.nodeMeminfo('MemTotal')).length;
  expect(report.ok, report.firstError).toBe(true);
  expect(dmaComplaints(witnesses, 33)).toEqual([]);
});
