/** The signals that end the rig: the first in order, and another one at once. */

export const ENDING_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
export type EndingSignal = (typeof ENDING_SIGNALS)[number];

interface Endings {
  readonly inOrder: (name: EndingSignal) => void;
  readonly atOnce: () => void;
  /** Whether the rig is ending already, for whatever reason. */
  readonly isEnding: () => boolean;
  readonly now?: () => number;
}

/**
 * The same signal often comes twice: timeout(1) sends it to the process and then to its group, and npm passes on what
 * the rig has got from the terminal. Nobody presses Ctrl-C again within this time.
 */
const SAME_MS = 200;

/** What to call with each of these signals. */
export function endingSignals({
  inOrder,
  atOnce,
  isEnding,
  now = () => performance.now(),
}: Endings): (name: EndingSignal) => void {
  let first: number | undefined;
  return (name: EndingSignal): void => {
    if (first !== undefined && now() - first < SAME_MS) return;
    if (isEnding()) {
      atOnce();
      return;
    }
    first = now();
    inOrder(name);
  };
}
