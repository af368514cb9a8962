/**
 * When the host's clock said what, while the guest's said something else: each line of the kernel's log has the guest's
 * time in it, and the rig sees it come. It never comes too early, and late only while the console lags, so the smallest
 * difference is the nearest to the truth. A sleep, in which the guest's clock stands still, makes it larger for good.
 */
import type { SerialConsole } from '../link/serial-console.ts';

/** Of a flood the latest are kept. */
const MOST = 50_000;

const KERNEL_LINE = /^<(\d+)>\[ *(\d+\.\d+)\](?:\[ *\w+\])? (.*)$/;

interface KernelLogLine {
  readonly seconds: number;
  readonly text: string;
}

/** Undefined where the kernel has not written it. */
export function kernelLogLine(line: string): KernelLogLine | undefined {
  const [, , seconds, text = ''] = KERNEL_LINE.exec(line) ?? [];
  return seconds === undefined ? undefined : { seconds: Number(seconds), text };
}

interface Pair {
  readonly guestMs: number;
  readonly hostMs: number;
}

export class ConsoleClock {
  #pairs: Pair[] = [];

  /** From now on. */
  static follow(console: Pick<SerialConsole, 'follow'>): ConsoleClock {
    const clock = new ConsoleClock();
    console.follow((line) => {
      const { seconds } = kernelLogLine(line) ?? {};
      if (seconds !== undefined) clock.add(seconds, performance.timeOrigin + performance.now());
    });
    return clock;
  }

  /** The host's time is in milliseconds since 1970. */
  add(guestSeconds: number, hostMs: number): void {
    this.#pairs.push({ guestMs: guestSeconds * 1000, hostMs });
    if (this.#pairs.length > 2 * MOST) this.#pairs = this.#pairs.slice(-MOST);
  }

  /** The host's time, from that of the guest in seconds; undefined where nothing has been heard. */
  toHost(): ((guestSeconds: number) => number) | undefined {
    const pairs = [...this.#pairs].sort((a, b) => a.guestMs - b.guestMs);
    if (pairs.length === 0) return undefined;
    const differences = smallestFromHereOn(pairs.map(({ guestMs, hostMs }) => hostMs - guestMs));
    return (guestSeconds) => {
      const guestMs = guestSeconds * 1000;
      let [low, high] = [0, pairs.length];
      // The last line that is not later.
      while (low < high) {
        const middle = (low + high) >> 1;
        if ((pairs[middle]?.guestMs ?? 0) <= guestMs) low = middle + 1;
        else high = middle;
      }
      return guestMs + (differences[Math.max(low - 1, 0)] ?? 0);
    };
  }
}

function smallestFromHereOn(values: readonly number[]): number[] {
  let smallest = Infinity;
  return values
    .toReversed()
    .map((value) => (smallest = Math.min(smallest, value)))
    .reverse();
}
