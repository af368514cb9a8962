/**
 * The program "kms", which draws a picture and shows it until it is told to stop; and what the machine's display shows,
 * as the host sees it: the witness of a display driver.
 */
import { readFile } from 'node:fs/promises';
import { RigError } from '../../util/rig-error.ts';
import type { Vm } from '../../vm/vm.ts';
import type { Guest } from '../guest/guest.ts';
import { programReport, type ProgramReport } from '../programs/stress-program.ts';

/** A driver by the name of its module, and by the name that it gives to user space. */
interface DisplayDriver {
  readonly module: string;
  readonly driver: string;
}

/**
 * Returns when the program has shown its picture. It goes on until `endShow()`. `runner` is what it is run with: a word
 * before the command, or several.
 */
export async function showPicture(
  guest: Pick<Guest, 'run' | 'runInBackground'>,
  { module, driver }: DisplayDriver,
  seed: number,
  options = '',
  runner = '',
): Promise<void> {
  await guest.run(`modprobe ${module}`);
  const command = `${runner}edgpu-stress kms --driver ${driver} --seed ${String(seed)} ${options}`.trimEnd();
  await guest.runInBackground(command, { until: 'shown' });
}

/** Stops the program, which then says whether its buffers hold what it has drawn. */
export async function endShow(guest: Pick<Guest, 'run'>): Promise<ProgramReport> {
  const said = await guest.run(
    'killall -TERM edgpu-stress; while pidof edgpu-stress; do sleep 0.1; done; cat $(ls -t /run/background-*.log | head -n 1)',
  );
  return programReport.parse(JSON.parse(said.trim().split('\n').at(-1) ?? ''));
}

export interface Picture {
  readonly width: number;
  readonly height: number;
  /** Red, green and blue of each, row by row. */
  readonly pixels: Buffer;
}

export async function takePicture(vm: Vm): Promise<Picture> {
  const filename = vm.folder.file('screen.ppm');
  await vm.screendump(filename);
  return parsePpm(await readFile(filename));
}

/** The picture below its topmost rows of pixels. */
export function withoutTop({ width, height, pixels }: Picture, rows: number): Picture {
  return { width, height: height - rows, pixels: pixels.subarray(rows * width * 3) };
}

export function parsePpm(data: Buffer): Picture {
  const header = /^P6\s+(\d+)\s+(\d+)\s+255\s/.exec(data.subarray(0, 64).toString('latin1'));
  const [width, height] = [Number(header?.[1]), Number(header?.[2])];
  const pixels = data.subarray(header?.[0].length ?? 0);
  if (!header || pixels.length !== width * height * 3) {
    throw new RigError('infrastructure', 'QEMU wrote a picture of the display that is none.');
  }
  return { width, height, pixels };
}

/** How many pixels are not those that the program "kms" draws with this seed. */
export function wrongPixels({ width, height, pixels }: Picture, seed: number): number {
  let wrong = 0;
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++, at += 3) {
      if (pixels.readUIntBE(at, 3) !== kmsPixel(seed, x, y)) wrong++;
    }
  }
  return wrong;
}

/** The same in images/stress/programs/kms.c. */
export function kmsPixel(seed: number, x: number, y: number): number {
  const value = Math.imul(seed ^ ((y << 16) | x), 2654435761);
  return (value ^ (value >>> 15)) & 0xffffff;
}

/** Until the thread has nothing more to draw: then its CPU time stays as it is. */
const DRAWN = [
  'thread=$(grep -l "^pr/drm_log" /proc/[0-9]*/comm)',
  'before=',
  'while read -r now rest < "${thread%/comm}/schedstat" && [ "$now" != "$before" ]; do before=$now; sleep 1; done',
  'test -n "$before" && echo "$before"',
].join('; ');

/**
 * Returns when all that the kernel has said is drawn on its display, with the CPU time of the thread that draws, in ns;
 * rejected if nobody draws.
 */
export async function drawnLog(guest: Guest): Promise<number> {
  return Number(await guest.run(DRAWN));
}
