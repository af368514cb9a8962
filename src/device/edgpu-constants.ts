/** The numbers of rig/edgpu/edgpu_regs.h, by name: the header is the only source of them. */
import { readFileSync } from 'node:fs';
import { repositoryPath } from '../config/paths.ts';

const HEADER = repositoryPath('rig/edgpu/edgpu_regs.h');

export const EDGPU_DEFINES: ReadonlyMap<string, number> = parseDefines(readFileSync(HEADER, 'utf8'));

/** The value of `EDGPU_<name>`. */
export function edgpu(name: string): number {
  const value = EDGPU_DEFINES.get(`EDGPU_${name}`);
  if (value === undefined) throw new Error(`edgpu_regs.h defines no EDGPU_${name}`);
  return value;
}

/** `#define NAME value` lines whose value is a number or EDGPU_BIT(number). */
export function parseDefines(header: string): Map<string, number> {
  const defines = header.matchAll(
    /^#define[ \t]+(\w+)[ \t]+(0x[0-9a-f]+|\d+|EDGPU_BIT\(\d+\))(?:u|ul|ull)?(?=\s|$)/gim,
  );
  return new Map(Array.from(defines, ([, name, value]) => [name ?? '', parseValue(value ?? '')]));
}

function parseValue(text: string): number {
  const bit = /^EDGPU_BIT\((\d+)\)$/.exec(text)?.[1];
  return bit === undefined ? Number(text) : 2 ** Number(bit);
}
