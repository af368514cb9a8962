/** Source lines of `function+offset/size` in a kernel image, as scripts/faddr2line finds them: with binutils, which builds need anyway. */
import { execa } from 'execa';

const SYMBOLIC = /^(\S+)\+0x([0-9a-f]+)\/0x([0-9a-f]+)(?: \[(\w+)\])?$/;

/** `function at file:line`, the innermost inlined function first; none for modules, or without debug information. */
export async function sourceLines(image: string, where: string): Promise<string[]> {
  const [, name, offset = '', size = '', module] = SYMBOLIC.exec(where) ?? [];
  if (name === undefined || module !== undefined) return [];
  const base = await symbolAddress(image, name, parseInt(size, 16));
  if (base === undefined) return [];
  const address = `0x${(base + BigInt(`0x${offset}`)).toString(16)}`;
  const text = await outputOf('addr2line', ['-e', image, '-f', '-i', '-p', '-s', address]);
  return text
    .split('\n')
    .map((line) => line.replace(/^ ?\(inlined by\) /, '').trim())
    .filter((line) => line !== '' && !line.includes('??'));
}

/** Of several functions of one name the one whose size is right, for the report says it. */
async function symbolAddress(image: string, name: string, size: number): Promise<bigint | undefined> {
  const symbols = (await outputOf('nm', ['-n', image])).split('\n').flatMap((line) => {
    const [, address = '', symbol] = /^([0-9a-f]+) [tTwW] (\S+)$/.exec(line) ?? [];
    return symbol === undefined ? [] : [{ address: BigInt(`0x${address}`), symbol }];
  });
  const candidates = symbols.flatMap(({ address, symbol }, index) => {
    const next = symbols.slice(index + 1).find((later) => later.address > address);
    return symbol === name ? [{ address, length: Number((next?.address ?? address) - address) }] : [];
  });
  return (candidates.find(({ length }) => length === size) ?? candidates[0])?.address;
}

/** Nothing, where the tool or the image is missing: a report without source lines is still a report. */
async function outputOf(tool: string, args: readonly string[]): Promise<string> {
  const result = await execa(tool, args, { reject: false, maxBuffer: 2 ** 28 });
  return result.failed ? '' : result.stdout;
}
