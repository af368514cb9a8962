/**
 * The host's end of the guest's serial port: a pair of FIFOs, which QEMU calls a pipe. QEMU writes byte by byte. A full
 * socket holds 277 such writes, each being charged with a buffer of its own; a pipe holds 64 KiB. What does not fit for
 * 10 ms the guest's driver throws away (drivers/tty/serial/8250, wait_for_lsr()), and a rig that symbolizes a kernel
 * report is busy for longer.
 */
import { constants, openSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { execa } from 'execa';
import { RigError } from '../../util/rig-error.ts';

/**
 * Makes `${name}.in` and `${name}.out`, for `-chardev pipe,path=name`. The stream ends when it is destroyed, not when
 * QEMU does.
 */
export async function openConsolePort(name: string): Promise<Duplex> {
  const [input, output] = [`${name}.in`, `${name}.out`];
  await removeConsolePort(name);
  await execa('mkfifo', ['-m', '600', input, output]).catch((cause: unknown) => {
    throw new RigError('infrastructure', `No FIFO for a console can be made at ${output}.`, {
      remedy: 'Put the artifacts on a file system that has FIFOs.',
      cause,
    });
  });
  const writable = new Socket({ fd: openBothWays(input), readable: false, writable: true });
  const readable = new Socket({ fd: openBothWays(output), readable: true, writable: false });
  // It is QEMU's life that the rig waits for.
  writable.unref();
  readable.unref();
  // It is destroyed in the middle of a read, which a Duplex calls an error.
  return Duplex.from({ readable, writable }).on('error', () => undefined);
}

/** Their names; who has them open keeps them. */
export async function removeConsolePort(name: string): Promise<void> {
  await Promise.all(['in', 'out'].map((end) => rm(`${name}.${end}`, { force: true })));
}

/** So it waits for nobody at the other end, and a machine that sleeps in S4 leaves it open for its next QEMU. */
function openBothWays(fifo: string): number {
  return openSync(fifo, constants.O_RDWR | constants.O_NONBLOCK);
}
