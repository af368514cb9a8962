/**
 * What the kernel shows by itself: its log on our device's display, in a buffer object that it makes when the driver is
 * loaded, with no user space open on it. The host looks at the display, and reads there what the kernel has said on its
 * serial port; under memory pressure, over a sleep, a reset and a change of drivers, and when the kernel has panicked.
 */
import { describe, expect, vi } from 'vitest';
import { endShow, showPicture, takePicture, withoutTop, wrongPixels, type Picture } from '../testbed/device/display.ts';
import type { Gpu } from '../testbed/device/gpu.ts';
import { ALPHABET_LINES, asRows, CELL, ScreenReader } from '../testbed/device/screen-text.ts';
import { testedCases } from '../plan/tested-cases.ts';
import { test, type Vm } from '../testbed/fixtures.ts';
import type { Guest } from '../testbed/guest/guest.ts';
import { randomNumbers } from '../util/random.ts';

test.override({ machine: 'desk', dmaBits: 32, stateless: true });

const MIB = 2 ** 20;
/** There are 512 MiB that 32 bits reach. */
const HOG = 640 * MIB;
const [WIDTH, HEIGHT] = [1024, 768] as const;
const COLUMNS = WIDTH / CELL.width;
const FRAME = WIDTH * HEIGHT * 4;
const PAGE = 4096;
const ENTRY = 16;
/** The screen is printed by a thread of its own, after the serial port or before it. */
const LAG = { timeout: 20_000, interval: 300 };
const EDGPU = { module: 'edgpu', driver: 'edgpu' };
const PCI = '/sys/class/drm/card0/device';

/** Lines that nobody else says. */
function randomLines(seed: number, count: number): string[] {
  const random = randomNumbers(seed);
  const word = (): string =>
    Array.from({ length: 60 }, () => String.fromCharCode(33 + Math.floor(random() * 94))).join('');
  return Array.from({ length: count }, word);
}

async function say(guest: Guest, lines: readonly string[]): Promise<void> {
  const quoted = lines.map((line) => `'<6>${line.replaceAll("'", `'\\''`)}'`).join(' ');
  await guest.run(`for line in ${quoted}; do printf '%s\\n' "$line" > /dev/kmsg; done`);
}

/** Loads the driver; returns when the screen can be read. */
async function learnToRead(vm: Vm, guest: Guest, load: () => Promise<unknown>): Promise<ScreenReader> {
  await load();
  await say(guest, ALPHABET_LINES);
  return vi.waitFor(async () => {
    const reader = ScreenReader.learn(await takePicture(vm));
    if (!reader) throw new Error('The screen does not show the lines of the alphabet.');
    return reader;
  }, LAG);
}

/** Returns when the last of so many lines that the serial port got are on the screen, in their order. */
async function expectScreenSays(vm: Vm, reader: ScreenReader, lines: number): Promise<void> {
  await vm.hearKernelOut();
  const said = vm.console.tail(lines).flatMap((line) => asRows(line, COLUMNS));
  await vi.waitFor(async () => {
    expect(missing(said, reader.read(await takePicture(vm)))).toEqual([]);
  }, LAG);
}

/** The lines that are not on the screen, or not one below the other; below the last row comes the first. */
function missing(lines: readonly string[], rows: readonly string[]): string[] {
  const start = rows.indexOf(lines[0] ?? '');
  return lines.filter((line, i) => start < 0 || rows[(start + i) % rows.length] !== line);
}

async function showsLines(vm: Vm, reader: ScreenReader, lines: readonly string[]): Promise<number> {
  const rows = reader.read(await takePicture(vm));
  return lines.filter((line) => rows.some((row) => row.endsWith(line))).length;
}

async function expectLines(vm: Vm, reader: ScreenReader, lines: readonly string[]): Promise<void> {
  await vi.waitFor(async () => {
    expect(await showsLines(vm, reader, lines)).toBe(lines.length);
  }, LAG);
}

const CGROUPS = '/sys/fs/cgroup';
const PRESSED = `${CGROUPS}/pressed`;
const confine = [
  `{ grep -q " ${CGROUPS} " /proc/mounts || mount -t cgroup2 none ${CGROUPS}; }`,
  `echo +cpuset > ${CGROUPS}/cgroup.subtree_control`,
  `mkdir -p ${PRESSED}`,
  `echo 0 > ${PRESSED}/cpuset.mems`,
].join(' && ');

interface Talk {
  readonly vm: Vm;
  readonly guest: Guest;
  readonly reader: ScreenReader;
  readonly seed: number;
  readonly count: number;
}

/** The lines that were said, once all of them are on the screen. */
async function sayAndSee({ vm, guest, reader, seed, count }: Talk): Promise<readonly string[]> {
  const lines = randomLines(seed, count);
  await say(guest, lines);
  await expectLines(vm, reader, lines);
  return lines;
}

/** A program wants more than there is of the memory that 32 bits reach, and gets it, as all else there is swapped. */
async function pressMemory(guest: Guest): Promise<void> {
  await guest.run(confine);
  const hog = `edgpu-stress hog --bytes ${String(HOG)} --seed 1 --use once`;
  await guest.runInBackground(`sh -c 'echo $$ > ${PRESSED}/cgroup.procs && exec ${hog}'`, { until: 'holding' });
  await guest.killAll('hog');
}

async function whatWasRead(gpu: Gpu): Promise<{ frames: number; bytes: number; highest: number; faults: number }> {
  const all = await gpu.statistics();
  return { frames: all.frames, bytes: all['dma-read-bytes'], highest: all['max-dma-address'], faults: all.faults };
}

describe.for(testedCases([32, 40, 48], (dmaBits) => dmaBits === 40))('dma-bits %i', { concurrent: true }, (dmaBits) => {
  test.override({ dmaBits });

  test('the screen says what the serial port says, with no user space', async ({ vm, guest, gpu, seed }) => {
    const reader = await learnToRead(vm, guest, () => gpu.load({ backend: 'shmem' }));
    await say(guest, randomLines(seed, 12));
    await expectScreenSays(vm, reader, 10);
    // Nobody has the device open.
    expect((await guest.run('cat /sys/kernel/debug/dri/0/clients')).trim().split('\n')).toHaveLength(1);
    await gpu.resetStatistics();
    for (let looks = 0; looks < 3; looks++) await takePicture(vm);
    const { frames, bytes, highest, faults } = await whatWasRead(gpu);
    expect([frames, bytes, faults]).toEqual([3, 3 * (FRAME + (FRAME / PAGE) * ENTRY), 0]);
    expect(highest).toBeLessThan(2 ** dmaBits);
  });
});

describe('console', { concurrent: true }, () => {
  test('the driver goes and comes back, and the screen with it', async ({ vm, guest, gpu, seed }) => {
    const reader = await learnToRead(vm, guest, () => gpu.load({ backend: 'shmem' }));
    await gpu.unload();
    // Nobody shows anything.
    expect((await takePicture(vm)).pixels.every((byte) => byte === 0)).toBe(true);
    await gpu.load({ backend: 'shmem' });
    await say(guest, randomLines(seed, 4));
    await expectScreenSays(vm, reader, 4);
    expect(gpu.faultEvents()).toEqual([]);
  });

  test('a program takes the display over, and the log comes back after it', async ({ vm, guest, gpu, seed }) => {
    const reader = await learnToRead(vm, guest, () => gpu.load({ backend: 'shmem' }));
    await showPicture(guest, EDGPU, seed);
    const picture = await takePicture(vm);
    expect([picture.width, picture.height]).toEqual([WIDTH, HEIGHT]);
    expect(wrongPixels(picture, seed)).toBe(0);
    expect(await endShow(guest)).toMatchObject({ ok: true, mismatches: 0 });
    await say(guest, randomLines(seed, 4));
    await expectScreenSays(vm, reader, 4);
    expect(gpu.faultEvents()).toEqual([]);
  });

  test('control: a picture out of reach is black, and a fault', async ({ vm, guest, gpu, seed }) => {
    await gpu.load({ backend: 'shmem', dmaBits: 64 });
    // From the processor whose own memory is out of reach.
    await showPicture(guest, EDGPU, seed, '', 'taskset 2 ');
    expect((await takePicture(vm)).pixels.every((byte) => byte === 0)).toBe(true);
    expect(gpu.faultEvents()).toMatchObject([{ kind: 'dma-limit' }]);
    expect(await endShow(guest)).toMatchObject({ ok: true, mismatches: 0 });
  });
});

/** What is swapped for it takes its time: not in a brief run. */
describe.for(testedCases(['under memory pressure'], () => false))('%s', { concurrent: true }, () => {
  test('the screen stays as it was, and over a reset of the device; after a sleep it is back', async ({
    vm,
    guest,
    gpu,
    seed,
    suspend,
  }) => {
    const reader = await learnToRead(vm, guest, () => gpu.load({ backend: 'shmem' }));
    const lines = await sayAndSee({ vm, guest, reader, seed, count: 8 });
    await pressMemory(guest);
    expect(await showsLines(vm, reader, lines)).toBe(8);
    await guest.run(`echo 1 > ${PCI}/reset`);
    expect(await showsLines(vm, reader, lines)).toBe(8);
    expect(await suspend('s3')).not.toHaveProperty('refusal');
    await say(guest, randomLines(seed + 1, 4));
    await expectScreenSays(vm, reader, 4);
    expect(gpu.faultEvents()).toEqual([]);
  });

  test('control: what is not pinned while it is shown breaks', async ({ vm, guest, gpu, seed }) => {
    const load = () => guest.run('modprobe edgpu scanout_unpinned=1');
    const reader = await learnToRead(vm, guest, load);
    const lines = await sayAndSee({ vm, guest, reader, seed, count: 8 });
    await pressMemory(guest);
    expect(await showsLines(vm, reader, lines)).toBeLessThan(8);
    expect(gpu.faultEvents()).toEqual([]);
  });
});

/** Each boots a machine of its own, or two. */
describe.for(testedCases(['from start to end'], () => false))('%s', { concurrent: true }, () => {
  test.override({ stateless: false });

  test('hibernation: what the display showed before, it shows of another QEMU', async ({
    vm,
    guest,
    gpu,
    seed,
    suspend,
  }) => {
    const reader = await learnToRead(vm, guest, () => gpu.load({ backend: 'shmem' }));
    const lines = await sayAndSee({ vm, guest, reader, seed, count: 4 });
    // The log, of which there is a lot on the way, is not drawn meanwhile.
    await showPicture(guest, EDGPU, seed);
    const { pid } = vm;
    expect(await suspend('s4')).not.toHaveProperty('refusal');
    expect(vm.pid).not.toBe(pid);
    expect(wrongPixels(await takePicture(vm), seed)).toBe(0);
    expect(await endShow(guest)).toMatchObject({ ok: true, mismatches: 0 });
    expect(await showsLines(vm, reader, lines)).toBe(4);
    await say(guest, randomLines(seed + 1, 4));
    await expectScreenSays(vm, reader, 4);
    expect(gpu.faultEvents()).toEqual([]);
  });
});

describe.for(testedCases(['from start to end'], () => false))('%s', { concurrent: true }, () => {
  // The driver is a module: some program has to load it.
  const kernelArgs = ['rdinit=/bin/sh', '--', '-c', '"modprobe edgpu; exec /init"'];
  test.override({ stateless: false, kernelArgs });

  test('PID 1 first loads the driver: what the kernel had said by then is on the screen, from the first line on', async ({
    vm,
    guest,
    gpu,
  }) => {
    const reader = await learnToRead(vm, guest, () => Promise.resolve());
    const [, userSpace] = /^.*?\[ *([\d.]+)\].* Run \/bin\/sh as init process$/m.exec(await guest.run('dmesg')) ?? [];
    const time = (line: string): number => Number(/\[ *([\d.]+)\]/.exec(line)?.[1]);
    const before = vm.console.tail(1000).filter((line) => time(line) < Number(userSpace));
    expect(before[0]).toContain('Linux version');
    expect(before.length).toBeGreaterThan(5);
    const said = before.flatMap((line) => asRows(line, COLUMNS));
    expect(reader.read(await takePicture(vm)).slice(0, said.length)).toEqual(said);
    expect(gpu.faultEvents()).toEqual([]);
  });
});

/** Crashes the kernel, and returns what the display shows then. */
async function crash(vm: Vm, guest: Guest): Promise<Picture> {
  const failure = await guest.exec('echo c > /proc/sysrq-trigger; sleep 100').catch((error: unknown) => error);
  expect(failure).toMatchObject({ failureClass: 'kernel' });
  return takePicture(vm);
}

/**
 * What the serial port got, from this line on up to what the kernel says when the screen has been drawn. There, levels
 * are not shown.
 */
function lastWords(vm: Vm, first: string): string[] {
  const heard = vm.console.tail(100);
  const start = heard.findIndex((line) => line.endsWith(first));
  const end = heard.findIndex((line) => line.includes('---[ end Kernel panic'));
  return heard.slice(start, end).flatMap((line) => asRows(line.replace(/^<\d+>/, ''), COLUMNS));
}

describe('panic', { concurrent: true }, () => {
  test.override({ provokes: ['panic'] });

  test('the panic screen says what the serial port says, up to the end', async ({ vm, guest, gpu, seed }) => {
    const reader = await learnToRead(vm, guest, () => gpu.load({ backend: 'shmem' }));
    const lines = await sayAndSee({ vm, guest, reader, seed, count: 3 });
    // With a line break it would be refused.
    await guest.run('printf kmsg > /sys/module/drm/parameters/panic_screen');
    const rows = reader.read(await crash(vm, guest));
    const said = lastWords(vm, lines[0] ?? '').slice(-rows.length);
    expect(said.join('\n')).toMatch(/Kernel panic - not syncing: sysrq triggered crash/);
    expect(rows.slice(-said.length)).toEqual(said);
    expect(gpu.faultEvents()).toEqual([]);
  });

  test('control: the panic screen that has no log says what it has to say', async ({ vm, guest, gpu, seed }) => {
    const reader = await learnToRead(vm, guest, () => gpu.load({ backend: 'shmem' }));
    const lines = await sayAndSee({ vm, guest, reader, seed, count: 3 });
    await guest.run('printf user > /sys/module/drm/parameters/panic_screen');
    const picture = await crash(vm, guest);
    expect(reader.read(picture).join('\n')).not.toMatch(/Kernel panic|Trigger a crash/);
    // It is in the middle of the screen, half a row below the others.
    const rows = reader.read(withoutTop(picture, CELL.height / 2)).map((row) => row.trim());
    expect(rows).toContain('Please reboot your computer.');
    expect(rows.filter((row) => lines.some((line) => row.endsWith(line)))).toEqual([]);
  });
});
