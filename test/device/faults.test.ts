/** Each fault: what raises it, what it reports, that nothing is done beyond it, and how to go on. */
import { describe, expect } from 'vitest';
import { edgpu } from '../../src/device/edgpu-constants.ts';
import { encodeScatterList, FAULT, FLAG, OP, pattern, type Command } from '../../src/device/edgpu-command.ts';
import { DATA, DATA_END, RAM, test, VRAM_SIZE, type EdgpuMachine } from '../../src/device/edgpu-machine.ts';
import { PCI_COMMAND_MASTER, PCI_COMMAND_MEMORY, PciFunction } from '../../src/device/qtest.ts';

const KIND_NAMES = [
  'none',
  'dma-limit',
  'dma-hole',
  'iommu',
  'bus-master',
  'power',
  'vram-range',
  'bad-command',
  'ring-overrun',
  'hardware',
] as const;

const LIST = DATA;
const SOURCE = DATA + 0x20_0000n;
const TARGET = DATA + 0x80_0000n;
const HOLE = 0x70_0000_0000n;
/** The segment below 1 MiB, and the q35 register that says what is there. */
const BIOS = 0xf_0000n;
const PAM0 = 0x90;
const PAM_READABLE = 0x10;
const PAM_WRITABLE = 0x30;
const END_OF_40_BITS = 1n << 40n;

interface Fault {
  readonly kind: number;
  readonly address: bigint;
}

/** The fault as registers, events, counters and interrupt status tell it: they must agree. */
async function expectFault(machine: EdgpuMachine, { kind, address }: Fault, slot = 0): Promise<void> {
  const name = KIND_NAMES[kind];
  if (name === undefined || name === 'none') throw new Error(`There is no fault ${String(kind)}`);
  expect(await machine.fault(0)).toEqual({ kind, slot, address });
  expect(Number(await machine.readEngine(0, 'STATUS'))).toBe(edgpu('STATUS_FAULT'));
  expect(Number(await machine.readRegister('IRQ_STATUS')) >>> edgpu('IRQ_FAULT_SHIFT')).toBe(1);
  expect(await machine.statistic(`faults-${name}`)).toBeGreaterThan(0);
  expect((await machine.faultEvents()).at(-1)).toEqual({
    path: '/machine/peripheral/gpu0',
    engine: 0,
    slot,
    kind: name,
    // JSON numbers are doubles here; all addresses of these tests but all ones fit.
    address: Number(address),
    'dma-bits': await machine.get('dma-bits'),
  });
}

interface Case {
  readonly title: string;
  readonly command: Command;
  readonly fault: Fault;
}

const copy = (fields: Omit<Command, 'opcode'>): Command => ({
  opcode: OP.copy,
  src: SOURCE,
  dst: TARGET,
  len: 4096n,
  ...fields,
});

const LIMIT: readonly Case[] = [
  {
    title: 'a source above the limit',
    command: copy({ src: END_OF_40_BITS }),
    fault: { kind: FAULT.dmaLimit, address: END_OF_40_BITS },
  },
  {
    title: 'a source that ends one byte above it',
    command: copy({ src: END_OF_40_BITS - 4095n }),
    fault: { kind: FAULT.dmaLimit, address: END_OF_40_BITS },
  },
  {
    title: 'a target above the limit',
    command: copy({ dst: END_OF_40_BITS + 64n }),
    fault: { kind: FAULT.dmaLimit, address: END_OF_40_BITS + 64n },
  },
  {
    title: 'an address that would wrap round',
    command: copy({ src: 0xffff_ffff_ffff_f800n }),
    fault: { kind: FAULT.dmaLimit, address: 0xffff_ffff_ffff_f800n },
  },
  {
    title: 'a fence write-back above the limit',
    command: { opcode: OP.fence, flags: FLAG.writeback, dst: END_OF_40_BITS - 4n, value: 1n },
    fault: { kind: FAULT.dmaLimit, address: END_OF_40_BITS },
  },
  {
    title: 'a checksum result above the limit',
    command: { opcode: OP.checksum, src: SOURCE, dst: END_OF_40_BITS, len: 8n },
    fault: { kind: FAULT.dmaLimit, address: END_OF_40_BITS },
  },
  {
    title: 'a scatter list above the limit',
    command: copy({ flags: FLAG.srcSg, src: END_OF_40_BITS - 16n, srcEntries: 2 }),
    fault: { kind: FAULT.dmaLimit, address: END_OF_40_BITS },
  },
];

const VRAM_RANGE: readonly Case[] = [
  {
    title: 'a source that starts beyond VRAM',
    command: copy({ flags: FLAG.srcVram, src: BigInt(VRAM_SIZE) + 1n }),
    fault: { kind: FAULT.vramRange, address: BigInt(VRAM_SIZE) + 1n },
  },
  {
    title: 'a target that ends one byte beyond VRAM',
    command: copy({ flags: FLAG.dstVram, dst: BigInt(VRAM_SIZE) - 4095n }),
    fault: { kind: FAULT.vramRange, address: BigInt(VRAM_SIZE) },
  },
  {
    title: 'a VRAM offset that would wrap round',
    command: copy({ flags: FLAG.dstVram, dst: 0xffff_ffff_ffff_fff8n }),
    fault: { kind: FAULT.vramRange, address: 0xffff_ffff_ffff_fff8n },
  },
];

const bad = (title: string, command: Command): Case => ({
  title,
  command,
  fault: { kind: FAULT.badCommand, address: BigInt(command.opcode) },
});

const BAD_COMMAND: readonly Case[] = [
  bad('an unknown opcode', { opcode: edgpu('OPS') }),
  bad('an opcode of all ones', { opcode: 0xffff_ffff }),
  bad('an unknown flag', copy({ flags: 1 << 6 })),
  bad('a flag that is not for the command', copy({ flags: FLAG.irq })),
  bad('a scatter list as target of a checksum', {
    opcode: OP.checksum,
    flags: FLAG.dstSg,
    src: SOURCE,
    dst: LIST,
    dstEntries: 1,
    len: 8n,
  }),
  bad('no length', copy({ len: 0n })),
  bad('too great a length', copy({ len: BigInt(edgpu('MAX_LEN')) + 1n })),
  bad('a fill of half a word', { opcode: OP.fill, dst: TARGET, len: 12n }),
  bad('a fence with a length', { opcode: OP.fence, len: 8n }),
  bad('the first reserved word', copy({ reserved: [1n, 0n] })),
  bad('the last reserved word', { opcode: OP.nop, reserved: [0n, 1n << 63n] }),
  bad('a scatter list of no entries', copy({ flags: FLAG.srcSg, src: LIST })),
  bad('entries without a scatter list', copy({ dstEntries: 1 })),
  bad('too many entries', copy({ flags: FLAG.srcSg, src: LIST, srcEntries: edgpu('MAX_SG_ENTRIES') + 1 })),
];

describe('a command is refused whole, before any byte moves, for', () => {
  test.for([...LIMIT, ...VRAM_RANGE, ...BAD_COMMAND])('$title', async ({ command, fault }, { machine }) => {
    const before = pattern(4096, 2);
    await machine.qtest.writeBytes(SOURCE, pattern(4096));
    await machine.qtest.writeBytes(TARGET, before);
    await machine.run(0, [{ opcode: OP.nop }, command, { opcode: OP.fence, value: 1n }]);
    await expectFault(machine, fault, 1);
    expect(Buffer.compare(await machine.qtest.readBytes(TARGET, 4096), before)).toBe(0);
    expect(await machine.readEngine(0, 'FENCE', 8)).toBe(0n);
    expect(await machine.statistic('dma-write-bytes')).toBe(0);
  });
});

describe('a scatter list is checked whole:', () => {
  const cases = [
    { title: 'an empty entry', lens: [2048n, 0n, 2048n], at: 1 },
    { title: 'entries that add up to less', lens: [2048n, 1024n], at: 1 },
    { title: 'entries that add up to more', lens: [2048n, 2049n], at: 1 },
    { title: 'an entry too many', lens: [4096n, 1n], at: 1 },
    { title: 'a sum that would wrap round', lens: [2048n, 0xffff_ffff_ffff_f800n, 4096n], at: 1 },
  ];
  test.for(cases)('$title', async ({ lens, at }, { machine }) => {
    await machine.qtest.writeBytes(LIST, encodeScatterList(lens.map((len) => ({ addr: SOURCE, len }))));
    await machine.run(0, [copy({ flags: FLAG.srcSg, src: LIST, srcEntries: lens.length })]);
    await expectFault(machine, { kind: FAULT.badCommand, address: LIST + BigInt(16 * at) });
  });

  test('an entry that cannot be reached', async ({ machine }) => {
    const entries = [
      { addr: TARGET, len: 2048n },
      { addr: END_OF_40_BITS - 2000n, len: 2048n },
    ];
    await machine.qtest.writeBytes(LIST, encodeScatterList(entries));
    await machine.qtest.writeBytes(SOURCE, pattern(4096));
    await machine.run(0, [copy({ flags: FLAG.dstSg, dst: LIST, dstEntries: 2 })]);
    await expectFault(machine, { kind: FAULT.dmaLimit, address: END_OF_40_BITS });
    expect(await machine.qtest.read(TARGET, 8)).toBe(0n);
  });
});

describe('what can only be found on the way', () => {
  test('a hole stops a copy just there, with all before it done and nothing after', async ({ startMachine }) => {
    const machine = await startMachine();
    await machine.setUpRing(0);
    const bytes = pattern(0x2_0000);
    await machine.qtest.writeBytes(SOURCE, bytes);
    const start = DATA_END - 0x1_8000n;
    await machine.run(0, [copy({ dst: start, len: 0x2_0000n })]);
    await expectFault(machine, { kind: FAULT.dmaHole, address: DATA_END });
    expect(Buffer.compare(await machine.qtest.readBytes(start, 0x1_8000), bytes.subarray(0, 0x1_8000))).toBe(0);
    expect(await machine.statistic('dma-write-bytes')).toBe(0x1_8000);
  });

  test('a hole stops the read of a source', async ({ machine }) => {
    await machine.run(0, [copy({ src: HOLE })]);
    await expectFault(machine, { kind: FAULT.dmaHole, address: HOLE });
  });

  test.for([
    { title: 'its own registers', address: 0xe000_0000n },
    { title: "the I/O APIC's registers", address: 0xfec0_0000n },
    { title: 'the interrupt window', address: 0xfee0_0000n },
  ])('$title are no memory', async ({ address }, { machine }) => {
    await machine.run(0, [{ opcode: OP.fence, flags: FLAG.writeback, dst: address, value: 1n }]);
    await expectFault(machine, { kind: FAULT.dmaHole, address });
    expect(await machine.readEngine(0, 'FENCE', 8)).toBe(0n);
  });

  test('memory that the chipset protects from writing can be read, and no more', async ({ machine }) => {
    const bridge = new PciFunction(machine.qtest, 0);
    await bridge.write(PAM0, 1, PAM_WRITABLE);
    await machine.qtest.writeBytes(BIOS, pattern(64));
    await bridge.write(PAM0, 1, PAM_READABLE);
    await machine.run(0, [copy({ src: BIOS, len: 64n })]);
    expect(Buffer.compare(await machine.qtest.readBytes(TARGET, 64), pattern(64))).toBe(0);
    await machine.run(0, [copy({ dst: BIOS, len: 64n })]);
    await expectFault(machine, { kind: FAULT.dmaHole, address: BIOS }, 1);
    expect(Buffer.compare(await machine.qtest.readBytes(BIOS, 64), pattern(64))).toBe(0);
  });

  test('a ring in a hole, above the limit, or at the very end', async ({ machine }) => {
    const last = 0xffff_ffff_ffff_ffc0n;
    for (const [base, kind, address] of [
      [HOLE, FAULT.dmaHole, HOLE],
      [END_OF_40_BITS, FAULT.dmaLimit, END_OF_40_BITS],
      [last, FAULT.dmaLimit, last],
    ] as const) {
      await machine.setUpRing(0, 64, base);
      await machine.writeEngine(0, 'TAIL', 2n);
      await machine.drain();
      await expectFault(machine, { kind, address });
    }
  });

  test('bus mastering switched off under a copy', async ({ machine }) => {
    await machine.submit(0, [copy({ len: 0x40_0000n })]);
    await machine.qtest.stepClock();
    await machine.pci.setCommand(PCI_COMMAND_MEMORY);
    await machine.drain();
    const { address } = await machine.fault(0);
    expect(address).toBeGreaterThan(SOURCE);
    await expectFault(machine, { kind: FAULT.busMaster, address });

    await machine.pci.setCommand(PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    await machine.qtest.stepClock(1_000_000);
    expect(Number(await machine.readEngine(0, 'STATUS'))).toBe(edgpu('STATUS_FAULT'));
  });

  test('dma-bits narrowed under a copy', async ({ machine }) => {
    await machine.submit(0, [copy({ src: RAM.oneTiB.base - 1n })]);
    await machine.set('dma-bits', 22);
    await machine.drain();
    // 22 bits end below SOURCE, so that even a good command is now out of reach; the ring is not.
    await machine.setUpRing(0);
    await machine.run(0, [copy({ dst: 1n << 22n })]);
    await expectFault(machine, { kind: FAULT.dmaLimit, address: 1n << 22n });
  });
});

describe('a ring overrun', () => {
  test.for([64n, 65n, 0xffff_ffffn])('by a tail of %i in 64 slots', async (tail, { machine }) => {
    await machine.writeEngine(0, 'TAIL', tail);
    await expectFault(machine, { kind: FAULT.ringOverrun, address: tail });
  });

  test('by a tail of 0 without a ring', async ({ startMachine }) => {
    const machine = await startMachine();
    await machine.writeEngine(0, 'TAIL', 0n);
    await expectFault(machine, { kind: FAULT.ringOverrun, address: 0n });
  });

  test('by a tail that takes submitted slots back', async ({ machine }) => {
    await machine.submit(0, [{ opcode: OP.nop }, { opcode: OP.nop }, { opcode: OP.nop }]);
    await machine.writeEngine(0, 'TAIL', 3n);
    expect(await machine.isBusy(0)).toBe(true);
    await machine.writeEngine(0, 'TAIL', 2n);
    await expectFault(machine, { kind: FAULT.ringOverrun, address: 2n });
  });
});

describe('a faulted engine', () => {
  test('ignores its doorbell until it is reset, and counts on', async ({ machine }) => {
    for (let i = 1n; i <= 3n; i++) {
      await machine.setUpRing(0);
      await machine.run(0, [{ opcode: 99 }]);
      await machine.writeEngine(0, 'TAIL', 1n);
      await machine.qtest.stepClock(1_000_000);
      expect(await machine.readEngine(0, 'FAULT_COUNT')).toBe(i);
    }
    expect(await machine.faultEvents()).toHaveLength(3);
    await machine.setUpRing(0);
    expect(await machine.fault(0)).toEqual({ kind: FAULT.none, slot: 0, address: 0n });
    expect(await machine.readEngine(0, 'FAULT_COUNT')).toBe(3n);
    await machine.run(0, [{ opcode: OP.fence, value: 8n }]);
    expect(await machine.readEngine(0, 'FENCE', 8)).toBe(8n);
  });

  test('leaves the others running', async ({ machine }) => {
    await machine.setUpRing(1);
    await machine.submit(0, [{ opcode: 99 }]);
    await machine.submit(1, [copy({ len: 0x40_0000n }), { opcode: OP.fence, value: 2n }]);
    await machine.drain();
    await expectFault(machine, { kind: FAULT.badCommand, address: 99n });
    expect(await machine.readEngine(1, 'FENCE', 8)).toBe(2n);
  });
});

describe('a flood of faults', () => {
  const FLOOD = 1000;

  async function flood(machine: EdgpuMachine): Promise<void> {
    // Each is two accesses of the guest: a reset, and a tail without a ring.
    for (let i = 0; i < FLOOD; i++) {
      await machine.writeEngine(0, 'CONTROL', 1n);
      await machine.writeEngine(0, 'TAIL', 0n);
    }
  }

  test('is counted whole, but told in no more than 100 events at once, which say what they left out', async ({
    machine,
  }) => {
    await flood(machine);
    expect(await machine.statistic('faults')).toBe(FLOOD);
    expect(await machine.faultEvents()).toHaveLength(100);
    await machine.qtest.stepClock(100_000_000);
    await flood(machine);
    const events = await machine.faultEvents();
    expect(events).toHaveLength(110);
    expect(events.filter((event) => 'suppressed' in event).map(({ suppressed }) => suppressed)).toEqual([FLOOD - 100]);
    expect(await machine.statistic('faults')).toBe(2 * FLOOD);
  });
});

describe('dma-bits', () => {
  test.for([32, 40, 41, 48, 49, 63, 64])(
    '%i: the last byte is reached, the next is not',
    async (bits, { startMachine }) => {
      const machine = await startMachine({ device: `dma-bits=${bits}` });
      await machine.setUpRing(0);
      expect(await machine.readRegister('DMA_BITS')).toBe(BigInt(bits));
      const end = 1n << BigInt(bits);
      // Whether something answers there is another matter.
      await machine.run(0, [copy({ src: end - 4096n })]);
      expect((await machine.fault(0)).kind).not.toBe(FAULT.dmaLimit);
      expect(await machine.statistic('max-dma-address')).toBe(Number(end - 1n));
      if (bits === 64) return;
      await machine.setUpRing(0);
      await machine.run(0, [copy({ src: end - 4095n })]);
      expect(await machine.fault(0)).toEqual({ kind: FAULT.dmaLimit, slot: 0, address: end });
    },
  );

  test('widened while running lets the same command pass', async ({ machine }) => {
    const command = copy({ src: RAM.oneTiB.base });
    await machine.qtest.writeBytes(RAM.oneTiB.base, pattern(4096));
    await machine.run(0, [command]);
    await expectFault(machine, { kind: FAULT.dmaLimit, address: RAM.oneTiB.base });
    await machine.set('dma-bits', 41);
    expect(await machine.readRegister('DMA_BITS')).toBe(41n);
    await machine.setUpRing(0);
    await machine.run(0, [command]);
    expect((await machine.fault(0)).kind).toBe(FAULT.none);
    expect(Buffer.compare(await machine.qtest.readBytes(TARGET, 4096), pattern(4096))).toBe(0);
  });

  test.for([0, 11, 65, 0xffff_ffff, -1])('%i is refused while running', async (bits, { machine }) => {
    await expect(machine.set('dma-bits', bits)).rejects.toThrow(/dma-bits must be 12 to 64|uint32/);
    expect(await machine.get('dma-bits')).toBe(40);
  });
});
