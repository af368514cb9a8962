/**
 * Reads what the x86 kernel says of its page tables in /sys/kernel/debug/page_tables: which memory type each range is
 * mapped with.
 */

/** As the kernel abbreviates them: write-back, write-combining, uncached (minus: an MTRR may override it), … */
export type MemoryType = 'WB' | 'WC' | 'UC-' | 'UC' | 'WT' | 'WP';

/** A range of virtual addresses that is mapped with one type throughout. */
interface Mapping {
  readonly start: bigint;
  readonly end: bigint;
  readonly type: MemoryType;
}

export interface PageTables {
  /** Of the process that read the dump. */
  readonly user: readonly Mapping[];
  /** The kernel's own mapping of all memory. */
  readonly direct: readonly Mapping[];
  /** Where frame 0 would be in that. */
  readonly directBase: bigint;
}

export type BytesByType = Readonly<Partial<Record<MemoryType, number>>>;

const TYPES: readonly string[] = ['WB', 'WC', 'UC-', 'UC', 'WT', 'WP'] satisfies MemoryType[];
const CONFIGURATION = /x86\/PAT: Configuration \[0-7\]: +(.*\S)/;
const SECTION = /^---\[ (.*) \]---$/;
const RANGE = /^0x([0-9a-f]{16})-0x([0-9a-f]{16}) +\S+ +(?:(.*\S) +)?(?:pte|pmd|pud|p4d|pgd)$/;
const DIRECT = 'Low Kernel Mapping';
/** Where that starts is a multiple of this; the dump has its first page still in the section before. */
const DIRECT_ALIGNMENT = 2n ** 30n;

/** The type of each PAT index, from the kernel's boot messages. */
export function parsePatConfiguration(messages: string): MemoryType[] {
  const words = CONFIGURATION.exec(messages)?.[1]?.split(/ +/) ?? [];
  if (words.length === 8 && words.every(isMemoryType)) return words;
  throw new Error('The kernel did not say which memory types there are');
}

function isMemoryType(word: string): word is MemoryType {
  return TYPES.includes(word);
}

export function parsePageTables(dump: string, pat: readonly MemoryType[]): PageTables {
  const sections: Record<string, Mapping[]> = {};
  const bases: Record<string, bigint> = {};
  let section = '';
  for (const line of dump.split('\n')) {
    section = SECTION.exec(line)?.[1] ?? section;
    const start = RANGE.exec(line)?.[1];
    if (start !== undefined) bases[section] ??= BigInt(`0x${start}`);
    const mapping = parseRange(line, pat);
    if (mapping) (sections[section] ??= []).push(mapping);
  }
  const { 'User Space': user = [], [DIRECT]: direct } = sections;
  const { [DIRECT]: directBase } = bases;
  if (!direct || directBase === undefined) {
    throw new Error("The kernel's dump does not show its mapping of all memory");
  }
  return { user, direct, directBase: directBase - (directBase % DIRECT_ALIGNMENT) };
}

/** Nothing for a range where nothing is mapped, and for all other lines. */
function parseRange(line: string, pat: readonly MemoryType[]): Mapping | undefined {
  const [, start, end, flags] = RANGE.exec(line) ?? [];
  if (start === undefined || end === undefined || flags === undefined) return undefined;
  const type = pat[patIndex(flags.split(/ +/))];
  return type && { start: BigInt(`0x${start}`), end: BigInt(`0x${end}`), type };
}

function patIndex(flags: readonly string[]): number {
  return (flags.includes('PAT') ? 4 : 0) + (flags.includes('PCD') ? 2 : 0) + (flags.includes('PWT') ? 1 : 0);
}

/** How much is mapped with which type, within these ranges or at all. */
export function bytesByType(
  mappings: readonly Mapping[],
  within: readonly Omit<Mapping, 'type'>[] = [{ start: 0n, end: 1n << 64n }],
): BytesByType {
  const bytes: Partial<Record<MemoryType, number>> = {};
  for (const mapping of mappings) {
    const overlaps = within.map((range) => overlap(mapping, range));
    const size = overlaps.reduce((sum, length) => sum + length, 0);
    if (size > 0) bytes[mapping.type] = (bytes[mapping.type] ?? 0) + size;
  }
  return bytes;
}

function overlap(a: Omit<Mapping, 'type'>, b: Omit<Mapping, 'type'>): number {
  const start = a.start > b.start ? a.start : b.start;
  const end = a.end < b.end ? a.end : b.end;
  return end > start ? Number(end - start) : 0;
}

/** What a page is mapped with, if it is mapped; the mappings are in order, as dumps have them. */
export function typeAt(mappings: readonly Mapping[], address: bigint): MemoryType | undefined {
  let low = 0;
  let high = mappings.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((mappings[middle]?.end ?? 0n) > address) high = middle;
    else low = middle + 1;
  }
  const found = mappings[low];
  return found && found.start <= address ? found.type : undefined;
}
