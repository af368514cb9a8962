/** Behind an AMD IOMMU: translated accesses arrive, refused ones are faults of kind IOMMU. */
import { expect } from 'vitest';
import { FAULT, OP, pattern, type Command } from './edgpu-command.ts';
import { DATA, ringBase, test, type EdgpuMachine } from './edgpu-machine.ts';

/** Registers and tables, as the AMD I/O Virtualization Technology specification has them. */
const REGISTERS = 0xfed8_0000n;
const CONTROL = REGISTERS + 0x18n;
const COMMAND_BASE = REGISTERS + 0x8n;
const COMMAND_TAIL = REGISTERS + 0x2008n;
const ENABLE = 1n;
const RUN_COMMANDS = 1n << 12n;
const INVALIDATE_DEVICE_ENTRY = 2n << 60n;
const VALID = 1n;
const TRANSLATED = 1n << 1n;
const PRESENT = 1n;
const READ = 1n << 61n;
const WRITE = 1n << 62n;
const level = (next: number): bigint => BigInt(next) << 9n;
const DEVFN = 4n << 3n;

const DEVICES = 0x40_0000n;
const COMMANDS = 0x41_0000n;
const TABLES = [0x40_2000n, 0x40_3000n, 0x40_4000n] as const;
const IOVA = 0x12_3460_0000n;
const PAGE = 4096n;
const [RING, READABLE, WRITABLE, BOTH, ABSENT] = [0n, 1n, 2n, 3n, 4n].map((page) => IOVA + page * PAGE) as [
  ...[bigint, bigint, bigint, bigint, bigint],
];
const SOURCE = DATA + 0x40_0000n;

async function startBehindAmd(start: (options?: object) => Promise<EdgpuMachine>): Promise<EdgpuMachine> {
  const machine = await start({ before: ['-device', await amdIommu(start)] });
  const put = (address: bigint, entry: bigint) => machine.qtest.write(address, 8, entry);
  const [top, middle, last] = TABLES;
  await put(DEVICES + 32n * DEVFN, VALID | TRANSLATED | level(3) | top | READ | WRITE);
  await put(top + 8n * ((IOVA >> 30n) & 511n), PRESENT | level(2) | middle | READ | WRITE);
  await put(middle + 8n * ((IOVA >> 21n) & 511n), PRESENT | level(1) | last | READ | WRITE);
  const pages = [
    ringBase(0) | READ | WRITE,
    SOURCE | READ,
    (SOURCE + PAGE) | WRITE,
    (SOURCE + 2n * PAGE) | READ | WRITE,
  ];
  for (const [i, page] of pages.entries()) await put(last + 8n * BigInt(i), PRESENT | page);
  await put(REGISTERS, DEVICES);
  // Told that the entry changed, as the specification wants it: later series look at it only then.
  await put(COMMAND_BASE, COMMANDS | (8n << 56n));
  await put(COMMANDS, INVALIDATE_DEVICE_ENTRY | DEVFN);
  await put(COMMANDS + 8n, 0n);
  await put(CONTROL, ENABLE | RUN_COMMANDS);
  await put(COMMAND_TAIL, 16n);
  await machine.setUpRing(0, 64, RING);
  await machine.qtest.writeBytes(SOURCE, pattern(8192));
  return machine;
}

/** Later series translate DMA only when they are asked to. */
async function amdIommu(start: () => Promise<EdgpuMachine>): Promise<string> {
  const machine = await start();
  const properties = (await machine.execute('device-list-properties', { typename: 'amd-iommu' })) as { name: string }[];
  await machine.end();
  return properties.some(({ name }) => name === 'dma-remap') ? 'amd-iommu,dma-remap=on' : 'amd-iommu';
}

const copy = (src: bigint, dst: bigint, len = PAGE): Command => ({ opcode: OP.copy, src, dst, len });

test('translated accesses reach the page that is mapped', async ({ startMachine }) => {
  const machine = await startBehindAmd(startMachine);
  await machine.run(0, [copy(READABLE, BOTH), copy(BOTH, WRITABLE)]);
  expect(await machine.fault(0)).toEqual({ kind: FAULT.none, slot: 0, address: 0n });
  const arrived = await machine.qtest.readBytes(SOURCE + PAGE, 4096);
  expect(Buffer.compare(arrived, pattern(8192).subarray(0, 4096))).toBe(0);
});

test.for([
  ['an unmapped page', copy(ABSENT, BOTH), ABSENT],
  ['reading a page that is write-only', copy(WRITABLE, BOTH), WRITABLE],
  ['writing a page that is read-only', copy(BOTH, READABLE), READABLE],
  ['the second page of an access', copy(READABLE, WRITABLE + PAGE + 1000n), ABSENT],
] as const)('%s is a fault at its first byte', async ([, command, address], { startMachine }) => {
  const machine = await startBehindAmd(startMachine);
  await machine.run(0, [command]);
  expect(await machine.fault(0)).toEqual({ kind: FAULT.iommu, slot: 0, address });
  expect(await machine.faultEvents()).toMatchObject([{ kind: 'iommu' }]);
});
