/** Saved in the middle of queued work and loaded elsewhere, the device ends where it would have ended at home. */
import { readFile, writeFile } from 'node:fs/promises';
import { expect } from 'vitest';
import { encodeScatterList, FAULT, FLAG, OP, pattern } from '../../src/device/edgpu-command.ts';
import { DATA, test, type EdgpuMachine } from '../../src/device/edgpu-machine.ts';
import { load, save, tryToLoad } from './streams.ts';

const MIB = 1 << 20;
const LIST = DATA;
const SOURCE = DATA + BigInt(8 * MIB);
const TARGET = DATA + BigInt(32 * MIB);
const LENGTH = 4 * MIB + 77;

/** Work of every kind on two engines, long enough to be caught anywhere in it. */
async function queueWork(machine: EdgpuMachine): Promise<void> {
  const bytes = pattern(LENGTH);
  const cut = [1_000_003, 77, LENGTH - 1_000_080];
  const entries = cut.map((len, i) => ({
    addr: SOURCE + BigInt(cut.slice(0, i).reduce((a, b) => a + b, 0)),
    len: BigInt(len),
  }));
  await machine.qtest.writeBytes(SOURCE, bytes);
  await machine.qtest.writeBytes(LIST, encodeScatterList(entries));
  await machine.setUpRing(0);
  await machine.setUpRing(1, 8);
  const len = BigInt(LENGTH);
  await machine.submit(0, [
    { opcode: OP.copy, flags: FLAG.srcSg | FLAG.dstVram, src: LIST, srcEntries: 3, dst: 0n, len },
    { opcode: OP.copy, flags: FLAG.srcVram | FLAG.dstVram, src: 0n, dst: 1234n, len },
    { opcode: OP.checksum, flags: FLAG.srcVram, src: 1234n, dst: TARGET, len, value: 9n },
    { opcode: OP.fence, flags: FLAG.writeback, dst: TARGET + 8n, value: 42n },
  ]);
  await machine.submit(1, [
    { opcode: OP.fill, dst: TARGET + BigInt(MIB), len: BigInt(8 * MIB), value: 0x1122_3344_5566_7788n },
    { opcode: OP.copy, flags: FLAG.srcVram, src: 0n, dst: 1n << 45n, len: 8n },
  ]);
}

async function outcome(machine: EdgpuMachine): Promise<unknown> {
  return {
    fences: [await machine.readEngine(0, 'FENCE', 8), await machine.readEngine(1, 'FENCE', 8)],
    heads: [await machine.readEngine(0, 'HEAD'), await machine.readEngine(1, 'HEAD')],
    fault: await machine.fault(1),
    results: await machine.qtest.readBytes(TARGET, 16),
    vram: Buffer.from(await machine.readVram(0, LENGTH + 1234)).toString('latin1'),
    filled: await machine.qtest.read(TARGET + BigInt(9 * MIB - 8), 8),
    generation: await machine.readRegister('VRAM_GENERATION'),
    dmaBits: await machine.get('dma-bits'),
    statistics: await machine.monitor.statistics(),
  };
}

async function startWithWork(startMachine: () => Promise<EdgpuMachine>): Promise<EdgpuMachine> {
  const machine = await startMachine();
  await machine.set('dma-bits', 45);
  await queueWork(machine);
  return machine;
}

test.for([0, 1, 3, 6, 9, 12])('saved after %i slices', async (slices, { startMachine, spawnMachine, folder }) => {
  const undisturbed = await startWithWork(startMachine);
  await undisturbed.drain();
  const expected = await outcome(undisturbed);
  expect(expected).toMatchObject({ fences: [42n, 0n], fault: { kind: FAULT.dmaLimit }, dmaBits: 45 });

  const source = await startWithWork(startMachine);
  for (let i = 0; i < slices; i++) await source.qtest.stepClock();
  await save(source, `${folder}/state`);
  const target = await spawnMachine({ extra: ['-incoming', 'defer'] });
  await load(target, `${folder}/state`);
  await target.drain();
  expect(await outcome(target)).toEqual(expected);
});

test.for([3, 9, 30])(
  'throttled and with failures to come, saved after %i steps',
  async (steps, { startMachine, spawnMachine, folder }) => {
    const start = async (): Promise<EdgpuMachine> => {
      const machine = await startWithWork(startMachine);
      await machine.set('bandwidth', 1 << 30);
      await machine.set('latency-ns', 12_345);
      await machine.monitor.inject(
        { kind: 'delay', engine: 0, at: 1, ns: 777_777 },
        { kind: 'flip', engine: 0, at: 4, offset: 9, bit: 2 },
        { kind: 'error', engine: 1, at: 2 },
      );
      return machine;
    };
    const end = async (machine: EdgpuMachine): Promise<unknown> => {
      await machine.drain();
      const { data } = machine.qmp.seen('EDGPU_FAULT').at(-1) ?? {};
      return {
        ...((await outcome(machine)) as object),
        pending: await machine.monitor.pendingFailures(),
        kind: data?.['kind'],
      };
    };
    const undisturbed = await start();
    const expected = await end(undisturbed);
    expect(expected).toMatchObject({ fences: [42n, 0n], pending: [], kind: 'hardware' });

    const source = await start();
    for (let i = 0; i < steps; i++) await source.qtest.stepClock();
    await save(source, `${folder}/state`);
    const target = await spawnMachine({ extra: ['-incoming', 'defer'] });
    await load(target, `${folder}/state`);
    expect(await end(target)).toEqual(expected);
    expect([await target.get('bandwidth'), await target.get('latency-ns')]).toEqual([1 << 30, 12_345]);
    // Both clocks end at the same moment: no wait was lost or served twice.
    expect(await now(target)).toBe(await now(undisturbed));
  },
);

/** The virtual clock goes with the machine; the target's client learns it with its next step. */
async function now(machine: EdgpuMachine): Promise<number> {
  await machine.qtest.stepClock(1);
  return machine.qtest.clock;
}

test.for([
  ['hang', (machine: EdgpuMachine) => machine.isBusy(0), true],
  ['dead', async (machine: EdgpuMachine) => machine.readRegister('ID'), 0xffff_ffffn],
] as const)('%s lasts through a migration', async ([what, look, expected], { startMachine, spawnMachine, folder }) => {
  const source = await startWithWork(startMachine);
  await source.monitor.inject({ kind: what });
  await source.qtest.stepClock(1_000_000);
  await save(source, `${folder}/state`);
  const target = await spawnMachine({ extra: ['-incoming', 'defer'] });
  await load(target, `${folder}/state`);
  await target.qtest.stepClock(1_000_000_000);
  expect(await look(target)).toBe(expected);
});

test.for([
  ['a plain fence', { opcode: OP.fence, value: 7n }],
  ['a nop', { opcode: OP.nop }],
] as const)('%s that waits to retire goes on', async ([, command], { startMachine, spawnMachine, folder }) => {
  const source = await startMachine();
  await source.set('latency-ns', 1_000_000);
  await source.setUpRing(0);
  await source.submit(0, [command]);
  await source.qtest.stepClock(2_000);
  await save(source, `${folder}/state`);
  const target = await spawnMachine({ extra: ['-incoming', 'defer'] });
  await load(target, `${folder}/state`);
  await target.drain();
  expect(await target.readEngine(0, 'HEAD')).toBe(1n);
});

test('a device that died of one of two failures at once can still be loaded', async ({
  startMachine,
  spawnMachine,
  folder,
}) => {
  const source = await startMachine();
  await source.setUpRing(0);
  await source.monitor.inject({ kind: 'dead', engine: 0 }, { kind: 'hang', engine: 0 });
  await source.submit(0, [{ opcode: OP.nop }]);
  await source.qtest.stepClock(10_000);
  await save(source, `${folder}/state`);
  const target = await spawnMachine({ extra: ['-incoming', 'defer'] });
  await load(target, `${folder}/state`);
  expect(await target.readRegister('ID')).toBe(0xffff_ffffn);
});

/** Bytes of an engine's state from RING_BASE on: what is before the source's span of a command, and within it. */
const BEFORE_SOURCE = 8 + 4 + 4 + 4 + 8 + 4 + 8 + 4 + 4 + (1 + 1) + (4 + 4 + 8 + 8 + 8 + 4 + 4 + 8);
const NEXT_IN_SPAN = 1 + 4;

test('a stream in which an idle engine has a place in a scatter list is refused', async ({
  startMachine,
  spawnMachine,
  folder,
}) => {
  const source = await startMachine();
  const marker = 0x1122_3344_5566_7780n;
  await source.writeEngine(0, 'RING_BASE', marker, 8);
  await save(source, `${folder}/state`);
  const stream = await readFile(`${folder}/state`);
  const wanted = Buffer.alloc(8);
  wanted.writeBigUInt64BE(marker);
  const at = stream.indexOf(wanted);
  expect(at).toBeGreaterThan(0);
  stream.writeUInt32BE(0x7fff_0000, at + BEFORE_SOURCE + NEXT_IN_SPAN);
  await writeFile(`${folder}/state`, stream);
  const target = await spawnMachine({ extra: ['-incoming', 'defer'] });
  expect(await tryToLoad(target, `${folder}/state`)).toBe('failed');
});

test('clones of a template go on with its work', async ({ spawnMachine, folder }) => {
  const undisturbed = await spawnMachine({});
  await undisturbed.placeBars();
  await undisturbed.set('dma-bits', 45);
  await queueWork(undisturbed);
  await undisturbed.drain();
  const expected = await outcome(undisturbed);

  const template = await spawnMachine({});
  await template.placeBars();
  await template.set('dma-bits', 45);
  await queueWork(template);
  for (let i = 0; i < 5; i++) await template.qtest.stepClock();
  await placePages(template);
  await save(template, `${folder}/state`);
  await template.end();
  for (let clones = 0; clones < 2; clones++) {
    const clone = await spawnMachine({ extra: ['-incoming', 'defer'] });
    await placePages(clone);
    await load(clone, `${folder}/state`);
    await clone.drain();
    expect(await outcome(clone)).toEqual(expected);
  }
});

/** As templates are saved: each page of RAM and of VRAM has its own place in the file. */
async function placePages(machine: EdgpuMachine): Promise<void> {
  const capabilities = [{ capability: 'mapped-ram', state: true }];
  await machine.execute('migrate-set-capabilities', { capabilities });
}

test('a different device refuses the state', async ({ startMachine, spawnMachine, folder }) => {
  const source = await startMachine();
  await save(source, `${folder}/state`);
  const target = await spawnMachine({
    device: 'engines=3,vram-size=16M,aperture-size=8M',
    extra: ['-incoming', 'defer'],
  });
  expect(await tryToLoad(target, `${folder}/state`)).toBe('failed');
});

test('loading a snapshot brings VRAM and generation back, and scrambles neither', async ({ startMachine, folder }) => {
  const machine = await startMachine();
  await makeSnapshotDisk(machine, `${folder}/disk.qcow2`);
  await machine.writeVram(0, pattern(4096));
  await machine.writeRegister('SCRATCH', 7n);
  const snapshot = { tag: 'one', vmstate: 'disk', devices: ['disk'] };
  await runJob(machine, 'snapshot-save', snapshot);
  await machine.writeVram(0, pattern(4096, 2));
  await machine.writeRegister('SCRATCH', 8n);
  await machine.execute('system_reset');
  await machine.waitForEvent('RESET');
  await machine.execute('stop');
  await runJob(machine, 'snapshot-load', snapshot);
  await machine.execute('cont');
  expect(await machine.readRegister('SCRATCH')).toBe(7n);
  expect(await machine.readRegister('VRAM_GENERATION')).toBe(1n);
  expect(Buffer.compare(await machine.readVram(0, 4096), pattern(4096))).toBe(0);
});

async function makeSnapshotDisk(machine: EdgpuMachine, file: string): Promise<void> {
  await runJob(machine, 'blockdev-create', { options: { driver: 'file', filename: file, size: 0 } });
  await machine.execute('blockdev-add', { driver: 'file', filename: file, 'node-name': 'file' });
  await runJob(machine, 'blockdev-create', { options: { driver: 'qcow2', file: 'file', size: 1 << 20 } });
  await machine.execute('blockdev-add', { driver: 'qcow2', file: 'file', 'node-name': 'disk' });
}

let jobs = 0;

async function runJob(machine: EdgpuMachine, command: string, args: Record<string, unknown>): Promise<void> {
  const id = `job${++jobs}`;
  await machine.execute(command, { 'job-id': id, ...args });
  await machine.waitForEvent('JOB_STATUS_CHANGE', (data) => data['id'] === id && data['status'] === 'concluded');
  const [job] = (await machine.execute('query-jobs')) as { error?: string }[];
  expect(job?.error).toBeUndefined();
  await machine.execute('job-dismiss', { id });
}
