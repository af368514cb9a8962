/**
 * Objects are charged to the memory cgroup of whoever made them: its limit holds for them, its own reclaim lets go of
 * them, and nobody else loses anything to it. The same with VRAM and the controller dmem. On a machine of its own;
 * `--machine` and `--dma-bits` play no part.
 */
import { describe, expect } from 'vitest';
import { testedCases } from '../plan/tested-cases.ts';
import { test } from '../testbed/fixtures.ts';
import { dmaComplaints } from '../testbed/witnesses/dma-witnesses.ts';
import { Sleeper } from '../testbed/programs/sleeper.ts';
import { smokeReport } from '../testbed/programs/stress-program.ts';
import { CGROUPS, inCgroup, kills, makeCgroups, numberIn } from '../testbed/guest/cgroups.ts';
import type { Guest } from '../testbed/guest/guest.ts';
import { parseVmstat } from '../testbed/guest/proc-files.ts';

const MIB = 2 ** 20;
const PAGE = 4096;
const A = `${CGROUPS}/a`;
const B = `${CGROUPS}/b`;
const LIMIT = 64 * MIB;
/** By their size the driver's lists tell the objects of the two apart. */
const OF_A = 4 * MIB;
const OF_B = 2 * MIB;
/** What may be charged beside objects: the program, its page tables, and what each CPU has in advance (64 pages). */
const BESIDE = 4 * MIB;
const DEBUGFS = '/sys/kernel/debug/dri/128';

const dmaBits = 32;

/**
 * Bytes on a cgroup's lists: those that reclaim doesn't look at, and how many more than it has are on any list, as each
 * page is on one. Some are on their way to a list, and some in the swap cache count as anonymous, too.
 */
async function lruLists(guest: Guest, folder: string): Promise<{ unevictable: number; miscounted: number }> {
  const stat = parseVmstat(await guest.read(`${folder}/memory.stat`));
  const sum = (...names: readonly string[]): number => names.reduce((all, name) => all + (stat.get(name) ?? NaN), 0);
  const listed = sum('inactive_anon', 'active_anon', 'unevictable');
  return { unevictable: sum('unevictable'), miscounted: listed - sum('anon', 'shmem', 'swapcached') };
}

/** What the driver counts of a cgroup; nothing if none of its tasks made objects that are still there. */
async function counted(guest: Guest, folder: string): Promise<{ uncharged: number; evicted: number } | undefined> {
  const line = await guest.run(`grep "^memcg: $(stat -c %i ${folder}) " ${DEBUGFS}/memcgs || true`);
  const found = / uncharged (\d+) evicted (\d+)/.exec(line);
  return found ? { uncharged: Number(found[1]), evicted: Number(found[2]) } : undefined;
}

/** How many pages of objects of this size are in swap. */
async function swapped(guest: Guest, size: number): Promise<number> {
  return Number(await guest.run(`awk '$3 == ${String(size)} { n += $6 } END { print n + 0 }' ${DEBUGFS}/lru`));
}

test.override({ stateless: true });

describe('a cgroup with less memory than its objects have', { concurrent: true }, () => {
  test.override({ machine: 'tight', dmaBits });

  test('its own are swapped, nobody is killed, and others lose nothing', async ({ guest, gpu, seed, record }) => {
    await gpu.load({ backend: 'shmem' });
    await makeCgroups(guest, { [A]: { 'memory.max': LIMIT }, [B]: {} });
    const b = await Sleeper.start(guest, { vram: 0, system: 16, objectSize: OF_B, seed, cgroup: B });
    const a = await Sleeper.start(guest, { vram: 0, system: 48, objectSize: OF_A, seed: seed + 1, cgroup: A });
    record.metrics['cgroupPeak'] = await numberIn(guest, `${A}/memory.peak`);
    record.metrics['swapped'] = await numberIn(guest, `${A}/memory.swap.current`);
    expect(record.metrics['cgroupPeak']).toBeLessThanOrEqual(LIMIT);
    expect(record.metrics['cgroupPeak']).toBeGreaterThan(LIMIT - BESIDE);
    expect(record.metrics['swapped']).toBeGreaterThan(48 * OF_A - LIMIT - BESIDE);
    const lost = await counted(guest, B);
    record.metrics['lostByOthers'] = lost?.evicted ?? Number.NaN;
    expect(lost).toEqual({ uncharged: 0, evicted: 0 });
    expect((await counted(guest, A))?.evicted).toBeGreaterThan((48 * OF_A - LIMIT) / PAGE);
    expect(await swapped(guest, OF_B)).toBe(0);
    expect(await numberIn(guest, `${B}/memory.current`)).toBeGreaterThan(16 * OF_B - BESIDE);
    await guest.run(`echo 1 > ${DEBUGFS}/evict`);
    for (const folder of [A, B]) {
      const lists = await lruLists(guest, folder);
      expect(lists.unevictable).toBeLessThan(BESIDE);
      expect(Math.abs(lists.miscounted)).toBeLessThan(BESIDE);
    }
    expect(await a.end()).toMatchObject({ ok: true, mismatches: 0 });
    expect(await b.end()).toMatchObject({ ok: true, mismatches: 0 });
    expect([await kills(guest, A), await kills(guest, B)]).toEqual([0, 0]);
    expect(gpu.faultEvents()).toEqual([]);
  });

  test('without swap its next object fails, and nobody is killed', async ({ guest, gpu, seed }) => {
    await gpu.load({ backend: 'shmem' });
    await makeCgroups(guest, { [A]: { 'memory.max': LIMIT, 'memory.swap.max': 0 } });
    const options = `--vram 0 --system 32 --object-size ${String(OF_A)} --seed ${String(seed)}`;
    const { exitCode, stdout, stderr } = await guest.exec(inCgroup(A, `edgpu-stress sleeper ${options}`));
    expect(exitCode).not.toBe(0);
    // Of a page fault. A job or a move has ENOMEM.
    expect(stdout + stderr).toContain('SIGBUS');
    expect(await numberIn(guest, `${A}/memory.peak`)).toBeGreaterThan(LIMIT - BESIDE);
    expect(await kills(guest, A)).toBe(0);
    expect(await numberIn(guest, `${A}/memory.current`)).toBeLessThan(BESIDE);
  });
});

/** More than there is memory, if nothing limits it. */
const TOO_MANY = 112;

const charges = testedCases(
  [
    ['of the cgroup with the limit only', false],
    ['control: charged to the root, those of others, too', true],
  ] as const,
  () => false,
);

describe.for(charges)(
  'objects of more than the memory there is, next to idle ones: who loses theirs: %s',
  ([, root]) => {
    test.override({ machine: 'tight', dmaBits });

    test('two cgroups', { concurrent: true }, async ({ guest, gpu, seed, record }) => {
      await gpu.load({ backend: 'shmem', chargeRoot: root });
      await makeCgroups(guest, { [A]: { 'memory.max': LIMIT }, [B]: {} });
      const b = await Sleeper.start(guest, { vram: 0, system: 32, objectSize: OF_B, seed, cgroup: B });
      const a = await Sleeper.start(guest, { vram: 0, system: TOO_MANY, objectSize: OF_A, seed: seed + 1, cgroup: A });
      const peak = await numberIn(guest, `${A}/memory.peak`);
      record.metrics['lostByOthers'] = await swapped(guest, OF_B);
      if (root) {
        expect(peak).toBeLessThan(LIMIT / 2);
        expect(await numberIn(guest, `${A}/memory.swap.current`)).toBe(0);
        expect(await counted(guest, A)).toBeUndefined();
        expect(record.metrics['lostByOthers']).toBeGreaterThan(0);
      } else {
        expect(peak).toBeLessThanOrEqual(LIMIT);
        expect(await numberIn(guest, `${A}/memory.swap.current`)).toBeGreaterThan(TOO_MANY * OF_A - LIMIT - BESIDE);
        expect(await counted(guest, B)).toEqual({ uncharged: 0, evicted: 0 });
        expect(record.metrics['lostByOthers']).toBe(0);
      }
      expect(await a.end()).toMatchObject({ ok: true, mismatches: 0 });
      expect(await b.end()).toMatchObject({ ok: true, mismatches: 0 });
      expect([await kills(guest, A), await kills(guest, B)]).toEqual([0, 0]);
      expect(gpu.faultEvents()).toEqual([]);
    });
  },
);

const removals = testedCases(['the task, and then the cgroup'] as const, () => false);

describe.for(removals)('who pays stays the same when one of them goes: %s', () => {
  test.override({ machine: 'tight', dmaBits });

  test('the owner, and then its parent', { concurrent: true }, async ({ guest, gpu, seed }) => {
    const child = `${A}/child`;
    const size = 16 * OF_A;
    await gpu.load({ backend: 'shmem' });
    await makeCgroups(guest, { [A]: {} });
    await guest.run(`echo +memory > ${A}/cgroup.subtree_control && mkdir ${child}`);
    const sleeper = await Sleeper.start(guest, { vram: 0, system: 16, objectSize: OF_A, seed, cgroup: child });
    expect(await numberIn(guest, `${child}/memory.current`)).toBeGreaterThan(size - BESIDE);

    await guest.run(`echo ${sleeper.pid} > ${CGROUPS}/cgroup.procs`);
    expect(await sleeper.verify()).toBeUndefined();
    expect(await numberIn(guest, `${child}/memory.current`)).toBeGreaterThan(size - BESIDE);

    await guest.run(`rmdir ${child}`);
    expect(await guest.run(`cat ${A}/cgroup.stat`)).toContain('nr_dying_descendants 1\n');
    // As much as there is, so this may end with EAGAIN.
    await guest.exec(`echo ${String(size)} > ${A}/memory.reclaim`);
    expect(await numberIn(guest, `${A}/memory.swap.current`)).toBeGreaterThan(size / 2);
    expect(await sleeper.verify()).toBeUndefined();
    expect(await numberIn(guest, `${A}/memory.current`)).toBeGreaterThan(size - BESIDE);

    expect(await sleeper.end()).toMatchObject({ ok: true, mismatches: 0 });
    // What holds a cgroup is let go of by RCU and work items.
    await guest.run(
      `until grep -q '^nr_dying_descendants 0$' ${A}/cgroup.stat && [ $(cat ${A}/memory.current) -lt ${String(BESIDE)} ]; do sleep 0.1; done`,
    );
    expect(await guest.run(`cat ${DEBUGFS}/memcgs`)).toBe('');
    await guest.run(`rmdir ${A}`);
    await gpu.unload();
    expect(gpu.faultEvents()).toEqual([]);
  });
});

type Way = 'fork' | 'exec' | 'socket' | 'prime';

/** How it gets to a process of another cgroup, which is the first to touch it. A dma-buf goes over a socket, too. */
const ways = testedCases<Way>(['fork', 'exec', 'socket', 'prime'], (way) => way === 'fork' || way === 'prime');
const TRAVELS = 16 * MIB;
/** The receiver makes one of its own with the device file that it got. A dma-buf is none. */
const ownOf = (way: Way): number => (way === 'prime' ? 0 : TRAVELS / 2);

/** The pids of two processes, of cgroups `way/maker` and `way-receiver`. */
async function travel(guest: Guest, way: string, seed: number): Promise<{ maker: string; receiver: string }> {
  const log = `/run/travel-${way}.log`;
  const folders = [`${CGROUPS}/${way}`, `${CGROUPS}/${way}/maker`, `${CGROUPS}/${way}-receiver`];
  await guest.run(`mkdir ${folders[0] ?? ''} && echo +memory > ${folders[0] ?? ''}/cgroup.subtree_control`);
  await guest.run(`mkdir ${folders.slice(1).join(' ')}`);
  const program = `edgpu-stress travel --by ${way} --object-size ${String(TRAVELS)} --seed ${String(seed)} --joins 3`;
  const pids = await guest.run(
    // What the log of an earlier one says is not for this one: the shell goes on before the program has emptied it.
    `rm -f ${log}; sh -c 'echo 0 > ${CGROUPS}/${way}/maker/cgroup.procs && exec setsid ${program}' ` +
      `3> ${CGROUPS}/${way}-receiver/cgroup.procs < /dev/null > ${log} 2>&1 & p=$!; ` +
      `until grep -qs holding ${log}; do kill -0 $p 2> /dev/null || { cat ${log}; exit 1; }; sleep 0.1; done; ` +
      `echo $p $(sed -n 's/^holding //p' ${log})`,
  );
  const [maker = '', receiver = ''] = pids.trim().split(' ');
  return { maker, receiver };
}

/** To the nearest half of an object's size, to tell objects from what is charged beside them. */
async function chargedTo(guest: Guest, folder: string): Promise<number> {
  const half = TRAVELS / 2;
  return Math.round((await numberIn(guest, `${folder}/memory.current`)) / half) * half;
}

describe('an object that another process gets, of another cgroup', { concurrent: true }, () => {
  test.override({ machine: 'tight', dmaBits });

  test('its maker pays, and control: charged to the root, neither does', async ({ guest, gpu, seed }) => {
    await gpu.load({ backend: 'shmem' });
    await makeCgroups(guest, {});
    for (const way of ways) {
      const parent = `${CGROUPS}/${way}`;
      const theirs = `${CGROUPS}/${way}-receiver`;
      const { maker, receiver } = await travel(guest, way, seed);
      const verify = async (turn: number): Promise<string> =>
        guest.run(
          `kill -USR1 ${receiver}; until grep '^verified ${String(turn)} ' /run/travel-${way}.log; do sleep 0.1; done`,
        );
      const who = async (payer: string) => ({
        way,
        maker: await chargedTo(guest, payer),
        receiver: await chargedTo(guest, theirs),
      });
      const paid = { way, maker: TRAVELS, receiver: ownOf(way) };
      expect(await who(`${parent}/maker`)).toEqual(paid);

      // Neither that the receiver goes elsewhere, nor that the maker is no more, changes who pays.
      await guest.run(`echo ${receiver} > ${CGROUPS}/cgroup.procs; kill -KILL ${maker}`);
      await guest.run(`until [ -z "$(cat ${parent}/maker/cgroup.procs)" ]; do sleep 0.1; done`);
      expect(await who(`${parent}/maker`)).toEqual(paid);
      await guest.run(`rmdir ${parent}/maker`);
      expect(await who(parent)).toEqual(paid);
      // As much as there is, so this may end with EAGAIN.
      await guest.exec(`echo ${String(TRAVELS)} > ${parent}/memory.reclaim`);
      expect(await numberIn(guest, `${parent}/memory.swap.current`)).toBeGreaterThan(TRAVELS / 2);
      expect(await verify(1)).toContain('mismatches 0');
      expect(await who(parent)).toEqual(paid);

      await guest.run(`kill -TERM ${receiver}; while kill -0 ${receiver} 2> /dev/null; do sleep 0.1; done`);
      expect(await guest.run(`tail -n 1 /run/travel-${way}.log`)).toContain('"ok":true');
      await guest.run(
        `until grep -q '^nr_dying_descendants 0$' ${parent}/cgroup.stat && ! grep . ${DEBUGFS}/memcgs; do sleep 0.1; done`,
      );
      expect(await who(parent)).toEqual({ way, maker: 0, receiver: 0 });
      await guest.run(`rmdir ${parent} ${theirs}`);
    }

    await guest.run('echo 1 > /sys/module/edgpu/parameters/charge_root');
    for (const way of ways) {
      const { maker, receiver } = await travel(guest, way, seed);
      expect(await chargedTo(guest, `${CGROUPS}/${way}/maker`)).toBe(0);
      expect(await chargedTo(guest, `${CGROUPS}/${way}-receiver`)).toBe(0);
      await guest.run(`kill -TERM ${receiver}; while kill -0 ${maker} 2> /dev/null; do sleep 0.1; done`);
    }
    expect(gpu.faultEvents()).toEqual([]);
  });
});

/** What else the owner's cgroup has when its objects have to leave VRAM. */
const evictions = testedCases(
  [
    ['full: charged to others, and counted', 56 * MIB],
    ['control: with room, to its owner', 0],
  ] as const,
  () => false,
);

describe.for(evictions)('objects that others push out of VRAM while their cgroup is %s', ([, used]) => {
  test.override({ machine: 'tight', dmaBits, vramMiB: 64 });

  test('two cgroups', { concurrent: true }, async ({ guest, gpu, seed, record }) => {
    await gpu.load({ backend: 'shmem' });
    await makeCgroups(guest, { [A]: { 'memory.max': LIMIT, 'memory.swap.max': 0 }, [B]: {} });
    const vram = { system: 0, objectSize: OF_A, overcommitted: true };
    const a = await Sleeper.start(guest, { ...vram, vram: 12, seed, cgroup: A });
    if (used > 0) {
      // By nobody who would need another page of it later.
      await guest.run(inCgroup(A, `dd if=/dev/zero of=/run/fill bs=1M count=${String(used / MIB)}`));
      expect(await numberIn(guest, `${A}/memory.current`)).toBeGreaterThan(used);
    }
    const b = await Sleeper.start(guest, { ...vram, vram: 14, seed: seed + 1, cgroup: B });
    const { uncharged } = (await counted(guest, A)) ?? { uncharged: Number.NaN };
    record.metrics['uncharged'] = uncharged;
    if (used > 0) expect(uncharged).toBeGreaterThan(0);
    else expect(uncharged).toBe(0);
    expect((await counted(guest, B))?.uncharged).toBe(0);
    expect(await guest.run(`grep uncharged_pages ${DEBUGFS}/stats`)).toBe(`uncharged_pages: ${String(uncharged)}\n`);
    expect(await b.verify()).toBeUndefined();
    await guest.run('rm -f /run/fill');
    expect(await a.end()).toMatchObject({ ok: true, mismatches: 0 });
    expect(await b.end()).toMatchObject({ ok: true, mismatches: 0 });
    expect([await kills(guest, A), await kills(guest, B)]).toEqual([0, 0]);
    expect(gpu.faultEvents()).toEqual([]);
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
    await makeCgroups(guest, { [A]: { 'memory.min': min } });
    const hog = `edgpu-stress hog --bytes ${String(PROTECTED)} --seed 1 --use once`;
    await guest.exec(`(${inCgroup(A, hog)} > /dev/null 2>&1 &)`);
    await guest.run(`until [ $(cat ${A}/memory.current) -ge ${String(PROTECTED)} ]; do sleep 0.2; done`);
    const { report, witnesses } = await run('smoke', { bytes: MORE, 'object-size': 4 * MIB }, smokeReport);
    const swappedOut = await numberIn(guest, `${A}/memory.swap.current`);
    record.metrics['swapped'] = swappedOut;
    expect(report, report.firstError).toMatchObject({ ok: true, mismatches: 0 });
    expect(dmaComplaints(witnesses, 40)).toEqual([]);
    // Without it 6 MiB went to swap when this was measured.
    if (min === 0) expect(swappedOut).toBeGreaterThan(MIB);
    else expect(swappedOut).toBe(0);
  });
});

const RUNTIME_PM = '/sys/class/drm/renderD128/device/power';
/** Of 64 MiB of VRAM. What is left is less than A's objects are worth. */
const VRAM_OF_B = 16 * MIB;
const OBJECTS_OF_A = 14;

/** Bytes of VRAM, as the cgroup counts them; nothing without a region. */
async function vramCharged(guest: Guest, folder: string, file: 'current' | 'peak' = 'current'): Promise<number> {
  const found = / (\d+)\n$/.exec(await guest.run(`cat ${folder}/dmem.${file}`));
  return found ? Number(found[1]) : Number.NaN;
}

/** The same, as the driver's list has it, of objects of this size. */
async function vramListed(guest: Guest, size: number): Promise<number> {
  return Number(
    await guest.run(`awk '$1 == "vram" && $3 == ${String(size)} { n += $3 } END { print n + 0 }' ${DEBUGFS}/lru`),
  );
}

async function limitVram(guest: Guest, folder: string, file: 'max' | 'low' | 'min', bytes: number): Promise<void> {
  await guest.run(`echo "$(sed 's/ .*//' ${CGROUPS}/dmem.capacity) ${String(bytes)}" > ${folder}/dmem.${file}`);
}

const vramOnly = { system: 0, overcommitted: true } as const;
const ofA = { ...vramOnly, vram: OBJECTS_OF_A, objectSize: OF_A, cgroup: A };
/** It says where its objects are, so that none of them leaves VRAM unnoticed. */
const ofB = { system: 0, vram: VRAM_OF_B / OF_B, objectSize: OF_B, cgroup: B };

/** All of the VRAM that B has is where it was, and charged to B. */
async function expectUntouched(guest: Guest, b: Sleeper): Promise<void> {
  expect(await vramListed(guest, OF_B)).toBe(VRAM_OF_B);
  expect(await vramCharged(guest, B)).toBe(VRAM_OF_B);
  expect(await b.verify()).toBeUndefined();
}

const vramLimits = testedCases(
  [
    ['its own objects go to system memory, others lose nothing', true],
    ['control: nobody is charged, and others lose theirs', false],
  ] as const,
  () => false,
);

describe.for(vramLimits)('more objects in VRAM than dmem.max allows: %s', ([, dmem]) => {
  test.override({ machine: 'tight', dmaBits, vramMiB: 64 });

  test('two cgroups', { concurrent: true }, async ({ guest, gpu, seed, record }) => {
    await gpu.load({ backend: 'shmem', dmem });
    await makeCgroups(guest, { [A]: {}, [B]: {} });
    if (dmem) await limitVram(guest, A, 'max', VRAM_OF_B);
    else expect(await guest.run(`cat ${CGROUPS}/dmem.capacity`)).toBe('');
    const b = await Sleeper.start(guest, { ...ofB, overcommitted: !dmem, seed });
    const a = await Sleeper.start(guest, { ...ofA, seed: seed + 1 });
    record.metrics['lostByOthers'] = VRAM_OF_B - (await vramListed(guest, OF_B));
    if (dmem) {
      expect([await vramCharged(guest, A), await vramListed(guest, OF_A)]).toEqual([VRAM_OF_B, VRAM_OF_B]);
      expect(record.metrics['lostByOthers']).toBe(0);
      await expectUntouched(guest, b);
      // By jobs they come in from system memory, and stay there if they may not.
      expect(await a.verify()).toBeUndefined();
      expect(await vramCharged(guest, A)).toBe(VRAM_OF_B);
      expect(await vramCharged(guest, A, 'peak')).toBe(VRAM_OF_B);
      await expectUntouched(guest, b);
    } else {
      expect(record.metrics['lostByOthers']).toBeGreaterThan(0);
      expect(await vramListed(guest, OF_A)).toBeGreaterThan(VRAM_OF_B);
    }
    expect(await a.end()).toMatchObject({ ok: true, mismatches: 0 });
    expect(await b.end()).toMatchObject({ ok: true, mismatches: 0 });
    if (dmem) expect([await vramCharged(guest, A), await vramCharged(guest, B)]).toEqual([0, 0]);
    expect(gpu.faultEvents()).toEqual([]);
  });
});

describe('dmem.max is written that is less than what is used: of a cgroup, of its parent, of a device that sleeps', () => {
  test.override({ machine: 'tight', dmaBits, vramMiB: 64 });

  test('objects leave VRAM until it is reached', { concurrent: true }, async ({ guest, gpu, seed }) => {
    const child = `${A}/child`;
    await gpu.load({ backend: 'shmem' });
    await makeCgroups(guest, { [A]: {}, [B]: {} });
    await guest.run(`echo +memory +dmem > ${A}/cgroup.subtree_control && mkdir ${child}`);
    const b = await Sleeper.start(guest, { ...ofB, seed });
    const a = await Sleeper.start(guest, { ...ofA, vram: 8, cgroup: child, seed: seed + 1 });
    expect([await vramCharged(guest, A), await vramListed(guest, OF_A)]).toEqual([8 * OF_A, 8 * OF_A]);

    // What is written is reached when write(2) returns.
    for (const [folder, objects] of [
      [child, 6],
      [A, 4],
    ] as const) {
      // Less than a whole object more.
      await limitVram(guest, folder, 'max', objects * OF_A + PAGE);
      const left = [await vramCharged(guest, A), await vramListed(guest, OF_A)];
      expect(left).toEqual([objects * OF_A, objects * OF_A]);
      await expectUntouched(guest, b);
      expect(await a.verify()).toBeUndefined();
      expect(await vramCharged(guest, A)).toBe(objects * OF_A);
    }

    await guest.run(`echo 100 > ${RUNTIME_PM}/autosuspend_delay_ms && echo auto > ${RUNTIME_PM}/control`);
    await guest.run(`until grep -qx suspended ${RUNTIME_PM}/runtime_status; do sleep 0.1; done`);
    await limitVram(guest, A, 'max', OF_A);
    expect([await vramCharged(guest, A), await vramListed(guest, OF_A)]).toEqual([OF_A, OF_A]);
    await guest.run(`echo on > ${RUNTIME_PM}/control`);
    await expectUntouched(guest, b);
    await limitVram(guest, A, 'max', 0);
    expect([await vramCharged(guest, A), await vramListed(guest, OF_A)]).toEqual([0, 0]);
    expect(await a.end()).toMatchObject({ ok: true, mismatches: 0 });
    expect(await b.end()).toMatchObject({ ok: true, mismatches: 0 });
    expect(gpu.faultEvents()).toEqual([]);
  });
});

/** Whose objects leave VRAM when it is full, for cgroups at the top of the tree, and for those of one parent. */
const families = testedCases(['of the root', 'of a parent'] as const, () => false);

describe.for(families)(
  'VRAM that a cgroup is entitled to, next to one that fills it; both are children %s',
  (family) => {
    test.override({ machine: 'tight', dmaBits, vramMiB: 64 });

    test(
      'dmem.min and dmem.low keep it; control: without, it is lost',
      { concurrent: true },
      async ({ guest, gpu, seed, record }) => {
        const parent = family === 'of the root' ? CGROUPS : `${CGROUPS}/parent`;
        const [folderOfA, folderOfB] = [`${parent}/a`, `${parent}/b`];
        await gpu.load({ backend: 'shmem' });
        await makeCgroups(guest, {});
        if (parent !== CGROUPS)
          await guest.run(`mkdir ${parent} && echo +memory +dmem > ${parent}/cgroup.subtree_control`);
        await guest.run(`mkdir ${folderOfA} ${folderOfB}`);
        if (parent !== CGROUPS)
          for (const file of ['min', 'low'] as const) await limitVram(guest, parent, file, 64 * MIB);
        const lost: Record<string, number> = {};
        for (const file of ['min', 'low', 'neither'] as const) {
          if (file !== 'neither') await limitVram(guest, folderOfB, file, VRAM_OF_B);
          const b = await Sleeper.start(guest, { ...ofB, overcommitted: true, cgroup: folderOfB, seed });
          const a = await Sleeper.start(guest, { ...ofA, cgroup: folderOfA, seed: seed + 1 });
          lost[file] = VRAM_OF_B - (await vramListed(guest, OF_B));
          expect(await vramCharged(guest, folderOfB)).toBe(VRAM_OF_B - lost[file]);
          expect(await a.end()).toMatchObject({ ok: true, mismatches: 0 });
          expect(await b.end()).toMatchObject({ ok: true, mismatches: 0 });
          if (file !== 'neither') await limitVram(guest, folderOfB, file, 0);
        }
        Object.assign(record.metrics, lost);
        expect(lost).toMatchObject({ min: 0, low: 0 });
        expect(lost['neither']).toBeGreaterThan(0);
        expect(gpu.faultEvents()).toEqual([]);
      },
    );
  },
);
