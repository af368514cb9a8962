/** Parsers for what the guest's kernel says about its memory in /proc. */

export const PAGE_SIZE = 4096;

/** A memory zone that has pages. */
export interface Zone {
  readonly node: number;
  readonly name: string;
  readonly startAddress: number;
  /** First address behind it; spans may contain holes. */
  readonly endAddress: number;
  readonly freeBytes: number;
  /** Free memory that kswapd, once woken for it, reclaims up to: the zone's high watermark. */
  readonly highWatermarkBytes: number;
}

export function parseVmstat(text: string): ReadonlyMap<string, number> {
  const rows = text.matchAll(/^(\w+) (\d+)$/gm);
  return new Map(Array.from(rows, ([, name = '', value]) => [name, Number(value)]));
}

/** In bytes, where the kernel counts in KiB. */
export function parseMeminfo(text: string): ReadonlyMap<string, number> {
  const rows = text.matchAll(/^([^:\s]+):\s+(\d+)( kB)?$/gm);
  return new Map(Array.from(rows, ([, name = '', value, unit]) => [name, Number(value) * (unit ? 1024 : 1)]));
}

/** Bytes of one line of each node's meminfo, in their order; none if there is no such line. */
export function parseNodeMeminfo(text: string, name: string): number[] {
  const rows = text.matchAll(/^Node \d+ (\S+): +(\d+) kB$/gm);
  return Array.from(rows).flatMap(([, row, kib]) => (row === name ? [Number(kib) * 1024] : []));
}

/** Objects in use by cache, from /proc/slabinfo. */
export function parseSlabinfo(text: string): ReadonlyMap<string, number> {
  const rows = text.matchAll(/^([^\s#]\S*) +(\d+) +\d+ +\d+ +\d+ +\d+ : tunables/gm);
  return new Map(Array.from(rows, ([, name = '', active]) => [name, Number(active)]));
}

/** Bytes in use by the function that asked for them, from /proc/vmallocinfo: of pages, not of what is only mapped. */
export function parseVmallocinfo(text: string): ReadonlyMap<string, number> {
  const bytes = new Map<string, number>();
  for (const [, caller = '', pages] of text.matchAll(/^0x\S+ +\d+ ([^\s+]+)\S* .*\bpages=(\d+) vmalloc\b/gm)) {
    bytes.set(caller, (bytes.get(caller) ?? 0) + Number(pages) * PAGE_SIZE);
  }
  return bytes;
}

export function parseZoneInfo(text: string): Zone[] {
  return text
    .split(/^(?=Node \d+, zone)/m)
    .map(parseZone)
    .filter((zone) => zone !== undefined);
}

function parseZone(text: string): Zone | undefined {
  const [, node, name] = /^Node (\d+), zone +(\S+)/.exec(text) ?? [];
  const pages = (label: string): number => Number(new RegExp(`^ *${label}:? +(\\d+)$`, 'm').exec(text)?.[1] ?? 0);
  if (node === undefined || name === undefined || pages('present') === 0) return undefined;
  const start = pages('start_pfn');
  return {
    node: Number(node),
    name,
    startAddress: start * PAGE_SIZE,
    endAddress: (start + pages('spanned')) * PAGE_SIZE,
    freeBytes: pages('pages free') * PAGE_SIZE,
    highWatermarkBytes: pages('high') * PAGE_SIZE,
  };
}

/** System RAM, as /proc/iomem has it. */
export interface RamRange {
  readonly start: number;
  /** First address behind it. */
  readonly end: number;
}

export function parseRamRanges(iomem: string): RamRange[] {
  const rows = iomem.matchAll(/^([0-9a-f]+)-([0-9a-f]+) : System RAM/gm);
  return Array.from(rows, ([, start = '', last = '']) => ({
    start: Number.parseInt(start, 16),
    end: Number.parseInt(last, 16) + 1,
  }));
}

/**
 * Free memory that a device with such addresses reaches: all in zones below the limit; at the least, in one that
 * straddles it.
 */
export function reachableFreeBytes(zones: readonly Zone[], dmaBits: number, ram: readonly RamRange[] = []): number {
  const limit = 2 ** dmaBits;
  return zones.reduce((sum, zone) => {
    if (zone.endAddress <= limit) return sum + zone.freeBytes;
    if (ram.length === 0 || zone.startAddress >= limit) return sum;
    // All that is above the limit may be free.
    return sum + Math.max(0, zone.freeBytes - bytesBetween(ram, limit, zone.endAddress));
  }, 0);
}

function bytesBetween(ram: readonly RamRange[], start: number, end: number): number {
  const overlaps = ram.map((range) => Math.min(range.end, end) - Math.max(range.start, start));
  return overlaps.reduce((sum, bytes) => sum + Math.max(0, bytes), 0);
}

/** Free memory in zones that do not. */
export function unreachableFreeBytes(zones: readonly Zone[], dmaBits: number): number {
  return zones.reduce((sum, zone) => sum + zone.freeBytes, 0) - reachableFreeBytes(zones, dmaBits);
}

/** Is there RAM, free or not, that a device with such addresses can't reach? */
export function hasUnreachableRam(zones: readonly Zone[], dmaBits: number): boolean {
  return zones.some((zone) => zone.endAddress > 2 ** dmaBits);
}
