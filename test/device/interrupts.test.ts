/** MSI-X: who is told, when, and by which vector. */
import { describe, expect } from 'vitest';
import { edgpu } from '../../src/device/edgpu-constants.ts';
import { FLAG, OP } from '../../src/device/edgpu-command.ts';
import { PCI_COMMAND_MEMORY } from '../../src/device/qtest.ts';
import { MESSAGES as MESSAGES_AT, test, type EdgpuMachine } from '../../src/device/edgpu-machine.ts';

const MSIX = 0x11;
const FENCE_0 = 1n << BigInt(edgpu('IRQ_FENCE_SHIFT'));
const FENCE_1 = FENCE_0 << 1n;
const FAULT_0 = 1n << BigInt(edgpu('IRQ_FAULT_SHIFT'));
const FAULT_1 = FAULT_0 << 1n;
const FENCE_COMMAND = { opcode: OP.fence, flags: FLAG.irq, value: 1n };
const VECTOR_0 = edgpu('VECTOR_ENGINE');
const MESSAGES = Number(MESSAGES_AT);
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

describe('a message is DMA', () => {
  test('and does not arrive beyond dma-bits: it is lost, counted and told', async ({ startMachine }) => {
    const machine = await startWithInterrupts(startMachine, FENCE_0 | FAULT_0);
    // The messages are in reach of 20 bits, the ring is not: the fault can't be told by a message either.
    await machine.set('dma-bits', 12);
    await machine.run(0, [FENCE_COMMAND]);
    expect(await machine.takeMessages()).toEqual([]);
    expect(await machine.readRegister('IRQ_STATUS')).toBe(FAULT_0);
    expect(await machine.statistic('irqs')).toBe(0);
    expect(await machine.statistic('max-irq-address')).toBe(MESSAGES + 4 * VECTOR_FAULT + 3);
    expect(await machine.statistic('faults-dma-limit')).toBe(2);
    const [ofEngine, ofMessage] = await machine.faultEvents();
    expect(ofEngine).toMatchObject({ engine: 0, slot: 0, kind: 'dma-limit' });
    expect(ofMessage).toEqual({ path: ofEngine?.['path'], kind: 'dma-limit', address: MESSAGES, 'dma-bits': 12 });
  });

  test('and is held against dma-bits when it is sent, not when it is raised', async ({ startMachine }) => {
    const machine = await startWithInterrupts(startMachine, FENCE_0);
    const control = VECTOR_0 * 16 + 12;
    await machine.writeMsixBar(control, 4, 1n);
    await machine.run(0, [FENCE_COMMAND]);
    expect(await machine.statistic('irqs')).toBe(0);
    await machine.set('dma-bits', 16);
    await machine.writeMsixBar(control, 4, 0n);
    expect(await machine.takeMessages()).toEqual([]);
    expect(await machine.statistic('faults-dma-limit')).toBe(1);
    await machine.writeMsixBar(control, 4, 1n);
    await machine.set('dma-bits', 40);
    await machine.run(0, [FENCE_COMMAND]);
    await machine.writeMsixBar(control, 4, 0n);
    expect(await machine.takeMessages()).toEqual([VECTOR_0]);
    expect(await machine.statistic('irqs')).toBe(1);
  });

  test('and needs bus mastering: without it nothing is sent, counted or dropped', async ({ startMachine }) => {
    const machine = await startWithInterrupts(startMachine, FAULT_0);
    await machine.monitor.inject({ kind: 'drop-irq' });
    await machine.pci.setCommand(PCI_COMMAND_MEMORY);
    await machine.run(0, [FENCE_COMMAND]);
    expect(await machine.readRegister('IRQ_STATUS')).toBe(FAULT_0);
    expect(await machine.statistic('irqs')).toBe(0);
    expect(await machine.monitor.pendingFailures()).toEqual([{ kind: 'drop-irq', at: 1 }]);
  });
});
