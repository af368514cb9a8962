/** Trace events: one for each command, DMA and fault, so that a log of them is the whole story. */
import { readFile } from 'node:fs/promises';
import { expect } from 'vitest';
import { FLAG, OP } from '../../src/device/edgpu-command.ts';
import { DATA, test } from '../../src/device/edgpu-machine.ts';

/** How often each event is in a log of QEMU. */
function countEvents(log: string): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const [name] of log.matchAll(/\bedgpu_\w+/g)) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}

test('accesses to registers are events, but not bad ones, nor those of a dead device', async ({
  startMachine,
  folder,
}) => {
  const file = `${folder}/trace`;
  const machine = await startMachine({ extra: ['-trace', 'edgpu_reg_*', '-D', file] });
  for (const dead of [false, true]) {
    if (dead) await machine.monitor.inject({ kind: 'dead' });
    await machine.readRegister('ID');
    await machine.writeRegister('SCRATCH', 1n);
    await machine.readRegsBar(0x800, 4);
    await machine.writeRegsBar(0, 4, 1n);
  }
  await machine.end();
  expect(countEvents(await readFile(file, 'utf8'))).toEqual({ edgpu_reg_read: 1, edgpu_reg_write: 1 });
});

test('every command, DMA, fault, message and injection is one event', async ({ startMachine, folder }) => {
  const file = `${folder}/trace`;
  const names = [
    'command',
    'command_done',
    'dma',
    'dma_refused',
    'fault',
    'irq',
    'injected',
    'doorbell',
    'engine_reset',
  ];
  const trace = names.flatMap((name) => ['-trace', `edgpu_${name}`]);
  const machine = await startMachine({ extra: [...trace, '-D', file] });
  await machine.enableMsix((await machine.pci.findCapability(0x11)) ?? 0);
  await machine.writeRegister('IRQ_ENABLE', 0x3_0003n);
  for (const engine of [0, 1]) await machine.setUpRing(engine);
  await machine.monitor.inject({ kind: 'delay', ns: 1 });
  await machine.run(0, [
    { opcode: OP.copy, flags: FLAG.dstVram, src: DATA, dst: 0n, len: 0x2_0000n },
    { opcode: OP.copy, src: DATA, dst: DATA + 0x10_0000n, len: 64n },
    { opcode: OP.fence, flags: FLAG.irq, value: 1n },
  ]);
  await machine.run(1, [
    { opcode: OP.nop },
    { opcode: OP.copy, flags: FLAG.dstVram, src: 1n << 30n, dst: 0n, len: 8n },
  ]);
  await machine.end();
  expect(countEvents(await readFile(file, 'utf8'))).toEqual({
    // At power-on, and when the rings were set up.
    edgpu_engine_reset: 4,
    edgpu_doorbell: 2,
    edgpu_injected: 1,
    edgpu_command: 5,
    edgpu_command_done: 4,
    // Five slots; two units, and one read and written; one read that is refused.
    edgpu_dma: 5 + 2 + 2 + 1,
    edgpu_dma_refused: 1,
    edgpu_fault: 1,
    edgpu_irq: 2,
  });
});
