/** Makes replay.sh of a program's VM boot with the files that were put into it. */
import { readFile } from 'node:fs/promises';
import { execa } from 'execa';
import { writeCpio, type CpioEntry } from '../../builds/guest/cpio.ts';
import type { Transfer } from '../../config/transfer.ts';
import { shellQuote } from '../../util/shell-quote.ts';
import { packArguments, unpackScript } from '../../vm/link/file-transfer.ts';
import type { VmFolder } from '../../vm/vm-folder.ts';

interface Program {
  /** As the guest's shell takes it. */
  readonly command: string;
  readonly put: readonly Transfer[];
  /** The same for what is run to put the files. */
  readonly inGuest: (command: string) => string;
}

/** They are put by the first shell that the terminal gets: what the initramfs has in /tmp is hidden by a mount. */
export async function addToReplay(folder: VmFolder, program: Program): Promise<void> {
  const archives = program.put.map(async ({ from }, index): Promise<CpioEntry> => {
    const { stdout } = await execa('tar', packArguments(from), { encoding: 'buffer' });
    return { kind: 'file', path: archiveOf(index), data: Buffer.from(stdout) };
  });
  const segment = writeCpio([
    { kind: 'dir', path: 'etc' },
    { kind: 'dir', path: 'etc/rig', mode: 0o700 },
    { kind: 'file', path: 'etc/profile', data: Buffer.from(profile(program)) },
    ...(await Promise.all(archives)),
  ]);
  await folder.write('program.cpio', segment);
  const script = await readFile(folder.file('replay.sh'), 'utf8');
  await folder.write('replay.sh', withSegment(script), 0o755);
}

function archiveOf(index: number): string {
  return `etc/rig/put-${String(index)}.tar`;
}

function profile({ command, put, inGuest }: Program): string {
  const unpack = put.map((transfer, index) => `(\n${inGuest(unpackScript(transfer))}\n) < /${archiveOf(index)}`);
  return [
    'if [ ! -e /run/rig-put ]; then',
    ...[': > /run/rig-put', ...unpack, 'fi'],
    `echo ${shellQuote(`The test was: ${command}`)}`,
    '',
  ].join('\n');
}

/** An initramfs may be several archives, one after the other. */
export function withSegment(script: string): string {
  const [, initrd] = / -initrd ('(?:[^']|'\\'')*'|\S+) /.exec(script) ?? [];
  if (initrd === undefined) return script;
  const here = '"$(dirname "$0")"';
  return script
    .replace(` -initrd ${initrd} `, () => ` -initrd ${here}/replay-initrd `)
    .replace(/^exec /m, () => `cat ${initrd} ${here}/program.cpio > ${here}/replay-initrd\nexec `);
}
