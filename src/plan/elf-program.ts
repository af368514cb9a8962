/** What a program needs of the machine that runs it, by its ELF header (elf(5)). */

interface ElfProgram {
  /** For x86-64, 64 bits. */
  readonly isForGuest: boolean;
  /** The loader that the kernel starts it with; a static program has none. */
  readonly interpreter: string | undefined;
  /** Names of the libraries that the loader looks for. */
  readonly libraries: readonly string[];
}

const MAGIC = Buffer.from('\x7fELF');
const CLASS_64 = 2;
const LITTLE_ENDIAN = 1;
const X86_64 = 62;
const SEGMENT = { load: 1, dynamic: 2, interpreter: 3 } as const;
const TAG = { needed: 1n, strings: 5n } as const;

interface Segment {
  readonly type: number;
  readonly offset: number;
  readonly address: bigint;
  readonly size: number;
}

/** Undefined for what is no ELF file; of one that is cut short, what there is of it. */
export function readElf(file: Buffer): ElfProgram | undefined {
  if (!file.subarray(0, MAGIC.length).equals(MAGIC) || file.length < 64) return undefined;
  const isForGuest = file[4] === CLASS_64 && file[5] === LITTLE_ENDIAN && file.readUInt16LE(18) === X86_64;
  if (!isForGuest) return { isForGuest, interpreter: undefined, libraries: [] };
  try {
    const segments = segmentsOf(file);
    const interpreter = segments.find(({ type }) => type === SEGMENT.interpreter);
    return {
      isForGuest,
      interpreter: interpreter && stringAt(file, interpreter.offset),
      libraries: librariesOf(file, segments),
    };
  } catch (error) {
    if (error instanceof RangeError) return { isForGuest, interpreter: undefined, libraries: [] };
    throw error;
  }
}

function segmentsOf(file: Buffer): Segment[] {
  const [table, size, count] = [Number(file.readBigUInt64LE(32)), file.readUInt16LE(54), file.readUInt16LE(56)];
  return Array.from({ length: count }, (_, index) => {
    const at = table + index * size;
    return {
      type: file.readUInt32LE(at),
      offset: Number(file.readBigUInt64LE(at + 8)),
      address: file.readBigUInt64LE(at + 16),
      size: Number(file.readBigUInt64LE(at + 32)),
    };
  });
}

function librariesOf(file: Buffer, segments: readonly Segment[]): string[] {
  const dynamic = segments.find(({ type }) => type === SEGMENT.dynamic);
  if (!dynamic) return [];
  const entries = Array.from({ length: Math.floor(dynamic.size / 16) }, (_, index) => {
    const at = dynamic.offset + index * 16;
    return { tag: file.readBigUInt64LE(at), value: file.readBigUInt64LE(at + 8) };
  });
  const address = entries.find(({ tag }) => tag === TAG.strings)?.value ?? 0n;
  const holds = ({ type, address: start, size }: Segment): boolean =>
    type === SEGMENT.load && address >= start && address < start + BigInt(size);
  const segment = segments.find(holds);
  if (!segment) return [];
  const strings = segment.offset + Number(address - segment.address);
  return entries.flatMap(({ tag, value }) => (tag === TAG.needed ? [stringAt(file, strings + Number(value))] : []));
}

function stringAt(file: Buffer, offset: number): string {
  const end = file.indexOf(0, offset);
  if (offset >= file.length || end < 0) throw new RangeError('The file ends within a string');
  return file.toString('utf8', offset, end);
}
