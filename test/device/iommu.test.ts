/** Behind a vIOMMU: translated accesses arrive, refused ones are faults of their own kind. */
import { expect } from 'vitest';
import { FAULT, FLAG, OP, pattern, type Command } from './edgpu-command.ts';
import { DATA, ringBase, test, type EdgpuMachine } from './edgpu-machine.ts';

/** Intel VT-d in legacy mode (section 9 of its specification), as far as QEMU needs it. */
const VTD = 0xfed9_0000n;
const VTD_GLOBAL_COMMAND = VTD + 0x18n;
const VTD_ROOT_TABLE = VTD + 0x20n;
const SET_ROOT_TABLE = 1n << 30n;
const TRANSLATE = 1n << 31n;
const PRESENT = 1n;
const READ = 1n;
const WRITE = 2n;
const WIDTH_39_BITS = 1n;
const DEVFN = 4 << 3;

const ROOT = 0x40_0000n;
const CONTEXT = 0x40_1000n;
const TABLES = [0x40_2000n, 0x40_3000n, 0x40_4000n];
/** The first IOVA of the 2 MiB that the last table maps. */
const IOVA = 0x12_3460_0000n;
const PAGE = 4096n;

const RING_IOVA = IOVA;
const READABLE = IOVA + PAGE;
const WRITABLE = IOVA + 2n * PAGE;
const BOTH = IOVA + 3n * PAGE;
const ABSENT = IOVA + 4n * PAGE;
const TO_A_HOLE = IOVA + 5n * PAGE;
const SOURCE = DATA + 0x40_0000n;

/** Maps the pages above for the device, 4 KiB each. */
async function enableVtd({ qtest }: EdgpuMachine): Promise<void> {
  const put = (table: bigint, index: bigint, entry: bigint) => qtest.write(table + 8n * index, 8, entry);
  const [top = 0n, middle = 0n, last = 0n] = TABLES;
  await put(ROOT, 0n, CONTEXT | PRESENT);
  await put(CONTEXT, BigInt(2 * DEVFN), top | PRESENT);
  await put(CONTEXT, BigInt(2 * DEVFN + 1), WIDTH_39_BITS);
  await put(top, (IOVA >> 30n) & 511n, middle | READ | WRITE);
  await put(middle, (IOVA >> 21n) & 511n, last | READ | WRITE);
  const pages = [
    ringBase(0) | READ | WRITE,
    SOURCE | READ,
    (SOURCE + PAGE) | WRITE,
    (SOURCE + 3n * PAGE) | READ | WRITE,
    0n,
    0x60_0000_0000n | READ | WRITE,
  ];
  for (const [i, entry] of pages.entries()) await put(last, BigInt(i), entry);
  await qtest.write(VTD_ROOT_TABLE, 8, ROOT);
  await qtest.write(VTD_GLOBAL_COMMAND, 4, SET_ROOT_TABLE);
  await qtest.write(VTD_GLOBAL_COMMAND, 4, TRANSLATE);
}

async function startBehindVtd(start: (options: object) => Promise<EdgpuMachine>): Promise<EdgpuMachine> {
  const machine = await start({ before: ['-device', 'intel-iommu,aw-bits=39'] });
  await enableVtd(machine);
  await machine.setUpRing(0, 64, RING_IOVA);
  await machine.qtest.writeBytes(SOURCE, pattern(16384));
  return machine;
}

const copy = (src: bigint, dst: bigint, len = PAGE): Command => ({ opcode: OP.copy, src, dst, len });

test('translated accesses reach the page that is mapped', async ({ startMachine }) => {
  const machine = await startBehindVtd(startMachine);
  await machine.run(0, [copy(READABLE, WRITABLE), copy(READABLE, BOTH)]);
  expect((await machine.fault(0)).kind).toBe(FAULT.none);
  const expected = pattern(16384).subarray(0, 4096);
  expect(Buffer.compare(await machine.qtest.readBytes(SOURCE + PAGE, 4096), expected)).toBe(0);
  expect(Buffer.compare(await machine.qtest.readBytes(SOURCE + 3n * PAGE, 4096), expected)).toBe(0);
  // What counts is the address that the device put on the bus.
  expect(await machine.statistic('max-dma-address')).toBe(Number(BOTH + PAGE - 1n));
});

test.for([
  { title: 'an unmapped page', command: copy(ABSENT, BOTH), kind: FAULT.iommu, address: ABSENT },
  { title: 'reading a page that is write-only', command: copy(WRITABLE, BOTH), kind: FAULT.iommu, address: WRITABLE },
  { title: 'writing a page that is read-only', command: copy(BOTH, READABLE), kind: FAULT.iommu, address: READABLE },
  {
    title: 'the second page of an access',
    command: copy(BOTH, WRITABLE + PAGE + 1000n),
    kind: FAULT.iommu,
    address: ABSENT,
  },
  { title: 'an address beyond the tables', command: copy(1n << 39n, BOTH), kind: FAULT.iommu, address: 1n << 39n },
  { title: 'a mapping to nothing', command: copy(TO_A_HOLE, BOTH), kind: FAULT.dmaHole, address: TO_A_HOLE },
  {
    title: 'a write-back to an unmapped page',
    command: { opcode: OP.fence, flags: FLAG.writeback, dst: ABSENT, value: 1n },
    kind: FAULT.iommu,
    address: ABSENT,
  },
])('$title is a fault at its first byte', async ({ command, kind, address }, { startMachine }) => {
  const machine = await startBehindVtd(startMachine);
  await machine.run(0, [command]);
  expect(await machine.fault(0)).toEqual({ kind, slot: 0, address });
});

test('the limit is one of the bus, before translation', async ({ startMachine }) => {
  const machine = await startBehindVtd(startMachine);
  await machine.set('dma-bits', 36);
  await machine.setUpRing(0, 64, RING_IOVA);
  await machine.run(0, [copy(READABLE, BOTH)]);
  expect(await machine.fault(0)).toEqual({ kind: FAULT.dmaLimit, slot: 0, address: RING_IOVA });
});
