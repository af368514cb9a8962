/**
 * What page tables say about objects at each stage of their life, as the program `cache` wrote it down, and the oracle: where an
 * object is mapped for user space, the kernel's own mapping of the same memory has the same type, and write-back otherwise.
 */
import { z } from 'zod';
import { only } from './dma-witnesses.ts';
import type { Guest } from './guest.ts';
import {
  bytesByType,
  parsePageTables,
  parsePatConfiguration,
  type BytesByType,
  type MemoryType,
} from './page-tables.ts';
import { programReport, type ProgramReport } from './stress-program.ts';

const FOLDER = '/tmp/edgpu-stress-cache';

export const CACHE_STAGES = [
  'before',
  'held',
  'evicted',
  'swapped',
  'back',
  'vram',
  'returned',
  'freed',
  'reused',
] as const;
export type CacheStage = (typeof CACHE_STAGES)[number];

export const cacheReport = programReport.extend({
  bytesVerified: z.number(),
  checksumsVerified: z.number(),
});

export type CacheReport = ProgramReport & z.infer<typeof cacheReport>;

export interface StageTypes {
  /** Of the objects' (at last, of the next owner's) mappings for user space. */
  readonly user: BytesByType;
  /** Of the kernel's own mapping of all memory. */
  readonly direct: BytesByType;
}

export type CacheTypes = Readonly<Record<CacheStage, StageTypes>>;

export async function readCacheTypes(guest: Guest): Promise<CacheTypes> {
  const pat = parsePatConfiguration(await guest.run('dmesg | grep x86/PAT'));
  const types: Partial<Record<CacheStage, StageTypes>> = {};
  for (const stage of CACHE_STAGES) {
    const views = parseViews(await guest.read(`${FOLDER}/${stage}.views`));
    const tables = parsePageTables(await guest.read(`${FOLDER}/${stage}.tables`), pat);
    types[stage] = { user: bytesByType(tables.user, views), direct: bytesByType(tables.direct) };
  }
  return types as CacheTypes;
}

/** A line for each mapping: its start and its end. */
function parseViews(text: string): { start: bigint; end: bigint }[] {
  const rows = text.matchAll(/^([0-9a-f]+) ([0-9a-f]+)$/gm);
  return Array.from(rows, ([, start = '', end = '']) => ({ start: BigInt(`0x${start}`), end: BigInt(`0x${end}`) }));
}

export type CacheComplaint = 'not-as-asked' | 'stale-mapping' | 'aliased' | 'not-restored';

/** What is wrong at a stage, as `stage: complaint`; empty is good. */
export function cacheComplaints(types: CacheTypes, asked: MemoryType, bytes: number): string[] {
  const stages = CACHE_STAGES.filter((stage) => stage !== 'before');
  return stages.flatMap((stage) =>
    stageComplaints(stage, types[stage], types.before, { asked, bytes }).map((complaint) => `${stage}: ${complaint}`),
  );
}

function stageComplaints(
  stage: CacheStage,
  { user, direct }: StageTypes,
  before: StageTypes,
  { asked, bytes }: { asked: MemoryType; bytes: number },
): CacheComplaint[] {
  const special = growth(direct, before.direct);
  switch (stage) {
    case 'held':
    case 'back':
    case 'returned': {
      const ours = asked === 'WB' ? {} : { [asked]: bytes };
      return only<CacheComplaint>({ 'not-as-asked': !same(user, { [asked]: bytes }), aliased: !same(special, ours) });
    }
    case 'vram':
      // The mapping is of the device's own memory now; none of the kernel's is the objects' any more.
      return only<CacheComplaint>({ 'not-as-asked': !same(user, { WC: bytes }), 'not-restored': !same(special, {}) });
    case 'reused':
      return only<CacheComplaint>({ 'not-as-asked': !same(user, { WB: bytes }), 'not-restored': !same(special, {}) });
    case 'before':
    case 'evicted':
    case 'swapped':
    case 'freed':
      return only<CacheComplaint>({ 'stale-mapping': !same(user, {}), 'not-restored': !same(special, {}) });
  }
}

/** What is mapped with another type than write-back, and was not before. */
function growth(now: BytesByType, before: BytesByType): BytesByType {
  const types = (Object.keys({ ...now, ...before }) as MemoryType[]).filter((type) => type !== 'WB');
  return Object.fromEntries(types.map((type) => [type, (now[type] ?? 0) - (before[type] ?? 0)]));
}

function same(a: BytesByType, b: BytesByType): boolean {
  const types = Object.keys({ ...a, ...b }) as MemoryType[];
  return types.every((type) => (a[type] ?? 0) === (b[type] ?? 0));
}
