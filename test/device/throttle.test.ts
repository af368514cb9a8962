/** Bandwidth and latency on the virtual clock: what takes how long is known to the nanosecond. */
import { describe, expect } from 'vitest';
import { FLAG, OP, type Command } from '../../src/device/edgpu-command.ts';
import { DATA, startRefused, test, type EdgpuMachine } from '../../src/device/edgpu-machine.ts';

const MIB = 1n << 20n;
const MIB_PER_SECOND = 1 << 20;
const MS = 1_000_000;
/** From one slice to the next. */
const SLICE = 1000;

const fill = (len: bigint): Command => ({ opcode: OP.fill, dst: DATA, len, value: 1n });
const fence: Command = { opcode: OP.fence, value: 1n };

/** Virtual nanoseconds until the engine has nothing left to do. */
async function busyTime(machine: EdgpuMachine, engine = 0): Promise<number> {
  const start = machine.qtest.clock;
  for (let i = 0; i < 100_000 && (await machine.isBusy(engine)); i++) await machine.qtest.stepClock();
  return machine.qtest.clock - start;
}

describe.each([0, 1])('engine %i', (engine) => {
  test('moves as many bytes a second as bandwidth says', async ({ startMachine }) => {
    const machine = await startMachine({ device: `bandwidth=${100 * MIB_PER_SECOND}` });
    await machine.setUpRing(engine);
    await machine.submit(engine, [fill(10n * MIB), fence]);
    expect(await busyTime(machine, engine)).toBe(100 * MS);
  });

  test('takes latency-ns more for each command', async ({ startMachine }) => {
    const machine = await startMachine({ device: `latency-ns=${5 * MS}` });
    await machine.setUpRing(engine);
    await machine.submit(engine, [fence, { opcode: OP.nop }, fill(8n)]);
    expect(await busyTime(machine, engine)).toBe(15 * MS);
  });
});

test('without a throttle only the slices take time', async ({ startMachine }) => {
  const machine = await startMachine();
  expect([await machine.get('bandwidth'), await machine.get('latency-ns')]).toEqual([0, 0]);
  await machine.setUpRing(0);
  await machine.submit(0, [fill(4n * MIB)]);
  expect(await busyTime(machine)).toBeLessThan(8 * SLICE);
});

test.for([
  ['NOP', { opcode: OP.nop }, 1024n],
  ['FENCE', fence, 1024n],
  ['small FILL', fill(8n), 682n],
  ['small COPY', { opcode: OP.copy, src: DATA, dst: DATA + 4096n, len: 8n }, 682n],
] as const)('a slice ends by the steps of its commands: so many of %s', async ([, command, done], { startMachine }) => {
  const machine = await startMachine();
  await machine.setUpRing(0, 2048);
  await machine.submit(0, Array<Command>(2000).fill(command));
  await machine.qtest.stepClock(SLICE);
  expect(await machine.readEngine(0, 'HEAD')).toBe(done);
});

test('engines are throttled each for itself', async ({ startMachine }) => {
  const machine = await startMachine({ device: `bandwidth=${100 * MIB_PER_SECOND}` });
  for (const engine of [0, 1]) {
    await machine.setUpRing(engine);
    await machine.submit(engine, [fill(10n * MIB)]);
  }
  expect(await busyTime(machine, 0)).toBe(100 * MS);
  expect(await machine.isBusy(1)).toBe(false);
});

test('an idle engine gathers no credit', async ({ startMachine }) => {
  const machine = await startMachine({ device: `bandwidth=${100 * MIB_PER_SECOND}` });
  await machine.setUpRing(0);
  await machine.qtest.stepClock(1000 * MS);
  await machine.submit(0, [fill(1n * MIB)]);
  expect(await busyTime(machine)).toBe(10 * MS);
});

test('a copy pays for its bytes once, wherever they go', async ({ startMachine }) => {
  const machine = await startMachine({ device: `bandwidth=${100 * MIB_PER_SECOND}` });
  await machine.setUpRing(0);
  await machine.submit(0, [{ opcode: OP.copy, flags: FLAG.dstVram, src: DATA, dst: 0n, len: 1n * MIB }]);
  expect(await busyTime(machine)).toBe(10 * MS);
});

test('both may change in the middle of a command', async ({ startMachine }) => {
  const machine = await startMachine({ device: `bandwidth=${100 * MIB_PER_SECOND}` });
  await machine.setUpRing(0);
  await machine.submit(0, [fill(10n * MIB), fence]);
  await machine.qtest.stepClock(50 * MS);
  await machine.set('bandwidth', 10 * MIB_PER_SECOND);
  await machine.set('latency-ns', 7 * MS);
  const left = await busyTime(machine);
  // One unit may still be on its way at the old speed.
  expect(Math.abs(left - (500 + 7) * MS)).toBeLessThan(10 * MS);
});

test('the last bytes are paid for before the fence tells of them', async ({ startMachine }) => {
  const machine = await startMachine({ device: `bandwidth=${1 * MIB_PER_SECOND}` });
  await machine.setUpRing(0);
  await machine.submit(0, [fill(1n * MIB), fence]);
  await machine.qtest.stepClock(999 * MS);
  expect(await machine.readEngine(0, 'HEAD')).toBe(0n);
  expect(await machine.readEngine(0, 'FENCE', 8)).toBe(0n);
  await machine.qtest.stepClock(2 * MS);
  expect(await machine.readEngine(0, 'FENCE', 8)).toBe(1n);
});

test.for([
  ['bandwidth', 65535, /bandwidth must be 0 \(no limit\) or at least 65536 bytes a second/],
  ['latency-ns', 60_000_000_001, /latency-ns must be 0 to 60000000000/],
] as const)('%s=%i is refused, at start and later', async ([name, value, sentence], { startMachine }) => {
  expect(await startRefused({ device: `${name}=${value}` })).toMatch(sentence);
  const machine = await startMachine();
  await expect(machine.set(name, value)).rejects.toThrow(sentence);
  expect(await machine.get(name)).toBe(0);
});
