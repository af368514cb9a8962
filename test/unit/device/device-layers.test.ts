/** The parts of the device model call each other in one direction, in the order that rig/edgpu/edgpu.h gives. */
import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { repositoryPath } from '../../../src/config/paths.ts';

/** Each calls those before it. */
const ORDER = [
  'edgpu_xxh64.c',
  'edgpu_stats.c',
  'edgpu_dma.c',
  'edgpu_scramble.c',
  'edgpu_span.c',
  'edgpu_command.c',
  'edgpu_engine.c',
  'edgpu_removal.c',
  'edgpu_inject.c',
  'edgpu_failure.c',
  'edgpu_irq.c',
  'edgpu_display.c',
  'edgpu_power.c',
  'edgpu_mmio.c',
  'edgpu_qmp.c',
  'edgpu.c',
];
/** Only in a QEMU without the device. */
const STUBS = 'edgpu_stubs.c';

const FOLDER = repositoryPath('rig/edgpu');
const sources = readdirSync(FOLDER).filter((name) => name.endsWith('.c') && name !== STUBS);

function read(name: string): string {
  return readFileSync(`${FOLDER}/${name}`, 'utf8').replace(/\/\*[\s\S]*?\*\//g, '');
}

/** Functions and data that other files may use: what begins in the first column and is not static. */
function definitionsOf(name: string): string[] {
  const found = read(name).matchAll(/^(?!static\b|extern\b|#)[a-z][\w ]*[ *]((?:vmstate_)?edgpu_\w+)(?=\(| =)/gm);
  return Array.from(found, ([, symbol]) => symbol ?? '');
}

const home = new Map(sources.flatMap((name) => definitionsOf(name).map((symbol) => [symbol, name] as const)));

test('every source has its place in the order', () => {
  expect([...sources].sort()).toEqual([...ORDER].sort());
});

test.for(ORDER)('%s uses nothing of those after it', (name) => {
  const used = new Set(Array.from(read(name).matchAll(/\b(?:vmstate_)?edgpu_\w+/g), ([symbol]) => symbol));
  const later = [...used].filter((symbol) => ORDER.indexOf(home.get(symbol) ?? name) > ORDER.indexOf(name));
  expect(later).toEqual([]);
});

test('the order is known because definitions are found', () => {
  expect(home.get('edgpu_dma_read')).toBe('edgpu_dma.c');
  expect(home.get('edgpu_regs_ops')).toBe('edgpu_mmio.c');
  expect(home.get('vmstate_edgpu_stats')).toBe('edgpu_stats.c');
  expect(home.size).toBeGreaterThan(50);
});
