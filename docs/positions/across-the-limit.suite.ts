/**
 * Objects below a limit that ends in the middle of RAM: on one node that lies on both sides, and with whatever else may
 * be done about that. across-the-limit.md has the figures, and the commands.
 */
import { dmaComplaints, expect, test } from 'dgpu-rig';
import type { Guest } from 'dgpu-rig/testbed/guest/guest.ts';
import { COUNTED_GUEST } from 'dgpu-rig/testbed/bench/counted-guest.ts';
import { cycleReport } from 'dgpu-rig/testbed/programs/stress-program.ts';

const MIB = 2 ** 20;
const GIB = 2 ** 30;
const PAGE = 4096;
const OBJECT = 16 * MIB;
const COUNTERS = [
  'shmem_limit_fallback',
  'shmem_limit_migrate_up',
  'pgsteal_kswapd',
  'pgsteal_direct',
  'pgmigrate_success',
];

/** What is in the way of objects. */
const occupations: Readonly<Record<string, (guest: Guest) => Promise<unknown>>> = {
  nothing: () => Promise.resolve(),
  'page cache': fillPageCache,
  /** Linux fills a zone from its lower end, and others after that. What is free in the end is the upper end. */
  'anonymous memory': async (guest) => {
    const free = (await guest.meminfo()).get('MemFree') ?? NaN;
    const most = free - (free % PAGE) - 2.75 * GIB;
    await startHog(guest, most);
    await startHog(guest, 0.75 * GIB);
    const second = String(Math.max(...(await guest.run('pidof hog')).trim().split(' ').map(Number)));
    await startHog(guest, 2 * GIB - 64 * MIB);
    await guest.run(`kill -KILL ${second}; while [ -e /proc/${second} ]; do sleep 0.1; done`);
  },
  'pinned pages and page cache': async (guest) => {
    await startHog(guest, 4.5 * GIB, '--lock yes');
    await fillPageCache(guest);
  },
};

test.override({ ...COUNTED_GUEST, machine: `${import.meta.dirname}/across-the-limit.yaml`, dmaBits: 33 });

test.for([
  ['nothing', 256 * MIB],
  ['page cache', 256 * MIB],
  ['anonymous memory', 256 * MIB],
  // Nearly all that can be had.
  ['pinned pages and page cache', 1 * GIB],
] as const)('%s', { concurrent: true }, async ([name, bytes], { guest, gpu, run, record }) => {
  await gpu.load({ backend: 'shmem' });
  await occupations[name]?.(guest);
  const before = await guest.vmstat();
  const { report, witnesses } = await run('cycle', { bytes, 'object-size': OBJECT, swap: 'no' }, cycleReport);
  const after = await guest.vmstat();
  for (const counter of COUNTERS) record.metrics[counter] = (after.get(counter) ?? NaN) - (before.get(counter) ?? NaN);
  record.metrics['instructionsPerPage'] = Math.round(report.phases.fill.cpuNs / (bytes / PAGE));
  record.metrics['swappedToFill'] = report.phases.fill.pswpout;
  record.metrics['residentMiB'] = report.bytesResident / MIB;
  record.metrics['nodes'] = (await guest.nodeMeminfo('MemTotal')).length;
  expect(report.ok, report.firstError).toBe(true);
  expect(dmaComplaints(witnesses, 33)).toEqual([]);
});

async function fillPageCache(guest: Guest): Promise<void> {
  await guest.run('cat /dev/vda > /dev/null', { deadlineMs: 600_000 });
}

async function startHog(guest: Guest, bytes: number, options = ''): Promise<void> {
  const hog = `edgpu-stress hog --bytes ${String(bytes)} --seed 1 --use once ${options}`;
  await guest.runInBackground(hog, { until: 'holding' });
}
