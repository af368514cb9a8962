/** A state file that somebody has changed: it is refused or loaded, and QEMU lives and answers. */
import { readFile, writeFile } from 'node:fs/promises';
import fc from 'fast-check';
import { expect } from 'vitest';
import { encodeScatterList, FLAG, OP } from '../../src/device/edgpu-command.ts';
import { DATA, ringBase, test, type EdgpuMachine } from '../../src/device/edgpu-machine.ts';
import { propertyRuns, propertyTimeoutMs, tellVolume } from './property-runs.ts';
import { save, tryToLoad } from './streams.ts';

const INCOMING = { extra: ['-incoming', 'defer'] };
/** Values that stand nowhere else in the state. */
const BANDWIDTH = 0x0011_2233_4455_6677;
/** From the bandwidth on: it, the latency, and the failures that are pending. */
const COUNT_OF_FAILURES = 16;
const KIND_OF_FIRST = 20;
/** Of an engine's state, from its RING_BASE on, at least. */
const ENGINE_STATE = 200;

function bigEndian(value: number | bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(value));
  return bytes;
}

interface Saved {
  readonly stream: Buffer;
  /** Where the bandwidth is in it. */
  readonly start: number;
  /** Where the state of the second engine ends. */
  readonly end: number;
}

/** In the middle of a scattered copy, with another command and a failure to come. */
async function saveBusyMachine(machine: EdgpuMachine, file: string): Promise<Saved> {
  const list = Array.from({ length: 8 }, (_, i) => ({ addr: DATA + BigInt((i + 1) << 20), len: 1n << 20n }));
  await machine.qtest.writeBytes(DATA, encodeScatterList(list));
  for (const engine of [0, 1]) await machine.setUpRing(engine);
  const flags = FLAG.srcSg | FLAG.dstVram;
  const copy = { opcode: OP.copy, flags, src: DATA, srcEntries: list.length, dst: 0n, len: 8n << 20n };
  await machine.submit(0, [copy, { opcode: OP.checksum, src: DATA, dst: DATA, len: 77n }]);
  await machine.submit(1, [copy]);
  for (let i = 0; i < 4; i++) await machine.qtest.stepClock();
  await machine.set('bandwidth', BANDWIDTH);
  await machine.monitor.inject({ kind: 'delay', engine: 1, at: 7, ns: 5 });
  await save(machine, file);
  const stream = await readFile(file);
  const start = stream.indexOf(bigEndian(BANDWIDTH));
  const end = stream.indexOf(bigEndian(ringBase(1)), start) + ENGINE_STATE;
  expect(start).toBeGreaterThan(0);
  expect(end).toBeGreaterThan(start + ENGINE_STATE);
  return { stream, start, end };
}

async function askDevice({ monitor }: EdgpuMachine): Promise<void> {
  await monitor.pendingFailures();
  await monitor.statistics();
}

/** What came of it is unchecked, so the device answers nothing. */
async function expectNotLoaded({ monitor }: EdgpuMachine): Promise<void> {
  const refusal = "The state of '/machine/peripheral/gpu0' has not been loaded";
  await expect(monitor.pendingFailures()).rejects.toThrow(refusal);
  await expect(monitor.inject({ kind: 'hang' })).rejects.toThrow(refusal);
}

test(
  'random changes to the state are refused, or do no harm',
  { timeout: propertyTimeoutMs() },
  async ({ startMachine, spawnMachine, folder }) => {
    const { stream, start, end } = await saveBusyMachine(await startMachine(), `${folder}/state`);
    const { numRuns, ...parameters } = propertyRuns(8);
    const change = fc.record({ at: fc.integer({ min: start, max: end - 1 }), byte: fc.nat(255) });
    const ends = { completed: 0, failed: 0 };
    const property = fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 3 }), async (changes) => {
      const changed = Buffer.from(stream);
      for (const { at, byte } of changes) changed.writeUInt8(byte, at);
      await writeFile(`${folder}/changed`, changed);
      const target = await spawnMachine(INCOMING);
      const loaded = await tryToLoad(target, `${folder}/changed`);
      ends[loaded]++;
      if (loaded === 'completed') await target.execute('cont');
      for (let i = 0; i < 20; i++) await target.qtest.stepClock(100_000);
      await (loaded === 'completed' ? askDevice(target) : expectNotLoaded(target));
      await target.end();
    });
    await fc.assert(property, { numRuns, ...parameters });
    tellVolume({ streams: numRuns, 'that were loaded': ends.completed, 'that were refused': ends.failed });
  },
);

test('the state as it was saved is loaded, and goes on', async ({ startMachine, spawnMachine, folder }) => {
  await saveBusyMachine(await startMachine(), `${folder}/state`);
  const target = await spawnMachine(INCOMING);
  expect(await tryToLoad(target, `${folder}/state`)).toBe('completed');
  await target.execute('cont');
  await target.drain();
  expect(await target.readEngine(0, 'HEAD')).toBe(2n);
});

test.for([
  ['more failures than there may be', COUNT_OF_FAILURES, 0xffff],
  ['a failure that does not exist', KIND_OF_FIRST, 99],
] as const)(
  '%s in a state are refused, and so are commands to the device',
  async ([, offset, value], { startMachine, spawnMachine, folder }) => {
    const { stream, start } = await saveBusyMachine(await startMachine(), `${folder}/state`);
    stream.writeUInt32BE(value, start + offset);
    await writeFile(`${folder}/changed`, stream);
    const target = await spawnMachine(INCOMING);
    expect(await tryToLoad(target, `${folder}/changed`)).toBe('failed');
    await expectNotLoaded(target);
  },
);
