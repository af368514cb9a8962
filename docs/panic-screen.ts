/**
 * Makes panic-screen.png: `npm run screenshot`. It runs the test of the suite "console" that crashes the kernel, and
 * takes what the display showed then, one bit a pixel: dark on light, where the screen itself is light on dark.
 */
import { execa } from 'execa';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { crc32, deflateSync } from 'node:zlib';
import { runReport } from '../src/report/run-report.ts';
import { parsePpm, type Picture } from '../src/testbed/device/display.ts';

const ROOT = path.resolve(import.meta.dirname, '..');
const TEST = 'the panic screen says what the serial port says';
const PAPER = [0xff, 0xff, 0xff];
const INK = [0x1f, 0x23, 0x28];

/** Of a colour for what is black, and one for all that is not. */
function png({ width, height, pixels }: Picture): Buffer {
  const rowBytes = 1 + Math.ceil(width / 8);
  const rows = Buffer.alloc(rowBytes * height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const at = y * rowBytes + 1 + (x >> 3);
      if (pixels.readUIntBE((y * width + x) * 3, 3) !== 0) rows[at] = (rows[at] ?? 0) | (0x80 >> (x & 7));
    }
  }
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  const [bits, ofPalette] = [1, 3];
  header.set([bits, ofPalette], 8);
  return Buffer.concat([
    Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'),
    chunk('IHDR', header),
    chunk('PLTE', Buffer.from([...PAPER, ...INK])),
    chunk('IDAT', deflateSync(rows, { level: 9 })),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

function chunk(name: string, data: Buffer): Buffer {
  const [length, body, sum] = [Buffer.alloc(4), Buffer.concat([Buffer.from(name, 'latin1'), data]), Buffer.alloc(4)];
  length.writeUInt32BE(data.length);
  sum.writeUInt32BE(crc32(body));
  return Buffer.concat([length, body, sum]);
}

const folder = await mkdtemp(path.join(tmpdir(), 'screenshot-'));
try {
  const json = path.join(folder, 'run.json');
  const options = ['--filter', TEST, '--keep', '--json', json];
  await execa('./dgpu-rig', ['run', 'console', ...options], { cwd: ROOT, stdio: 'inherit' });
  const { results } = runReport.parse(JSON.parse(await readFile(json, 'utf8')));
  const artifacts = results[0]?.artifacts;
  if (artifacts === undefined) throw new Error(`No test is called "${TEST}" any more.`);
  const picture = parsePpm(await readFile(path.join(artifacts, 'screen.ppm')));
  await writeFile(path.join(ROOT, 'docs/panic-screen.png'), png(picture));
} finally {
  await rm(folder, { recursive: true });
}
