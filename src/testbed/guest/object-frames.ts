/** Where each page of each object is, as the driver says in its debugfs file `frames`. */

/** A page of an object, and the frame that it is in: of system memory, or of VRAM. */
interface ObjectPage {
  /** Of the object in the device file, which is its name here. */
  readonly offset: bigint;
  /** In the object. */
  readonly page: number;
  readonly frame: bigint;
}

export interface ObjectFrames {
  readonly system: readonly ObjectPage[];
  readonly vram: readonly ObjectPage[];
}

const LINE = /^([0-9a-f]+) (\d+) (\d+) (system|vram) ([0-9a-f]+)$/gm;

interface Stretch {
  readonly offset: bigint;
  readonly first: number;
  readonly pages: number;
  readonly where: string;
  readonly frame: bigint;
}

function stretches(text: string): Stretch[] {
  return Array.from(text.matchAll(LINE), ([, offset = '', first = '', pages = '', where = '', frame = '']) => ({
    offset: BigInt(`0x${offset}`),
    first: Number(first),
    pages: Number(pages),
    where,
    frame: BigInt(`0x${frame}`),
  }));
}

/** Of these objects only, or of all. */
export function framesOfPages(text: string, objects?: ReadonlySet<bigint>): ObjectFrames {
  const all = stretches(text).filter(({ offset }) => objects?.has(offset) ?? true);
  return {
    system: all.filter(({ where }) => where === 'system').flatMap(pagesOf),
    vram: all.filter(({ where }) => where === 'vram').flatMap(pagesOf),
  };
}

interface ObjectInVram {
  readonly pages: number;
  /** Which of them is in which frame. */
  readonly frames: readonly string[];
}

/** Of all objects that are in VRAM, by name. */
export function vramOfObjects(text: string): ReadonlyMap<bigint, ObjectInVram> {
  const objects = new Map<bigint, ObjectInVram>();
  for (const { offset, first, pages, where, frame } of stretches(text)) {
    if (where !== 'vram') continue;
    const { pages: before = 0, frames = [] } = objects.get(offset) ?? {};
    const here = `${String(first)}-${String(first + pages - 1)}: ${String(frame)}`;
    objects.set(offset, { pages: before + pages, frames: [...frames, here] });
  }
  return objects;
}

function pagesOf({ offset, first, pages, frame }: Stretch): ObjectPage[] {
  return Array.from({ length: pages }, (_, index) => ({ offset, page: first + index, frame: frame + BigInt(index) }));
}
