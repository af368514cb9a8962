/**
 * How long anything in the life of a VM may take: one table, for a quiet host with KVM, scaled by accelerator and
 * kernel.
 */
import { slowdownOf, type Flavour } from '../config/flavour.ts';

export type Accelerator = 'kvm' | 'tcg';

const SECOND = 1000;

const LIMITS_MS = {
  /** Spawn to QMP greeting. */
  start: 10 * SECOND,
  /** Spawn to `RIG-READY` on the console. */
  boot: 20 * SECOND,
  /** TCP connection to authenticated SSH session. */
  sshConnect: 10 * SECOND,
  /** An SSH command whose caller names no limit of its own. */
  command: 30 * SECOND,
  /** One stage of a suspend or a resume, by default. */
  sleepStage: 10 * SECOND,
  /** A QMP command. */
  monitor: 10 * SECOND,
  /** A guest whose command did not end has this long to give its kernel's log. */
  hangLog: 1 * SECOND,
  /** The memory of a guest on its way to the disk. */
  dump: 30 * SECOND,
  /** How long the answer to a "magic system request" takes to be printed. */
  sysrqAnswer: SECOND / 4,
  /** How far the console may lag behind the kernel's log. */
  consoleLag: 6 * SECOND,
  /** How long a broken SSH session waits for the console to say why. */
  lostSession: 2 * SECOND,
  /** From a kernel bug to the end of the test that met it. */
  afterBug: 20 * SECOND,
  /** From the first line of a fatal kernel report to giving up on its last. */
  reportTail: 1 * SECOND,
} as const;

/** Ending a VM has a clock of its own, and no emulation to wait for. */
export const ENDING_LIMITS_MS = { quit: 2 * SECOND, terminate: 2 * SECOND, kill: 5 * SECOND } as const;

export type TimeLimits = Readonly<Record<keyof typeof LIMITS_MS, number>>;

/** TCG costs about 10 times in the CPU, but most waits here are for devices and the host. */
const SCALE: Readonly<Record<Accelerator, number>> = { kvm: 1, tcg: 5 };

export function timeLimits(accelerator: Accelerator, flavour: Flavour, patience = 1): TimeLimits {
  return scaleLimits(LIMITS_MS, SCALE[accelerator] * slowdownOf(flavour) * patience);
}

function scaleLimits(limits: TimeLimits, factor: number): TimeLimits {
  const scaled = Object.entries(limits).map(([name, value]) => [name, value * factor]);
  return Object.fromEntries(scaled) as TimeLimits;
}
