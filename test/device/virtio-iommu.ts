/** Just enough of a driver for virtio-iommu (section 5.13 of the virtio specification) to map pages for one device. */
import { PCI_COMMAND_MASTER, PCI_COMMAND_MEMORY, PciFunction, type QtestClient } from '../../src/device/qtest.ts';
import { DEVFN, type Iommu, type Mapping } from './iommu.ts';

const BAR = 0xe020_0000n;
const VENDOR_CAPABILITY = 0x09;
const COMMON = 1;
const NOTIFY = 2;
const VERSION_1 = 1n;
const MAP_UNMAP = 4n;
const ACKNOWLEDGE_DRIVER_FEATURES_OK = [1n, 3n, 11n, 15n];
const ATTACH = 1;
const MAP = 3;
const DOMAIN = 1;
const SLOTS = 16n;

/** Where the request queue is in memory. */
const QUEUE = 0x50_0000n;
const AVAILABLE = QUEUE + 0x1000n;
const USED = QUEUE + 0x2000n;
const REQUEST = QUEUE + 0x3000n;
const TAIL = QUEUE + 0x3800n;

/** Of the IOMMU itself. */
const SLOT = 5;

export const VIRTIO_IOMMU: Iommu = {
  option: () => `virtio-iommu-pci,addr=${SLOT}.0`,
  map: async ({ qtest }, mappings) => {
    const iommu = await VirtioIommu.start(qtest, SLOT);
    await iommu.attach(DEVFN);
    for (const mapping of mappings) await iommu.map(mapping);
  },
};

class VirtioIommu {
  readonly #qtest: QtestClient;
  #common = 0n;
  #notify = 0n;
  #requests = 0;

  private constructor(qtest: QtestClient) {
    this.#qtest = qtest;
  }

  /** Brings up the one in this slot of bus 0. */
  static async start(qtest: QtestClient, slot: number): Promise<VirtioIommu> {
    const iommu = new VirtioIommu(qtest);
    await iommu.#findRegisters(new PciFunction(qtest, slot));
    await iommu.#negotiate();
    return iommu;
  }

  /** From now on this function reaches only what is mapped. */
  async attach(endpoint: number): Promise<void> {
    const request = Buffer.alloc(20);
    request.writeUInt8(ATTACH, 0);
    request.writeUInt32LE(DOMAIN, 4);
    request.writeUInt32LE(endpoint, 8);
    await this.#request(request);
  }

  async map({ iova, page, access }: Mapping): Promise<void> {
    const request = Buffer.alloc(36);
    request.writeUInt8(MAP, 0);
    request.writeUInt32LE(DOMAIN, 4);
    request.writeBigUInt64LE(iova, 8);
    request.writeBigUInt64LE(iova + 0xfffn, 16);
    request.writeBigUInt64LE(page, 24);
    request.writeUInt32LE(access, 32);
    await this.#request(request);
  }

  async #findRegisters(pci: PciFunction): Promise<void> {
    let multiplier = 0n;
    for (const offset of await pci.findCapabilities(VENDOR_CAPABILITY)) {
      const type = await pci.read(offset + 3, 1);
      const bar = await pci.read(offset + 4, 1);
      const place = BAR + BigInt(await pci.read(offset + 8, 4));
      if (type !== COMMON && type !== NOTIFY) continue;
      await pci.setBar(bar, BAR);
      if (type === COMMON) this.#common = place;
      else [this.#notify, multiplier] = [place, BigInt(await pci.read(offset + 16, 4))];
    }
    await pci.setCommand(PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    this.#notify += multiplier * (await this.#qtest.read(this.#common + 0x1en, 2));
  }

  async #negotiate(): Promise<void> {
    const put = (offset: bigint, size: 1 | 2 | 4 | 8, value: bigint) =>
      this.#qtest.write(this.#common + offset, size, value);
    const [acknowledged = 0n, driver = 0n, features = 0n, ok = 0n] = ACKNOWLEDGE_DRIVER_FEATURES_OK;
    await put(0x14n, 1, acknowledged);
    await put(0x14n, 1, driver);
    await put(0x8n, 4, 0n);
    await put(0xcn, 4, MAP_UNMAP);
    await put(0x8n, 4, 1n);
    await put(0xcn, 4, VERSION_1);
    await put(0x14n, 1, features);
    await put(0x16n, 2, 0n);
    await put(0x18n, 2, SLOTS);
    // In halves: the registers are 32 bits wide.
    for (const [offset, address] of [
      [0x20n, QUEUE],
      [0x28n, AVAILABLE],
      [0x30n, USED],
    ] as const) {
      await put(offset, 4, address & 0xffff_ffffn);
      await put(offset + 4n, 4, address >> 32n);
    }
    await put(0x1cn, 2, 1n);
    await put(0x14n, 1, ok);
  }

  async #request(request: Uint8Array): Promise<void> {
    const qtest = this.#qtest;
    await qtest.writeBytes(REQUEST, request);
    await qtest.write(TAIL, 4, 0xffn);
    await this.#describe(0n, REQUEST, request.length, { flags: 1n, next: 1n });
    await this.#describe(1n, TAIL, 4, { flags: 2n, next: 0n });
    await qtest.write(AVAILABLE + 4n + 2n * (BigInt(this.#requests) % SLOTS), 2, 0n);
    await qtest.write(AVAILABLE + 2n, 2, BigInt(++this.#requests));
    await qtest.write(this.#notify, 2, 0n);
    for (let i = 0; i < 1000 && (await qtest.read(USED + 2n, 2)) !== BigInt(this.#requests); i++);
    const status = await qtest.read(TAIL, 1);
    if (status !== 0n) throw new Error(`virtio-iommu refused request ${this.#requests}: status ${status}`);
  }

  async #describe(
    index: bigint,
    address: bigint,
    length: number,
    { flags, next }: { flags: bigint; next: bigint },
  ): Promise<void> {
    const at = QUEUE + 16n * index;
    await this.#qtest.write(at, 8, address);
    await this.#qtest.write(at + 8n, 4, BigInt(length));
    await this.#qtest.write(at + 12n, 2, flags);
    await this.#qtest.write(at + 14n, 2, next);
  }
}
