/**
 * The driver against callers and a device that mean it no good: hostile ioctls, faults, a device that stops answering,
 * is reset or taken away while it is in use. That the kernel reports nothing is checked after every test, as always.
 */
import { describe, expect, inject } from 'vitest';
import { z } from 'zod';
import { contentComplaints } from '../testbed/witnesses/dma-witnesses.ts';
import { test } from '../testbed/fixtures.ts';
import { DRIVER_FOLDER, Gpu } from '../testbed/device/gpu.ts';
import { driverStat } from '../testbed/sleep/sleep-suite.ts';
import type { Guest } from '../testbed/guest/guest.ts';
import { BACKENDS, type Backend } from '../config/combination.ts';
import { programReport, runProgram, smokeReport, type ProgramReport } from '../testbed/programs/stress-program.ts';

const DMA_BITS = 40;
const MIB = 2 ** 20;
/** Six objects, in machines that have much more. */
const BYTES = 24 * MIB;
/** Of the programs; each takes seconds, minutes on a host with other work to do. */
const DEADLINE_MS = 300_000;
const PIN_LIMIT = 2 * MIB;
/** Of the program `share`. */
const SHARED_OBJECT = MIB / 4;

/** Of the content that programs write. */
const { seed: SEED } = inject('rig').selection;

const PCI_DEVICE = '/sys/class/drm/renderD128/device';
const RENDER_NODE = '/dev/dri/renderD128';

const fuzzReport = programReport.extend({ calls: z.number(), accepted: z.number() });

/** One of the programs that end with a verdict of their own. */
function program(
  guest: Guest,
  name: string,
  options: Readonly<Record<string, string | number>> = {},
): Promise<ProgramReport> {
  return runProgram(guest, {
    name,
    options: { seed: SEED, ...options },
    report: programReport,
    deadlineMs: DEADLINE_MS,
  });
}

async function expectJob(guest: Guest, result: 'ok' | 'eio'): Promise<void> {
  const report = await program(guest, 'job', { expect: result });
  expect(report.ok, report.firstError).toBe(true);
}

/** Whatever they come from, pages that objects hold are those that the kernel counts as the GPU's. */
async function expectCounted(guest: Guest, backend: Backend): Promise<void> {
  const objects = `edgpu-stress objects --count 16 --object-size ${String(BYTES / 16)} --seed 1 --hold yes`;
  await guest.runInBackground(objects, { until: 'holding' });
  await guest.run('echo 1 > /proc/sys/vm/stat_refresh');
  const counted = (await guest.vmstat()).get('nr_gpu_active');
  expect(counted, backend).toBe(await driverStat(guest, 'pinned_pages'));
  expect(counted, backend).toBeGreaterThanOrEqual(BYTES / 4096);
  await guest.killAll('objects');
  await guest.run('echo 1 > /proc/sys/vm/stat_refresh');
  expect((await guest.vmstat()).get('nr_gpu_active'), backend).toBe(0);
}

/** Memory and I/O decoding, and bus mastering: without them a device is as good as dead. */
async function setDecoding(guest: Guest, address: string, on: boolean): Promise<void> {
  const command = on ? String.raw`\006\004` : String.raw`\000\004`;
  await guest.run(
    `printf '${command}' | dd of=/sys/bus/pci/devices/${address}/config bs=1 seek=4 conv=notrunc 2>/dev/null`,
  );
}

/** Uses the device in every way until `end` ends that, and then looks what is left. */
async function whileInUse(guest: Guest, error: 'enodev' | 'eio', end: () => Promise<unknown>): Promise<void> {
  await guest.run(
    `edgpu-stress hold --expect ${error} --seed ${String(SEED)} > /tmp/hold.json 2> /tmp/hold.log & echo $! > /tmp/hold.pid; ` +
      'until grep -q holding /tmp/hold.log; do kill -0 $! || exit 1; sleep 0.2; done',
  );
  await end();
  const said = await guest.run('while [ -d /proc/$(cat /tmp/hold.pid) ]; do sleep 0.2; done; cat /tmp/hold.json', {
    deadlineMs: DEADLINE_MS,
  });
  const report = programReport.parse(JSON.parse(said.trim()));
  expect(report.ok, report.firstError).toBe(true);
}

/** What a program's fdinfo says of its memory, in KiB: Documentation/gpu/drm-usage-stats.rst. */
async function memoryUsage(guest: Guest, name: string): Promise<Record<string, number>> {
  const said = await guest.run(`cat /proc/$(pidof ${name})/fdinfo/*`);
  const lines = [...said.matchAll(/^drm-(\w+)-memory:\t(\d+)(?: (KiB|MiB))?$/gm)];
  return Object.fromEntries(
    lines.map(([, key = '', value, unit]) => [key, Number(value) * ({ KiB: 1, MiB: 1024 }[unit ?? ''] ?? 1 / 1024)]),
  );
}

test.override({ stateless: true });

describe('driver', { concurrent: true }, () => {
  test.override({ dmaBits: DMA_BITS });

  test('does what it is told, and refuses all else, whatever the backend', async ({ guest, gpu, seed }) => {
    for (const backend of BACKENDS) {
      await gpu.load({ backend });
      const uapi = await program(guest, 'uapi');
      expect(uapi, `${backend}: ${String(uapi.firstError)}`).toMatchObject({ ok: true, mismatches: 0 });
      const own = await program(guest, 'private', { seed });
      expect(own.ok, `${backend}: ${String(own.firstError)}`).toBe(true);
      await expectCounted(guest, backend);
      await gpu.unload();
    }
  });

  test('survives hostile callers, who reach nothing that is not theirs', async ({
    guest,
    gpu,
    backend,
    seed,
    record,
  }) => {
    await gpu.load({ backend });
    const options = { seconds: 15, seed, processes: 6 };
    const report = await runProgram(guest, { name: 'fuzz', options, report: fuzzReport, deadlineMs: DEADLINE_MS });
    expect(report.ok, report.firstError).toBe(true);
    // Hostile, but not so dull that nothing gets through.
    expect(report.accepted).toBeGreaterThan(report.calls / 20);
    Object.assign(record.metrics, { calls: report.calls, accepted: report.accepted });
    expect(await guest.run('cat /sys/kernel/debug/dri/128/stats')).toContain('pinned_pages: 0\n');
    await gpu.unload();
  });

  test('usage statistics say what a client has; they are read while objects move and clients die', async ({
    guest,
    gpu,
    backend,
    seed,
  }) => {
    await gpu.load({ backend });
    const reader = 'cat /proc/[0-9]*/fdinfo/* 2> /dev/null | grep -c ^drm-total-memory';
    await guest.runInBackground(`sh -c 'echo reading; while :; do ${reader}; sleep 0.1; done'`, { until: 'reading' });
    await guest.runInBackground(
      `edgpu-stress objects --count 16 --object-size 4194304 --seed ${String(seed)} --hold yes`,
      {
        until: 'holding',
      },
    );
    // And a page for results.
    const total = 16 * 4096 + 4;
    expect(await memoryUsage(guest, 'objects')).toMatchObject({ total, shared: 0, resident: total });
    await guest.run('echo 1 > /sys/kernel/debug/dri/128/evict');
    expect(await memoryUsage(guest, 'objects')).toEqual({ total, shared: 0 });
    const report = await program(guest, 'fuzz', { seconds: 3, processes: 6 });
    expect(report.ok, report.firstError).toBe(true);
    // The reader has seen the clients of the fuzzer come and go.
    const seen = (await guest.read('/run/background-1.log')).split('\n').map(Number);
    expect(Math.max(...seen.filter(Number.isFinite))).toBeGreaterThan(3);
    await guest.killAll('objects');
  });

  test('a fault costs the jobs on the engine, and nothing else', async ({ guest, gpu, backend }) => {
    await gpu.load({ backend });
    await expectJob(guest, 'ok');
    await gpu.setDmaBits(12);
    await expectJob(guest, 'eio');
    await gpu.setDmaBits(DMA_BITS);
    await expectJob(guest, 'ok');
    await gpu.inject({ kind: 'error' });
    await expectJob(guest, 'eio');
    await expectJob(guest, 'ok');
    // The interrupt that should tell of the first fault is out of reach as well: the driver looks by itself.
    const told = gpu
      .faultEvents()
      .map(({ engine, kind }) => ({ kind, of: engine === undefined ? 'message' : 'engine' }));
    expect(told).toEqual([
      { kind: 'dma-limit', of: 'engine' },
      { kind: 'dma-limit', of: 'message' },
      { kind: 'hardware', of: 'engine' },
    ]);
  });

  test('an engine that hangs is reset; one that is late, or whose interrupt is lost, is not', async ({
    guest,
    gpu,
    backend,
  }) => {
    await gpu.load({ backend });
    await gpu.inject({ kind: 'drop-irq', vector: 1 });
    await expectJob(guest, 'ok');
    expect(await driverStat(guest, 'engine0_late')).toBeGreaterThan(0);
    await gpu.inject({ kind: 'delay', ns: 2e9 });
    await expectJob(guest, 'ok');
    expect(await driverStat(guest, 'engine0_timeouts')).toBe(0);
    await gpu.inject({ kind: 'hang' });
    await expectJob(guest, 'eio');
    expect(await driverStat(guest, 'engine0_timeouts')).toBe(1);
    await expectJob(guest, 'ok');
    expect(await gpu.pendingFailures()).toEqual([]);
  });

  test('a device that dies is given up, and replaced', async ({ guest, gpu, backend }) => {
    await gpu.load({ backend });
    const address = await gpu.pciAddress();
    await whileInUse(guest, 'eio', () => gpu.inject({ kind: 'dead' }));
    await guest.run(`echo 1 > /sys/bus/pci/devices/${address}/remove`);
    await gpu.clearFailures();
    await guest.run(`echo 1 > /sys/bus/pci/rescan && test -c ${RENDER_NODE}`);
    await expectJob(guest, 'ok');
  });

  test('a reset keeps what was in VRAM', async ({ guest, gpu, backend }) => {
    await gpu.load({ backend });
    const report = await program(guest, 'reset');
    expect(report.ok, report.firstError).toBe(true);
    await expectJob(guest, 'ok');
  });

  test('the driver is unbound and the device removed while in use', async ({ guest, gpu, backend }) => {
    await gpu.load({ backend });
    const address = await gpu.pciAddress();
    await whileInUse(guest, 'enodev', () => guest.run(`echo ${address} > ${DRIVER_FOLDER}/unbind`));
    await guest.run(`echo ${address} > ${DRIVER_FOLDER}/bind && test -c ${RENDER_NODE}`);
    await expectJob(guest, 'ok');
    await whileInUse(guest, 'enodev', () => guest.run(`echo 1 > /sys/bus/pci/devices/${address}/remove`));
    await guest.run(`echo 1 > /sys/bus/pci/rescan && test -c ${RENDER_NODE}`);
    await expectJob(guest, 'ok');
    await gpu.unload();
  });

  test('objects are shared by PRIME, both ways', async ({ guest, gpu, backend }) => {
    await gpu.load({ backend });
    const report = await program(guest, 'share');
    expect(report.ok, report.firstError).toBe(true);
  });
});

describe('driver', { concurrent: true }, () => {
  test.override({ dmaBits: DMA_BITS, provokes: [/\[drm\] reset: objects in VRAM lose their content: -5$/] });

  test('a device that does not answer for a while is given up, and comes back by a reset', async ({
    guest,
    gpu,
    backend,
  }) => {
    await gpu.load({ backend });
    const address = await gpu.pciAddress();
    await whileInUse(guest, 'eio', () => setDecoding(guest, address, false));
    await setDecoding(guest, address, true);
    await guest.run(`echo 1 > ${PCI_DEVICE}/reset`);
    await expectJob(guest, 'ok');
  });
});

describe('no swap', { concurrent: true }, () => {
  test.override({ machine: 'noswap', dmaBits: DMA_BITS, backend: 'backup' });

  test.for(['cached', 'wc', 'uc'])(
    '%s objects that TTM refuses to back up stay as they are',
    async (caching, { gpu, run }) => {
      await gpu.load({ backend: 'backup' });
      const { report } = await run('smoke', { bytes: BYTES, 'object-size': BYTES / 6, caching }, smokeReport);
      expect(contentComplaints(report, BYTES), report.firstError).toEqual([]);
      await gpu.unload();
    },
  );
});

describe('two devices', { concurrent: true }, () => {
  test.override({ machine: 'pair', dmaBits: DMA_BITS });

  test('share an object by PRIME: the second reads and writes what the first one has', async ({
    vm,
    guest,
    gpu,
    backend,
  }) => {
    await gpu.load({ backend });
    const second = new Gpu(vm, guest, 1);
    const report = await program(guest, 'share', { second: 'yes' });
    expect(report.ok, report.firstError).toBe(true);
    for (const device of [gpu, second]) {
      const { faults, 'dma-read-bytes': read, 'dma-write-bytes': written } = await device.statistics();
      expect(faults).toBe(0);
      expect(Math.min(read, written)).toBeGreaterThan(0);
    }
  });

  test('pin no more of each other than the limit; control: twice the limit lets more through', async ({
    guest,
    gpu,
    backend,
  }) => {
    await gpu.load({ backend, pinLimitMiB: PIN_LIMIT / MIB });
    const pins = PIN_LIMIT / SHARED_OBJECT;
    const report = await program(guest, 'share', { pins });
    expect(report, report.firstError).toMatchObject({ ok: true, mismatches: 0 });
    await gpu.unload();
    await gpu.load({ backend, pinLimitMiB: (2 * PIN_LIMIT) / MIB });
    const control = await program(guest, 'share', { pins });
    expect(control.firstError).toBe(`more than ${String(pins)} objects are pinned`);
  });
});
