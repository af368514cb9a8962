/** How far a build is and how many minutes are left, for whoever waits for it. */
import type { Step } from '../../util/step.ts';

/** Before that nobody knows how fast this machine is. */
const ENOUGH_TO_TELL = 0.05;

/** Tells `step` what is done of `total`, and what that means for the time that is left. */
export function countdown({ progress }: Step, now: () => number = () => performance.now()): CountDone {
  const start = now();
  return (done, total) => {
    const share = done / total;
    const leftMs = ((now() - start) / share) * (1 - share);
    const left = share < ENOUGH_TO_TELL || share >= 1 ? '' : `, ${minutes(leftMs)} left`;
    progress(`${String(done)} of ${String(Math.max(done, total))}${left}`);
  };
}

type CountDone = (done: number, total: number) => void;

function minutes(milliseconds: number): string {
  const rounded = Math.round(milliseconds / 60_000);
  return rounded === 0 ? 'less than a minute' : `${String(rounded)} min`;
}
