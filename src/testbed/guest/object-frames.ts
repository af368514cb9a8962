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

/** Of these objects only. */
export function framesOfPages(text: string, objects: ReadonlySet<bigint>): ObjectFrames {
  const all = stretches(text).filter(({ offset }) => objects.has(offset));
  return {
    system: all.filter(({ where }) => where === 'system').flatMap(pagesOf),
    vram: all.filter(({ where }) => where === 'vram').flatMap(pagesOf),
  };
}

function pagesOf({ offset, first, pages, frame }: Stretch): ObjectPage[] {
  return Array.from({ length: pages }, (_, index) => ({ offset, page: first + index, frame: frame + BigInt(index) }));
}
