/** MSI-X: who is told, when, and by which vector. */
import { expect } from 'vitest';
import { edgpu } from '../../src/device/edgpu-constants.ts';
import { FLAG, OP } from '../../src/device/edgpu-command.ts';
import { test, type EdgpuMachine } from '../../src/device/edgpu-machine.ts';

const MSIX = 0x11;
const FENCE_0 = 1n << BigInt(edgpu('IRQ_FENCE_SHIFT'));
const FENCE_1 = FENCE_0 << 1n;
const FAULT_0 = 1n << BigInt(edgpu('IRQ_FAULT_SHIFT'));
const FAULT_1 = FAULT_0 << 1n;
const FENCE_COMMAND = { opcode: OP.fence, flags: FLAG.irq, value: 1n };
const VECTOR_0 = edgpu('VECTOR_ENGINE');
const VECTOR_FAULT = edgpu('VECTOR_FAULT');

async function startWithInterrupts(start: () => Promise<EdgpuMachine>, enabled: bigint): Promise<EdgpuMachine> {
  const machine = await start();
  const capability = await machine.pci.findCapability(MSIX);
  expect(capability).toBeDefined();
  await machine.enableMsix(capability ?? 0);
  await machine.writeRegister('IRQ_ENABLE', enabled);
  await machine.setUpRing(0);
  await machine.setUpRing(1);
  return machine;
}

test('a fence of each engine has its own vector and bit', async ({ startMachine }) => {
  const machine = await startWithInterrupts(startMachine, FENCE_0 | FENCE_1);
  await machine.run(0, [FENCE_COMMAND]);
  expect(await machine.takeMessages()).toEqual([VECTOR_0]);
  expect(await machine.readRegister('IRQ_STATUS')).toBe(FENCE_0);
  await machine.run(1, [FENCE_COMMAND]);
  expect(await machine.takeMessages()).toEqual([VECTOR_0 + 1]);
  expect(await machine.readRegister('IRQ_STATUS')).toBe(FENCE_0 | FENCE_1);
  expect(await machine.statistic('irqs')).toBe(2);
});

test('a fence without the flag tells no one', async ({ startMachine }) => {
  const machine = await startWithInterrupts(startMachine, FENCE_0);
  await machine.run(0, [{ opcode: OP.fence, value: 1n }]);
  expect(await machine.takeMessages()).toEqual([]);
  expect(await machine.readRegister('IRQ_STATUS')).toBe(0n);
});

test('faults of all engines share a vector', async ({ startMachine }) => {
  const machine = await startWithInterrupts(startMachine, FAULT_0 | FAULT_1);
  for (const [engine, bits] of [
    [0, FAULT_0],
    [1, FAULT_0 | FAULT_1],
  ] as const) {
    await machine.run(engine, [{ opcode: 99 }]);
    expect(await machine.takeMessages()).toEqual([VECTOR_FAULT]);
    expect(await machine.readRegister('IRQ_STATUS')).toBe(bits);
  }
});

test('status bits are cleared by writing ones, and only those', async ({ startMachine }) => {
  const machine = await startWithInterrupts(startMachine, 0n);
  await machine.run(0, [FENCE_COMMAND, { opcode: 99 }]);
  await machine.writeRegister('IRQ_STATUS', FENCE_0);
  expect(await machine.readRegister('IRQ_STATUS')).toBe(FAULT_0);
  await machine.writeRegister('IRQ_STATUS', 0xffff_ffffn);
  expect(await machine.readRegister('IRQ_STATUS')).toBe(0n);
});

test('what is not enabled is remembered, and told when it is enabled', async ({ startMachine }) => {
  const machine = await startWithInterrupts(startMachine, FAULT_0);
  await machine.run(0, [FENCE_COMMAND]);
  expect(await machine.takeMessages()).toEqual([]);
  await machine.writeRegister('IRQ_ENABLE', FENCE_0 | FAULT_0);
  expect(await machine.takeMessages()).toEqual([VECTOR_0]);
  await machine.writeRegister('IRQ_ENABLE', FENCE_0);
  expect(await machine.takeMessages()).toEqual([]);
});

test('every fence tells, even while the bit of the last is still set', async ({ startMachine }) => {
  const machine = await startWithInterrupts(startMachine, FENCE_0);
  for (let i = 0; i < 3; i++) {
    await machine.run(0, [FENCE_COMMAND]);
    expect(await machine.takeMessages()).toEqual([VECTOR_0]);
  }
});

test('the reader that an interrupt wakes sees the fence and an advanced head', async ({ startMachine }) => {
  const machine = await startWithInterrupts(startMachine, FENCE_0);
  await machine.run(0, [FENCE_COMMAND]);
  expect(await machine.readEngine(0, 'FENCE', 8)).toBe(1n);
  expect(await machine.readEngine(0, 'HEAD')).toBe(1n);
});
