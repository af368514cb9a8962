/**
 * What page tables say about objects at each stage of their life, as the program `cache` wrote it down, and the oracle:
 * where an object is mapped for user space, the kernel's own mapping of the same memory has the same type, and
 * write-back otherwise. In sum, which needs no word of the driver's, and page by page, by the frames that the driver
 * names.
 */
import { z } from 'zod';
import { only } from './dma-witnesses.ts';
import { framesOfPages, type ObjectFrames } from '../guest/object-frames.ts';
import type { Guest } from '../guest/guest.ts';
import {
  bytesByType,
  parsePageTables,
  parsePatConfiguration,
  typeAt,
  type BytesByType,
  type MemoryType,
  type PageTables,
} from '../guest/page-tables.ts';
import { programReport } from '../programs/stress-program.ts';

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

/** A page of memory, and with which type it is mapped where. */
export interface PageTypes {
  readonly frame: bigint;
  /** Of the object's mapping for user space, where its page is expected in it. */
  readonly user?: MemoryType | undefined;
  readonly direct: MemoryType | undefined;
}

interface StageTypes {
  /** Of the objects' (at last, of the next owner's) mappings for user space. */
  readonly user: BytesByType;
  /** Of the kernel's own mapping of all memory. */
  readonly direct: BytesByType;
  /** Pages of memory that objects have. */
  readonly held: readonly PageTypes[];
  /** Those that objects had at some stage before, and have no longer. */
  readonly released: readonly PageTypes[];
  /** How many pages of objects are in VRAM. */
  readonly inVram: number;
  /** Objects came or went while the tables were read, so that these can't be held against them. */
  readonly unsteady: boolean;
}

export type CacheTypes = Readonly<Record<CacheStage, StageTypes>>;

const PAGE = 4096n;

export async function readCacheTypes(guest: Guest): Promise<CacheTypes> {
  const pat = parsePatConfiguration(await guest.run('dmesg | grep x86/PAT'));
  const read = (stage: CacheStage, kind: string): Promise<string> => guest.read(`${FOLDER}/${stage}.${kind}`);
  const views = new Map<CacheStage, View[]>();
  for (const stage of CACHE_STAGES) views.set(stage, parseViews(await read(stage, 'views')));
  // The program has another object, for checksums, that this is not about.
  const ours = new Set([...views.values()].flat().map(({ offset }) => offset));
  const types: Partial<Record<CacheStage, StageTypes>> = {};
  const known = new Set<bigint>();
  for (const stage of CACHE_STAGES) {
    const frames = await read(stage, 'frames');
    const tables = parsePageTables(await read(stage, 'tables'), pat);
    const unsteady = frames !== (await read(stage, 'frames-after'));
    const objects = framesOfPages(frames, ours);
    types[stage] = { ...stageTypes(tables, views.get(stage) ?? [], objects, known), unsteady };
  }
  return types as CacheTypes;
}

interface View {
  readonly start: bigint;
  readonly end: bigint;
  /** Of the object in the device file. */
  readonly offset: bigint;
}

/** `known` has the frames of all objects so far, and gets those of this stage. */
export function stageTypes(
  tables: PageTables,
  views: readonly View[],
  objects: ObjectFrames,
  known: Set<bigint>,
): Omit<StageTypes, 'unsteady'> {
  const direct = (frame: bigint): MemoryType | undefined => typeAt(tables.direct, tables.directBase + frame * PAGE);
  const starts = new Map(views.map(({ start, offset }) => [offset, start]));
  const held = objects.system.map(({ offset, page, frame }) => {
    const start = starts.get(offset);
    const user = start === undefined ? undefined : typeAt(tables.user, start + BigInt(page) * PAGE);
    return { frame, user, direct: direct(frame) };
  });
  const now = new Set(held.map(({ frame }) => frame));
  const released = [...known].filter((frame) => !now.has(frame)).map((frame) => ({ frame, direct: direct(frame) }));
  for (const frame of now) known.add(frame);
  return {
    user: bytesByType(tables.user, views),
    direct: bytesByType(tables.direct),
    held,
    released,
    inVram: objects.vram.length,
  };
}

/** A line for each mapping: its start and its end, and the offset of what is mapped. */
function parseViews(text: string): View[] {
  const rows = text.matchAll(/^([0-9a-f]+) ([0-9a-f]+) ([0-9a-f]+)$/gm);
  return Array.from(rows, ([, ...numbers]) => {
    const [start = 0n, end = 0n, offset = 0n] = numbers.map((number) => BigInt(`0x${number}`));
    return { start, end, offset };
  });
}

type CacheComplaint =
  | 'not-as-asked'
  | 'stale-mapping'
  | 'aliased'
  | 'not-restored'
  | 'frames-missing'
  | 'frames-kept'
  | 'page-aliased'
  | 'page-not-restored'
  | 'unsteady';

interface Asked {
  readonly type: MemoryType;
  readonly bytes: number;
}

/** What is wrong at a stage, as `stage: complaint`; empty is good. */
export function cacheComplaints(types: CacheTypes, type: MemoryType, bytes: number): string[] {
  const stages = CACHE_STAGES.filter((stage) => stage !== 'before');
  return stages.flatMap((stage) =>
    stageComplaints(stage, types[stage], types.before, { type, bytes }).map((complaint) => `${stage}: ${complaint}`),
  );
}

/** In words, for whoever has to find out why there is a complaint. */
export function describeTypes(types: CacheTypes): string {
  return CACHE_STAGES.map((stage) => {
    const { user, direct, held, released, inVram } = types[stage];
    const kinds = (pages: readonly PageTypes[]): string =>
      JSON.stringify(countBy(pages, (page) => `${page.user ?? '-'}/${page.direct ?? '-'}`));
    return `${stage}: user ${JSON.stringify(user)}, direct ${JSON.stringify(direct)}, pages held ${kinds(held)}, released ${kinds(released)}, in VRAM ${String(inVram)}`;
  }).join('\n');
}

function countBy<T>(items: readonly T[], name: (item: T) => string): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const item of items) counts[name(item)] = (counts[name(item)] ?? 0) + 1;
  return counts;
}

function stageComplaints(
  stage: CacheStage,
  types: StageTypes,
  before: StageTypes,
  { type, bytes }: Asked,
): CacheComplaint[] {
  const { user, direct, held, released, inVram, unsteady } = types;
  const special = growth(direct, before.direct);
  const pages = bytes / Number(PAGE);
  const always = {
    'page-not-restored': released.some((page) => page.direct !== 'WB'),
    unsteady,
  };
  switch (stage) {
    case 'held':
    case 'back':
    case 'returned': {
      const ours = type === 'WB' ? {} : { [type]: bytes };
      return only<CacheComplaint>({
        'not-as-asked': !same(user, { [type]: bytes }),
        aliased: !same(special, ours),
        'frames-missing': held.length !== pages,
        'page-aliased': held.some((page) => page.user !== type || page.direct !== type),
        ...always,
      });
    }
    case 'vram':
      // The mapping is of the device's own memory now; none of the kernel's is the objects' any more.
      return only<CacheComplaint>({
        'not-as-asked': !same(user, { WC: bytes }),
        'not-restored': !same(special, {}),
        'frames-missing': inVram !== pages,
        'frames-kept': held.length > 0,
        ...always,
      });
    case 'reused':
      return only<CacheComplaint>({
        'not-as-asked': !same(user, { WB: bytes }),
        'not-restored': !same(special, {}),
        'frames-kept': held.length > 0,
        ...always,
      });
    case 'before':
    case 'evicted':
    case 'swapped':
    case 'freed':
      return only<CacheComplaint>({
        'stale-mapping': !same(user, {}),
        'not-restored': !same(special, {}),
        'frames-kept': held.length + inVram > 0,
        ...always,
      });
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
