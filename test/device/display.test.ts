/** The display: which bytes of system memory a picture is made of, when they are read, and what stops that. */
import { readFile } from 'node:fs/promises';
import { describe, expect } from 'vitest';
import { encodeScatterList, FAULT, pattern } from '../../src/device/edgpu-command.ts';
import { edgpu } from '../../src/device/edgpu-constants.ts';
import { DATA, RAM, test, type EdgpuMachine } from '../../src/device/edgpu-machine.ts';
import { PCI_COMMAND_MEMORY } from '../../src/device/qtest.ts';
import { parsePpm, type Picture } from '../../src/testbed/device/display.ts';
import { INTEL_IOMMU } from './intel-iommu.ts';
import { load, save, tryToLoad } from './streams.ts';

const WIDTH = 40;
const HEIGHT = 20;
const LINE = WIDTH * 4;
const SIZE = LINE * HEIGHT;
/** Where the lists are. */
const LIST = DATA;
const FRAME = DATA + 0x1_0000n;
const IOVA = 0x12_3460_0000n;
const WITH_DISPLAY = { device: 'display=on' };

interface Frame {
  readonly base?: bigint;
  readonly nents?: number;
  readonly width?: number;
  readonly height?: number;
  readonly stride?: number;
}

async function show(machine: EdgpuMachine, frame: Frame = {}): Promise<void> {
  const { base = FRAME, nents = 0, width = WIDTH, height = HEIGHT, stride = LINE } = frame;
  await machine.writeDisplay('WIDTH', BigInt(width));
  await machine.writeDisplay('HEIGHT', BigInt(height));
  await machine.writeDisplay('STRIDE', BigInt(stride));
  await machine.writeDisplay('NENTS', BigInt(nents));
  await machine.writeDisplay('BASE', base, 8);
  await machine.writeDisplay('CONTROL', BigInt(edgpu('DISP_ENABLE')));
}

async function look(machine: EdgpuMachine, folder: string): Promise<Picture> {
  const filename = `${folder}/screen.ppm`;
  await machine.execute('screendump', { filename });
  return parsePpm(await readFile(filename));
}

/** As the display turns lines of 4 bytes a pixel into one of red, green and blue. */
function pictureOf(bytes: Uint8Array, { width = WIDTH, height = HEIGHT, stride = LINE }: Frame = {}): Buffer {
  const pixels = Buffer.alloc(width * height * 3);
  const from = Buffer.from(bytes);
  for (let y = 0, to = 0; y < height; y++) {
    for (let x = 0; x < width; x++, to += 3) {
      pixels.writeUIntBE(from.readUIntLE(y * stride + x * 4, 3), to, 3);
    }
  }
  return pixels;
}

async function expectPicture(
  machine: EdgpuMachine,
  folder: string,
  bytes: Uint8Array,
  frame: Frame = {},
): Promise<void> {
  const picture = await look(machine, folder);
  expect([picture.width, picture.height]).toEqual([frame.width ?? WIDTH, frame.height ?? HEIGHT]);
  expect(picture.pixels.equals(pictureOf(bytes, frame))).toBe(true);
}

async function expectBlack(machine: EdgpuMachine, folder: string): Promise<void> {
  const { pixels } = await look(machine, folder);
  expect(pixels.length).toBeGreaterThan(0);
  expect(pixels.equals(Buffer.alloc(pixels.length))).toBe(true);
}

async function fault(machine: EdgpuMachine): Promise<{ kind: number; address: bigint; count: bigint }> {
  return {
    kind: Number(await machine.readDisplay('FAULT_KIND')),
    address: await machine.readDisplay('FAULT_ADDR', 8),
    count: await machine.readDisplay('FAULT_COUNT'),
  };
}

describe('a frame', () => {
  test('in one piece is read when somebody looks, each time anew', async ({ startMachine, folder }) => {
    const machine = await startMachine(WITH_DISPLAY);
    const bytes = pattern(SIZE);
    await machine.qtest.writeBytes(FRAME, bytes);
    await show(machine);
    await machine.qtest.stepClock(1_000_000_000);
    expect(await machine.monitor.statistics()).toMatchObject({ frames: 0, 'dma-read-bytes': 0 });
    await expectPicture(machine, folder, bytes);
    bytes.fill(0xab, 77, 770);
    await machine.qtest.writeBytes(FRAME, bytes);
    await expectPicture(machine, folder, bytes);
    expect(await machine.monitor.statistics()).toMatchObject({
      frames: 2,
      'dma-read-bytes': 2 * SIZE,
      'max-dma-address': Number(FRAME) + SIZE - 1,
    });
  });

  test('in pieces is read as its list says, to the last pixel and not beyond', async ({ startMachine, folder }) => {
    const machine = await startMachine({ device: 'display=on,dma-bits=49' });
    const stride = LINE + 12;
    const size = stride * (HEIGHT - 1) + LINE;
    const bytes = pattern(size);
    const places = [
      [RAM.top.base, 1001],
      [FRAME, 2],
      [RAM.oneTiB.base + 3n, size - 1003],
    ] as const;
    let from = 0;
    for (const [address, len] of places) {
      await machine.qtest.writeBytes(address, bytes.subarray(from, from + len));
      from += len;
    }
    const list = encodeScatterList(places.map(([addr, len]) => ({ addr, len: BigInt(len) })));
    await machine.qtest.writeBytes(LIST, list);
    const frame = { base: LIST, nents: places.length, stride };
    await show(machine, frame);
    await expectPicture(machine, folder, bytes, frame);
    expect(await machine.monitor.statistics()).toMatchObject({
      frames: 1,
      'dma-read-bytes': size + list.length,
      'dma-accesses': 4,
      'dma-above-256t': 1,
    });
  });

  test('is another one from the write to CONTROL on, and not before', async ({ startMachine, folder }) => {
    const machine = await startMachine(WITH_DISPLAY);
    const bytes = pattern(2 * SIZE);
    await machine.qtest.writeBytes(FRAME, bytes);
    await show(machine);
    await machine.writeDisplay('BASE', FRAME + BigInt(SIZE), 8);
    await machine.writeDisplay('WIDTH', 4n);
    await machine.writeDisplay('NENTS', 3n);
    await expectPicture(machine, folder, bytes);
    await show(machine, { base: FRAME + BigInt(SIZE) });
    await expectPicture(machine, folder, bytes.subarray(SIZE));
    await machine.writeDisplay('CONTROL', 0n);
    await expectBlack(machine, folder);
  });

  test.for([
    ['no width', { width: 0 }],
    ['no height', { height: 0 }],
    ['too many pixels in a line', { width: 4097, stride: 0x4000 }],
    ['too many lines', { height: 4097 }],
    ['lines that overlap', { stride: LINE - 4 }],
    ['lines that are no whole pixels', { stride: LINE + 2 }],
    ['lines that are too long', { stride: 0x4004 }],
    ['too many pieces', { nents: 65537 }],
  ] as const)('with %s is a guest error, and turns the display off', async ([, frame], { startMachine, folder }) => {
    const log = `${folder}/guest-errors`;
    const machine = await startMachine({ ...WITH_DISPLAY, extra: ['-d', 'guest_errors', '-D', log] });
    await show(machine);
    await show(machine, frame);
    expect(await machine.readDisplay('CONTROL')).toBe(0n);
    await expectBlack(machine, folder);
    expect(await fault(machine)).toEqual({ kind: 0, address: 0n, count: 0n });
    await machine.end();
    expect(await readFile(log, 'utf8')).toMatch(/^edgpu: there can't be a frame of .*\n$/);
  });

  test('may be as large as can be', async ({ startMachine, folder }) => {
    const machine = await startMachine(WITH_DISPLAY);
    const frame = { base: RAM.low.base, width: 4096, height: 4096, stride: 0x4000 };
    await show(machine, frame);
    expect(await look(machine, folder)).toMatchObject({ width: 4096, height: 4096 });
    expect(await machine.statistic('dma-read-bytes')).toBe(64 << 20);
  });
});

describe('a frame that may not be read', () => {
  test.for([
    ['beyond the limit', { base: (1n << 40n) - 8n }, FAULT.dmaLimit, 1n << 40n],
    ['whose list is beyond the limit', { base: RAM.oneTiB.base, nents: 1 }, FAULT.dmaLimit, RAM.oneTiB.base],
    ['where no memory is', { base: 0x7000_0000n }, FAULT.dmaHole, 0x7000_0000n],
  ] as const)(
    '%s is black, and a fault until CONTROL is written',
    async ([, frame, kind, address], { startMachine, folder }) => {
      const machine = await startMachine(WITH_DISPLAY);
      await show(machine, frame);
      expect(await fault(machine)).toEqual({ kind: 0, address: 0n, count: 0n });
      for (let looks = 0; looks < 3; looks++) await expectBlack(machine, folder);
      expect(await fault(machine)).toEqual({ kind, address, count: 1n });
      expect(await machine.faultEvents()).toMatchObject([{ display: true, address: Number(address) }]);
      expect((await machine.faultEvents())[0]).not.toHaveProperty('engine');
      expect(await machine.monitor.statistics()).toMatchObject({ faults: 1, frames: 0, 'dma-read-bytes': 0 });
      expect(await machine.readRegister('IRQ_STATUS')).toBe(0n);
      await show(machine);
      expect(await fault(machine)).toEqual({ kind: 0, address: 0n, count: 1n });
      await expectPicture(machine, folder, new Uint8Array(SIZE));
    },
  );

  test.for([
    ['ends too early', [[FRAME, SIZE - 1]], FAULT.badCommand, LIST],
    [
      'has an empty piece',
      [
        [FRAME, SIZE],
        [FRAME, 0],
      ],
      FAULT.badCommand,
      LIST + 16n,
    ],
    [
      'has a piece beyond the limit',
      [
        [FRAME, 64],
        [1n << 40n, SIZE - 64],
      ],
      FAULT.dmaLimit,
      1n << 40n,
    ],
  ] as const)(
    'since its list %s is not read in part either',
    async ([, places, kind, address], { startMachine, folder }) => {
      const machine = await startMachine(WITH_DISPLAY);
      const list = encodeScatterList(places.map(([addr, len]) => ({ addr, len: BigInt(len) })));
      await machine.qtest.writeBytes(LIST, list);
      await show(machine, { base: LIST, nents: places.length });
      await expectBlack(machine, folder);
      expect(await fault(machine)).toEqual({ kind, address, count: 1n });
      expect(await machine.statistic('dma-read-bytes')).toBe(list.length);
    },
  );

  test('is found where the limit, or bus mastering, has changed since', async ({ startMachine, folder }) => {
    const machine = await startMachine(WITH_DISPLAY);
    await show(machine);
    await expectPicture(machine, folder, new Uint8Array(SIZE));
    await machine.set('dma-bits', 20);
    await expectBlack(machine, folder);
    expect(await fault(machine)).toMatchObject({ kind: FAULT.dmaLimit, address: FRAME });
    await machine.set('dma-bits', 40);
    await show(machine);
    await machine.pci.setCommand(PCI_COMMAND_MEMORY);
    await expectBlack(machine, folder);
    expect(await fault(machine)).toMatchObject({ kind: FAULT.busMaster, address: FRAME, count: 2n });
  });

  test('for the vIOMMU refuses it, and is read where it is mapped', async ({ startMachine, folder }) => {
    const before = ['-device', await INTEL_IOMMU.option(startMachine)];
    const machine = await startMachine({ ...WITH_DISPLAY, before });
    await machine.qtest.writeBytes(FRAME, pattern(SIZE));
    const pages = Math.ceil(SIZE / 4096);
    const mappings = Array.from({ length: pages }, (_, i) => {
      return { iova: IOVA + BigInt(i * 4096), page: FRAME + BigInt(i * 4096), access: 1 } as const;
    });
    await INTEL_IOMMU.map(machine, mappings.slice(1));
    await show(machine, { base: IOVA });
    await expectBlack(machine, folder);
    expect(await fault(machine)).toMatchObject({ kind: FAULT.iommu, address: IOVA });
    await INTEL_IOMMU.map(machine, mappings);
    await show(machine, { base: IOVA });
    await expectPicture(machine, folder, pattern(SIZE));
  });
});

const PM = 0x01;

async function setPower(machine: EdgpuMachine, state: number): Promise<void> {
  const capability = (await machine.pci.findCapability(PM)) ?? 0;
  await machine.pci.write(capability + 4, 2, state);
}

describe('the display', () => {
  test('is black before anything is shown', async ({ startMachine, folder }) => {
    const machine = await startMachine(WITH_DISPLAY);
    await expectBlack(machine, folder);
    expect(await machine.statistic('dma-accesses')).toBe(0);
  });

  test('is black in D3hot, with no fault, and off after it', async ({ startMachine, folder }) => {
    const machine = await startMachine(WITH_DISPLAY);
    await machine.qtest.writeBytes(FRAME, pattern(SIZE));
    await show(machine);
    await setPower(machine, 3);
    await expectBlack(machine, folder);
    await setPower(machine, 0);
    await machine.placeBars();
    expect(await machine.readDisplay('CONTROL')).toBe(0n);
    expect(await machine.readDisplay('BASE', 8)).toBe(0n);
    await expectBlack(machine, folder);
    expect(await machine.faultEvents()).toEqual([]);
    await show(machine);
    await expectPicture(machine, folder, pattern(SIZE));
  });

  test.for(['a reset of the machine', 'death'] as const)('is off after %s', async (what, { startMachine, folder }) => {
    const machine = await startMachine(WITH_DISPLAY);
    await machine.qtest.writeBytes(FRAME, pattern(SIZE));
    await show(machine);
    if (what === 'death') {
      await machine.monitor.inject({ kind: 'dead' });
      await expectBlack(machine, folder);
      await machine.monitor.clearFailures();
    } else {
      await machine.execute('system_reset');
      await machine.waitForEvent('RESET');
    }
    await machine.placeBars();
    expect(await machine.readDisplay('CONTROL')).toBe(0n);
    await expectBlack(machine, folder);
    expect(await machine.faultEvents()).toEqual([]);
  });

  test('goes with the device, and comes with the next', async ({ startMachine, folder }) => {
    const machine = await startMachine({ ...WITH_DISPLAY, hotPluggable: true });
    await show(machine);
    await machine.monitor.inject({ kind: 'unplug' });
    await machine.waitForEvent('DEVICE_DELETED', ({ device }) => device === 'gpu0');
    await look(machine, folder);
    await machine.execute('device_add', { driver: 'edgpu', id: 'gpu0', bus: 'port0', display: true });
    await machine.execute('screendump', { filename: `${folder}/screen.ppm`, device: 'gpu0' });
  });

  test('is not there unless it is asked for', async ({ startMachine }) => {
    const machine = await startMachine();
    expect(await machine.readRegister('DISPLAYS')).toBe(0n);
    await show(machine);
    expect(await machine.readDisplay('CONTROL')).toBe(0xffff_ffffn);
    expect(await machine.readDisplay('BASE', 8)).toBe(0xffff_ffff_ffff_ffffn);
  });

  test('is saved with its frame, its registers and its fault', async ({ startMachine, spawnMachine, folder }) => {
    const source = await startMachine(WITH_DISPLAY);
    await source.qtest.writeBytes(FRAME, pattern(SIZE));
    await show(source);
    await expectPicture(source, folder, pattern(SIZE));
    await source.writeDisplay('WIDTH', 7n);
    await save(source, `${folder}/state`);
    const incoming = ['-incoming', 'defer'];
    const target = await spawnMachine({ ...WITH_DISPLAY, extra: incoming });
    await load(target, `${folder}/state`);
    expect(await target.readDisplay('WIDTH')).toBe(7n);
    expect(await target.statistic('frames')).toBe(1);
    await expectPicture(target, folder, pattern(SIZE));
    // One without a display can't be what was saved.
    const other = await spawnMachine({ extra: incoming });
    expect(await tryToLoad(other, `${folder}/state`)).toBe('failed');

    await show(target, { base: 1n << 45n });
    await expectBlack(target, folder);
    await save(target, `${folder}/faulted`);
    const third = await spawnMachine({ ...WITH_DISPLAY, extra: incoming });
    await load(third, `${folder}/faulted`);
    expect(await fault(third)).toEqual({ kind: FAULT.dmaLimit, address: 1n << 45n, count: 1n });
    await expectBlack(third, folder);
    expect(await third.faultEvents()).toEqual([]);
  });
});
