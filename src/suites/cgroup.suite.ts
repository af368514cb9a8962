/**
 * Objects larger than the memory limit of the cgroup that uses them: they are nobody's charge, so the cgroup is neither
 * killed nor slowed down for what its limit could not give back. On a machine of its own; `--machine` and `--dma-bits`
 * play no part.
 */
import { describe, expect } from 'vitest';
import { testedCases } from '../plan/tested-cases.ts';
import { test } from '../testbed/fixtures.ts';
import { dmaComplaints } from '../testbed/witnesses/dma-witnesses.ts';
import { smokeReport } from '../testbed/programs/stress-program.ts';

const MIB = 2 ** 20;
const CGROUPS = '/sys/fs/cgroup';
const CGROUP = `${CGROUPS}/small`;
const LIMIT = 64 * MIB;

const dmaBits = 32;

function inCgroup(command: string): string {
  return `sh -c 'echo $$ > ${CGROUP}/cgroup.procs && exec ${command}'`;
}

const limited = [
  `{ grep -q " ${CGROUPS} " /proc/mounts || mount -t cgroup2 none ${CGROUPS}; }`,
  `echo +memory > ${CGROUPS}/cgroup.subtree_control`,
  `mkdir -p ${CGROUP}`,
  `echo ${String(LIMIT)} > ${CGROUP}/memory.max`,
  `echo 0 > ${CGROUP}/memory.swap.max`,
].join(' && ');

test.override({ stateless: true });

describe('a cgroup with less memory than its objects have', { concurrent: true }, () => {
  test.override({ machine: 'tight', dmaBits });

  test('nobody is killed, nothing is charged', async ({ guest, gpu, backend, record }) => {
    await gpu.load({ backend });
    await guest.run(limited);
    const options = `--bytes ${String(4 * LIMIT)} --object-size ${String(4 * MIB)} --seed 1`;
    const report = smokeReport.parse(JSON.parse(await guest.run(inCgroup(`edgpu-stress smoke ${options}`))));
    expect(report).toMatchObject({ ok: true, mismatches: 0 });
    expect(await guest.run(`grep -w oom_kill ${CGROUP}/memory.events`)).toMatch(/ 0$/m);
    record.metrics['cgroupPeak'] = Number(await guest.run(`cat ${CGROUP}/memory.peak`));
    expect(record.metrics['cgroupPeak']).toBeLessThan(LIMIT / 2);
  });
});

/** More than lies above the limit: some of it is where objects have to be. */
const PROTECTED = 1024 * MIB;
/** More than there is below the limit without it. */
const MORE = 960 * MIB;

/** More than a minute each, so not for a brief run. */
const protections = testedCases(
  [
    ['memory.min keeps its memory', PROTECTED],
    ['control: without, its memory goes to swap', 0],
  ] as const,
  () => false,
);

describe.for(protections)('next to objects that fill all that the device reaches: %s', ([, min]) => {
  test.override({ machine: 'straddle', dmaBits: 40 });

  test('a cgroup', { concurrent: true }, async ({ guest, gpu, run, record }) => {
    await gpu.load({ backend: 'shmem' });
    await guest.run(
      `{ grep -q " ${CGROUPS} " /proc/mounts || mount -t cgroup2 none ${CGROUPS}; } && ` +
        `echo +memory > ${CGROUPS}/cgroup.subtree_control && mkdir -p ${CGROUP} && ` +
        `echo ${String(min)} > ${CGROUP}/memory.min`,
    );
    const hog = `edgpu-stress hog --bytes ${String(PROTECTED)} --seed 1 --use once`;
    await guest.exec(`(${inCgroup(hog)} > /dev/null 2>&1 &)`);
    await guest.run(`until [ $(cat ${CGROUP}/memory.current) -ge ${String(PROTECTED)} ]; do sleep 0.2; done`);
    const { report, witnesses } = await run('smoke', { bytes: MORE, 'object-size': 4 * MIB }, smokeReport);
    const swapped = Number(await guest.run(`cat ${CGROUP}/memory.swap.current`));
    record.metrics['swapped'] = swapped;
    expect(report, report.firstError).toMatchObject({ ok: true, mismatches: 0 });
    expect(dmaComplaints(witnesses, 40)).toEqual([]);
    // Without it 6 MiB went to swap when this was measured.
    if (min === 0) expect(swapped).toBeGreaterThan(MIB);
    else expect(swapped).toBe(0);
  });
});

describe('a cgroup with less memory than its objects have', { concurrent: true }, () => {
  test.override({ machine: 'tight', dmaBits, provokes: ['oom'] });

  test('control: its own memory is charged, and more than the limit kills it', async ({ guest }) => {
    await guest.run(limited);
    const report = await guest.exec(inCgroup(`edgpu-stress hog --bytes ${String(2 * LIMIT)} --seed 1`));
    expect(report.exitCode).not.toBe(0);
    expect(await guest.run(`grep -w oom_kill ${CGROUP}/memory.events`)).not.toMatch(/ 0$/m);
  });
});
