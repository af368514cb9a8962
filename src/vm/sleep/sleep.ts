/**
 * One suspend and resume of a guest, from the request to the first program that runs again. Who says that it slept:
 * QEMU's events SUSPEND and WAKEUP for S3, the end of its process by the guest's own hand for S4, the kernel's count of
 * successes for s2idle.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { RigError } from '../../util/rig-error.ts';
import { SleepWatch, type SleepingMachine } from './sleep-watch.ts';
import type { SleepRecord, SleepState } from './sleep-stages.ts';

export type PmTest = 'freezer' | 'devices' | 'platform' | 'processors' | 'core';

export interface SleepOptions {
  /** Go no further than this, and come back at once: the kernel's own test of its stages. */
  readonly pmTest?: PmTest;
  /** S4: who switches the machine off, the firmware or the kernel. */
  readonly powerOff?: 'platform' | 'shutdown';
  /** How long the machine sleeps, at least. */
  readonly asleepMs?: number;
  /** An alarm of the guest's clock so many seconds after the request, to abort a suspend that is still under way. */
  readonly alarmS?: number;
  /** It is told of every stage that begins; a sleeping machine is not woken before what it returns has ended. */
  readonly onStage?: (stage: string) => Promise<void> | void;
  /** The limit of a stage that is not known to take long; by default it is what the accelerator and the kernel need. */
  readonly stageLimitMs?: number;
}

/** Long enough for a machine that does not really sleep to show it. */
const LEAST_SLEEP_MS = 50;

const STATE_WORDS: Readonly<Record<SleepState, string>> = { s2idle: 'freeze', s3: 'mem', s4: 'disk' };
const CONSOLE_LEVEL = '/proc/sys/kernel/printk';
const ALARM = '/sys/class/rtc/rtc0/wakealarm';

/** A refusal by the kernel is a result; a sleep that nobody can bear witness to is a failure. */
export async function sleepThrough(
  machine: SleepingMachine,
  state: SleepState,
  options: SleepOptions,
): Promise<SleepRecord> {
  const before = await countSleeps(machine);
  const level = await consoleLevel(machine);
  const watch = new SleepWatch(machine, options);
  try {
    // Its answer may come only after the sleep; if it can't be run at all, the watch finds out.
    void machine.run(requestScript(state, options)).catch(() => undefined);
    if (options.pmTest === undefined) await attend(machine, watch, state, options.asleepMs ?? LEAST_SLEEP_MS);
    const refusal = await watch.awake;
    const { stages, totalMs } = watch.clock;
    await machine.ready();
    // The guest does not do this itself: the level counts when a line is printed, which may be later than it is said.
    await machine.run(`echo ${level} > ${CONSOLE_LEVEL}`);
    const slept = refusal === undefined && options.pmTest === undefined;
    expectCounts(state, slept, before, await countSleeps(machine));
    const { pmTest } = options;
    return {
      state,
      ...(pmTest === undefined ? {} : { pmTest }),
      ...(refusal === undefined ? {} : { refusal }),
      stages,
      totalMs: Math.round(totalMs),
    };
  } finally {
    watch.stop();
  }
}

/** Detached, because the SSH session that starts it may not live to see its end. */
function requestScript(state: SleepState, { pmTest, powerOff = 'platform', alarmS }: SleepOptions): string {
  const commands = [
    // The kernel prints all that it says while it says it, and does not wait between its stages.
    'echo N > /sys/module/printk/parameters/console_suspend',
    'echo 1 > /sys/power/pm_debug_messages',
    'echo 0 > /sys/module/suspend/parameters/pm_test_delay',
    'echo 0 > /sys/module/hibernate/parameters/pm_test_delay',
    `echo 8 > ${CONSOLE_LEVEL}`,
    // A port that stays on as a console receives nothing after S3, until somebody sets it up anew. What it would echo
    // may wait for ever.
    ...(state === 's2idle' ? ['timeout 5 stty -F /dev/ttyS0 -echo 9600', 'timeout 5 stty -F /dev/ttyS0 115200'] : []),
    // What wakes the guest from s2idle.
    'echo enabled > /sys/class/tty/ttyS0/power/wakeup',
    `echo ${pmTest ?? 'none'} > /sys/power/pm_test`,
    ...(state === 's3' ? ['echo deep > /sys/power/mem_sleep'] : []),
    ...(state === 's4' ? [`echo ${powerOff} > /sys/power/disk`] : []),
    // With a count of wakeups the kernel gives up when there is another one. It is not to be had while one is under
    // way.
    ...(alarmS === undefined
      ? []
      : [
          'read -r wakeups < /sys/power/wakeup_count',
          'echo $wakeups > /sys/power/wakeup_count',
          ...[`echo 0 > ${ALARM}`, `echo +${String(alarmS)} > ${ALARM}`],
        ]),
    `said=$({ echo ${STATE_WORDS[state]} > /sys/power/state; } 2>&1)`,
    'status=$?',
    ...(alarmS === undefined ? [] : [`echo 0 > ${ALARM}`]),
    'echo none > /sys/power/pm_test',
    'echo "<1>RIG-AWAKE $status ${said##*: }" > /dev/kmsg',
  ];
  return `setsid sh -c '${commands.join('\n')}' < /dev/null > /dev/null 2>&1 &`;
}

/** What the world outside does while the guest sleeps: wakes it, or gives it a new machine to wake up in. */
async function attend(machine: SleepingMachine, watch: SleepWatch, state: SleepState, asleepMs: number): Promise<void> {
  switch (state) {
    case 's3':
      if (!(await watch.before(watch.awake, machine.nextEvent('SUSPEND')))) return;
      await watch.enter('asleep');
      await pause(asleepMs);
      return machine.wake();
    case 's2idle':
      if (!(await watch.before(watch.awake, watch.stage('asleep')))) return;
      await pause(asleepMs);
      machine.type('\n');
      return;
    case 's4':
      if (!(await watch.before(watch.awake, machine.poweredOff()))) return;
      await watch.enter('asleep');
      await pause(asleepMs);
      await watch.enter('boot');
      return machine.startAgain();
  }
}

/** How unimportant a line may be to be printed on the console. */
async function consoleLevel(machine: SleepingMachine): Promise<string> {
  const { stdout } = await machine.run(`cat ${CONSOLE_LEVEL}`);
  return stdout.trim().split(/\s+/)[0] ?? '';
}

/** How often the machine has slept and woken up, by each witness's count. */
interface SleepCounts {
  readonly suspends: number;
  readonly wakeups: number;
  readonly powerOffs: number;
  readonly successes: number;
}

async function countSleeps(machine: SleepingMachine): Promise<SleepCounts> {
  const { stdout } = await machine.run('cat /sys/power/suspend_stats/success');
  return {
    suspends: machine.eventCount('SUSPEND'),
    wakeups: machine.eventCount('WAKEUP'),
    powerOffs: machine.powerOffs,
    successes: Number(stdout),
  };
}

function expectCounts(state: SleepState, slept: boolean, before: SleepCounts, after: SleepCounts): void {
  const once = slept ? 1 : 0;
  const expected = {
    suspends: before.suspends + (state === 's3' ? once : 0),
    wakeups: before.wakeups + (state === 's3' ? once : 0),
    powerOffs: before.powerOffs + (state === 's4' ? once : 0),
    // The kernel counts what pm_test did, too, and no hibernation.
    successes: state === 's2idle' && slept ? before.successes + 1 : after.successes,
  };
  const wrong = Object.entries(expected)
    .filter(([name, count]) => after[name as keyof SleepCounts] !== count)
    .map(([name, count]) => `${name} is ${String(after[name as keyof SleepCounts])} and not ${String(count)}`);
  if (wrong.length === 0) return;
  const said = slept ? `says that it slept (${state})` : `did not say that it slept (${state})`;
  throw new RigError('test', `The guest ${said}, but the witnesses don't agree: ${wrong.join(', ')}.`);
}
