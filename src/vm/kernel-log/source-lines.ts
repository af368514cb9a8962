/**
 * Source lines of `function+offset/size` in a kernel image, as scripts/faddr2line finds them: with binutils, which
 * builds need anyway.
 */
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { execa } from 'execa';

const SYMBOLIC = /^(\S+)\+0x([0-9a-f]+)\/0x([0-9a-f]+)(?: \[(\w+)\])?$/;

/** Where the symbols are: of the kernel, and (if it was built with debug information) of its modules. */
interface Symbols {
  readonly vmlinux: string;
  /** A folder with unstripped modules somewhere in it. */
  readonly debugModules?: string;
}

/** `function at file:line`, the innermost inlined function first; none without debug information. */
export async function sourceLines(symbols: Symbols, where: string): Promise<string[]> {
  const [, name, offset = '', size = '', module] = SYMBOLIC.exec(where) ?? [];
  if (name === undefined) return [];
  const place =
    module === undefined
      ? await kernelPlace(symbols.vmlinux, name, parseInt(size, 16))
      : await modulePlace(symbols, module, name);
  if (place === undefined) return [];
  const address = `0x${(place.address + BigInt(`0x${offset}`)).toString(16)}`;
  const section = place.section === undefined ? [] : ['-j', place.section];
  const text = await outputOf('addr2line', ['-e', place.image, ...section, '-f', '-i', '-p', '-s', address]);
  return text
    .split('\n')
    .map((line) => line.replace(/^ ?\(inlined by\) /, '').trim())
    .filter((line) => /:\d/.test(line));
}

interface Place {
  readonly image: string;
  readonly address: bigint;
  /** A module is not linked yet: its addresses count from the beginning of this section. */
  readonly section?: string;
}

async function kernelPlace(image: string, name: string, size: number): Promise<Place | undefined> {
  const address = await symbolAddress(image, name, size);
  return address === undefined ? undefined : { image, address };
}

async function modulePlace(symbols: Symbols, module: string, name: string): Promise<Place | undefined> {
  const image = await moduleFile(symbols, module);
  if (image === undefined) return undefined;
  // Name, value, class, type, size, line and section.
  const rows = (await outputOf('nm', ['--format=sysv', image])).split('\n').map((line) => line.split('|'));
  const row = rows.find(([symbol = '', , kind = '']) => symbol.trim() === name && /[tTwW]/.test(kind));
  const [, value = '', , , , , section = ''] = row ?? [];
  return row && { image, address: BigInt(`0x${value.trim()}`), section: section.trim() };
}

/** Its file may have a dash where its name has an underscore. */
async function moduleFile({ debugModules }: Symbols, module: string): Promise<string | undefined> {
  if (debugModules === undefined) return undefined;
  const files = await readdir(debugModules, { recursive: true }).catch(() => []);
  const found = files.find(
    (file) => path.basename(file, '.ko').replaceAll('-', '_') === module && file.endsWith('.ko'),
  );
  return found === undefined ? undefined : path.join(debugModules, found);
}

/** Several functions may have one name: the one whose size the report has is meant. */
async function symbolAddress(image: string, name: string, size: number): Promise<bigint | undefined> {
  const symbols = (await outputOf('nm', ['-n', image])).split('\n').flatMap((line) => {
    const [, address = '', symbol] = /^([0-9a-f]+) [tTwW] (\S+)$/.exec(line) ?? [];
    return symbol === undefined ? [] : [{ address: BigInt(`0x${address}`), symbol }];
  });
  const candidates = symbols.flatMap(({ address, symbol }, index) => {
    // A kernel has tens of thousands of symbols: what comes after one is looked for only where it is the right one.
    if (symbol !== name) return [];
    const next = symbols.slice(index + 1).find((later) => later.address > address);
    return [{ address, length: Number((next?.address ?? address) - address) }];
  });
  return (candidates.find(({ length }) => length === size) ?? candidates[0])?.address;
}

/** There is no output where the tool or the image is missing: a report without source lines is still a report. */
async function outputOf(tool: string, args: readonly string[]): Promise<string> {
  const result = await execa(tool, args, { reject: false, maxBuffer: 2 ** 28 });
  return result.failed ? '' : result.stdout;
}
