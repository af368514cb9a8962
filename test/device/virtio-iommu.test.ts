/** Behind virtio-iommu: translated accesses arrive, refused ones are faults of kind IOMMU. */
import { expect } from 'vitest';
import { FAULT, OP, pattern, type Command } from './edgpu-command.ts';
import { DATA, ringBase, test, type EdgpuMachine } from './edgpu-machine.ts';
import { VirtioIommu } from './virtio-iommu.ts';

const SLOT = 5;
const ENDPOINT = 4 << 3;
const PAGE = 4096n;
const SOURCE = DATA + 0x40_0000n;
const IOVA = 0x12_3460_0000n;
const RING = IOVA;
const READABLE = IOVA + PAGE;
const WRITABLE = IOVA + 2n * PAGE;
const BOTH = IOVA + 3n * PAGE;
const ABSENT = IOVA + 4n * PAGE;

async function startBehindVirtio(start: (options?: object) => Promise<EdgpuMachine>): Promise<EdgpuMachine> {
  const machine = await start({ before: ['-device', `virtio-iommu-pci,addr=${SLOT}.0`] });
  const iommu = await VirtioIommu.start(machine.qtest, SLOT);
  await iommu.attach(ENDPOINT);
  await iommu.map({ iova: RING, page: ringBase(0), access: 3 });
  await iommu.map({ iova: READABLE, page: SOURCE, access: 1 });
  await iommu.map({ iova: WRITABLE, page: SOURCE + PAGE, access: 2 });
  await iommu.map({ iova: BOTH, page: SOURCE + 2n * PAGE, access: 3 });
  await machine.setUpRing(0, 64, RING);
  await machine.qtest.writeBytes(SOURCE, pattern(8192));
  return machine;
}

const copy = (src: bigint, dst: bigint, len = PAGE): Command => ({ opcode: OP.copy, src, dst, len });

test('translated accesses reach the page that is mapped', async ({ startMachine }) => {
  const machine = await startBehindVirtio(startMachine);
  await machine.run(0, [copy(READABLE, BOTH), copy(BOTH, WRITABLE)]);
  expect(await machine.fault(0)).toEqual({ kind: FAULT.none, slot: 0, address: 0n });
  const arrived = await machine.qtest.readBytes(SOURCE + PAGE, 4096);
  expect(Buffer.compare(arrived, pattern(8192).subarray(0, 4096))).toBe(0);
});

test.for([
  ['an unmapped page', copy(ABSENT, BOTH), ABSENT],
  ['reading a page that is write-only', copy(WRITABLE, BOTH), WRITABLE],
  ['writing a page that is read-only', copy(BOTH, READABLE), READABLE],
  ['the second page of an access', copy(READABLE, BOTH + 1000n), ABSENT],
] as const)('%s is a fault at its first byte', async ([, command, address], { startMachine }) => {
  const machine = await startBehindVirtio(startMachine);
  await machine.run(0, [command]);
  expect(await machine.fault(0)).toEqual({ kind: FAULT.iommu, slot: 0, address });
  expect(await machine.faultEvents()).toMatchObject([{ kind: 'iommu' }]);
});
