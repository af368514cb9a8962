/** Joins the user's terminal with a stream that has a terminal at its other end. */
import type { Duplex } from 'node:stream';
import { onAbort } from '../../util/on-abort.ts';

/** Ctrl-], as telnet and virsh have it. */
export const LEAVE_KEY = '\x1d';

interface Joint {
  /** Called when the terminal's size changes. */
  readonly onResize?: (rows: number, cols: number) => void;
  /** A key that ends it, and does not get to the other end. */
  readonly leaveKey?: string;
  /** Throws its reason when it is aborted. */
  readonly signal: AbortSignal;
}

/** Until the stream closes, the user leaves or the signal is aborted. */
export async function joinTerminal(stream: Duplex, { onResize, leaveKey, signal }: Joint): Promise<void> {
  const { stdin, stdout } = process;
  const resize = (): void => onResize?.(stdout.rows, stdout.columns);
  stdout.on('resize', resize);
  stdin.setRawMode(true);
  stream.pipe(stdout, { end: false });
  let type: (keys: Buffer) => void = () => undefined;
  let stopListening: () => void = () => undefined;
  try {
    await new Promise<void>((resolve, reject) => {
      type = (keys) => {
        if (leaveKey !== undefined && keys.includes(leaveKey)) resolve();
        else stream.write(keys);
      };
      stdin.on('data', type);
      stream.once('close', () => resolve());
      stopListening = onAbort(signal, reject);
    });
  } finally {
    stopListening();
    stream.unpipe(stdout);
    stdin.off('data', type);
    stdin.setRawMode(false);
    stdin.pause();
    stdout.off('resize', resize);
  }
}
