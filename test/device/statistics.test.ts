/** What the host is told about the device: counters, and properties it must refuse. */
import { expect } from 'vitest';
import { FLAG, OP } from '../../src/device/edgpu-command.ts';
import type { EdgpuStatistics } from '../../src/device/edgpu-monitor.ts';
import { DATA, RAM, startRefused, test, type EdgpuMachine } from '../../src/device/edgpu-machine.ts';

/** Those that are not 0. */
async function statistics(machine: EdgpuMachine): Promise<Partial<EdgpuStatistics>> {
  const all = Object.entries(await machine.monitor.statistics());
  return Object.fromEntries(all.filter(([, value]) => value !== 0));
}

test('count what was done, and only that', async ({ startMachine }) => {
  const machine = await startMachine({ device: 'dma-bits=49' });
  expect(await statistics(machine)).toEqual({});
  await machine.setUpRing(0);
  await machine.run(0, [
    { opcode: OP.copy, flags: FLAG.srcVram, src: 0n, dst: RAM.top.base, len: 1000n },
    { opcode: OP.copy, flags: FLAG.dstVram, src: RAM.oneTiB.base, dst: 0n, len: 300n },
    { opcode: OP.copy, flags: FLAG.srcVram | FLAG.dstVram, src: 0n, dst: 4096n, len: 4096n },
    { opcode: OP.nop },
  ]);
  expect(await statistics(machine)).toEqual({
    commands: 4,
    'dma-read-bytes': 300 + 4 * 64,
    'dma-write-bytes': 1000,
    'max-dma-address': Number(RAM.top.base) + 999,
    // The two that leave VRAM, and four slots.
    'dma-accesses': 6,
    'dma-above-4g': 2,
    'dma-above-1t': 2,
    'dma-above-256t': 1,
  });
});

test('know the highest address that was asked for, though it was refused', async ({ machine }) => {
  await machine.run(0, [{ opcode: OP.copy, flags: FLAG.dstVram, src: 1n << 45n, dst: 0n, len: 16n }]);
  expect(await statistics(machine)).toEqual({
    'dma-read-bytes': 64,
    'max-dma-address': 2 ** 45 + 15,
    // The slot alone.
    'dma-accesses': 1,
    faults: 1,
    'faults-dma-limit': 1,
  });
});

test('know an address that wraps round as the highest there is', async ({ machine }) => {
  await machine.run(0, [{ opcode: OP.nop }]);
  await machine.writeEngine(0, 'RING_BASE', 0xffff_ffff_ffff_ffc0n, 8);
  await machine.writeEngine(0, 'TAIL', 2n);
  await machine.drain();
  expect(await machine.statistic('faults-dma-limit')).toBe(1);
  expect(await machine.statistic('max-dma-address')).toBe(2 ** 64);
});

test('start again from 0 on request', async ({ machine }) => {
  await machine.run(0, [{ opcode: OP.fill, dst: DATA, len: 64n }, { opcode: 99 }]);
  expect(await statistics(machine)).not.toEqual({});
  await machine.monitor.resetStatistics();
  expect(await statistics(machine)).toEqual({});
  // The guest's own count is the guest's.
  expect(await machine.readEngine(0, 'FAULT_COUNT')).toBe(1n);
});

test('outlive a reset of the guest', async ({ machine }) => {
  await machine.run(0, [{ opcode: OP.nop }]);
  await machine.execute('system_reset');
  await machine.waitForEvent('RESET');
  expect(await machine.statistic('commands')).toBe(1);
});

test.for([
  ['dma-bits=11', 'dma-bits must be 12 to 64'],
  ['dma-bits=65', 'dma-bits must be 12 to 64'],
  ['engines=0', 'engines must be 1 to 4'],
  ['engines=5', 'engines must be 1 to 4'],
  ['vram-size=1000000', 'vram-size must be a multiple of 1 MiB from 1 MiB to 64 GiB'],
  ['vram-size=65G', 'vram-size must be a multiple of 1 MiB from 1 MiB to 64 GiB'],
  ['vram-size=16M,aperture-size=3M', 'aperture-size must be a power of two from 64 KiB to vram-size'],
  ['vram-size=16M,aperture-size=32M', 'aperture-size must be a power of two from 64 KiB to vram-size'],
] as const)('%s is refused at start: %s', async ([device, sentence]) => {
  expect(await startRefused({ device })).toContain(sentence);
});

test.for([
  ['vram-size=1M', 1 << 20, 1 << 20],
  ['vram-size=24M', 24 << 20, 16 << 20],
  ['vram-size=8M,aperture-size=64K', 8 << 20, 64 << 10],
] as const)('%s gives %i bytes of VRAM, %i in the aperture', async ([device, vram, aperture], { startMachine }) => {
  const machine = await startMachine({ device });
  expect(await machine.readRegister('VRAM_SIZE', 8)).toBe(BigInt(vram));
  expect(await machine.readRegister('APERTURE_SIZE', 8)).toBe(BigInt(aperture));
});
