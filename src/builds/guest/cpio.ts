/** Writes newc cpio archives, the form of an initramfs. No root is needed: a device node is only a header. */

export type CpioEntry =
  | { readonly kind: 'dir'; readonly path: string; readonly mode?: number }
  | { readonly kind: 'file'; readonly path: string; readonly data: Buffer; readonly mode?: number }
  | { readonly kind: 'link'; readonly path: string; readonly target: string }
  | {
      readonly kind: 'char';
      readonly path: string;
      readonly major: number;
      readonly minor: number;
      readonly mode?: number;
    };

const FILE_TYPE = { dir: 0o040000, file: 0o100000, link: 0o120000, char: 0o020000 } as const;
const DEFAULT_MODE = { dir: 0o755, file: 0o644, link: 0o777, char: 0o600 } as const;

/** The kernel takes further archives after this one when they start on a multiple of four; tar and cpio pad to 512. */
const BLOCK = 512;

/**
 * The archive's bytes depend on the entries only: no times, no owners but root. A folder must precede what is in it.
 */
export function writeCpio(entries: readonly CpioEntry[]): Buffer {
  const records = entries.map((entry, index) => writeEntry(entry, index + 1));
  const trailer = writeRecord({ inode: 0, path: 'TRAILER!!!', mode: 0, data: Buffer.alloc(0), links: 1 });
  return padTo(Buffer.concat([...records, trailer]), BLOCK);
}

function writeEntry(entry: CpioEntry, inode: number): Buffer {
  const permissions = ('mode' in entry ? entry.mode : undefined) ?? DEFAULT_MODE[entry.kind];
  return writeRecord({
    inode,
    path: entry.path,
    mode: FILE_TYPE[entry.kind] | permissions,
    data: contentOf(entry),
    links: entry.kind === 'dir' ? 2 : 1,
    ...(entry.kind === 'char' ? { device: [entry.major, entry.minor] as const } : {}),
  });
}

function contentOf(entry: CpioEntry): Buffer {
  if (entry.kind === 'file') return entry.data;
  return entry.kind === 'link' ? Buffer.from(entry.target) : Buffer.alloc(0);
}

interface Header {
  readonly inode: number;
  readonly path: string;
  readonly mode: number;
  readonly data: Buffer;
  readonly links: number;
  readonly device?: readonly [number, number];
}

/** Magic, thirteen numbers of eight hexadecimal digits, name, content; name and content end on a multiple of four. */
function writeRecord({ inode, path, mode, data, links, device = [0, 0] }: Header): Buffer {
  const name = Buffer.from(`${path}\0`);
  const owner = [0, 0];
  const time = 0;
  const ownDevice = [0, 0];
  const checksum = 0;
  const fields = [inode, mode, ...owner, links, time, data.length, ...ownDevice, ...device, name.length, checksum];
  const numbers = fields.map((field) => field.toString(16).padStart(8, '0')).join('');
  return Buffer.concat([padTo(Buffer.concat([Buffer.from(`070701${numbers}`), name]), 4), padTo(data, 4)]);
}

/** `bytes` with zeros up to a multiple of `unit`. */
export function padTo(bytes: Buffer, unit: number): Buffer {
  return Buffer.concat([bytes, Buffer.alloc((unit - (bytes.length % unit)) % unit)]);
}
