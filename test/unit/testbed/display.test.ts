import { expect, test, vi } from 'vitest';
import { endShow, kmsPixel, parsePpm, showPicture, wrongPixels } from '../../../src/testbed/device/display.ts';

function drawn(width: number, height: number, seed: number): Buffer {
  const pixels = Buffer.alloc(width * height * 3);
  for (let at = 0; at < width * height; at++) {
    pixels.writeUIntBE(kmsPixel(seed, at % width, Math.floor(at / width)), at * 3, 3);
  }
  return Buffer.concat([Buffer.from(`P6\n${String(width)} ${String(height)}\n255\n`), pixels]);
}

test('a picture is told from one with another seed, or with one pixel changed', () => {
  const picture = parsePpm(drawn(40, 30, 7));
  expect(picture).toMatchObject({ width: 40, height: 30 });
  expect(wrongPixels(picture, 7)).toBe(0);
  expect(wrongPixels(picture, 8)).toBeGreaterThan(1190);
  picture.pixels[100] = (picture.pixels[100] ?? 0) ^ 1;
  expect(wrongPixels(picture, 7)).toBe(1);
});

test('seeds have 31 bits', () => expect(kmsPixel(2 ** 31 - 1, 1279, 799)).toBeLessThan(2 ** 24));

test.for(['', 'P6\n2 2\n255\nshort', 'P5\n1 1\n255\nxxx'])('%j is no picture', (text) => {
  expect(() => parsePpm(Buffer.from(text))).toThrow('none');
});

test('a picture is shown by the driver that is named, from when the program says so', async () => {
  const said: string[] = [];
  const guest = {
    run: vi.fn((command: string) => Promise.resolve(said.push(command).toString())),
    runInBackground: vi.fn((command: string, { until }: { until: string }) => {
      said.push(`${command} until ${until}`);
      return Promise.resolve();
    }),
  };
  await showPicture(guest, { module: 'bochs', driver: 'bochs-drm' }, 7, '--lose yes');
  expect(said).toEqual(['modprobe bochs', 'edgpu-stress kms --driver bochs-drm --seed 7 --lose yes until shown']);
});

test('what the program says at its end is its last line', async () => {
  const guest = { run: vi.fn(() => Promise.resolve('shown\n{"ok":false,"mismatches":2}\n')) };
  expect(await endShow(guest)).toMatchObject({ ok: false, mismatches: 2 });
  guest.run.mockResolvedValue('edgpu-stress: there is no driver qxl\n');
  await expect(endShow(guest)).rejects.toThrow();
});
