/** The guest's clock is brought to the host's, and three logs to one line of time. */
import { describe, expect, test } from 'vitest';
import { ConsoleClock, kernelLogLine } from '../../../src/vm/trace/console-clock.ts';
import { timeLine } from '../../../src/vm/trace/time-line.ts';

/** Host time in ms, guest time in s: it booted at 1000, and slept from 3.0 on for 5000. */
function slept(): ConsoleClock {
  const clock = new ConsoleClock();
  clock.add(1, 2000);
  // A console that lags.
  clock.add(1.5, 2900);
  clock.add(2, 3000.5);
  clock.add(3.1, 9100);
  clock.add(4, 10_000);
  return clock;
}

describe('the clock', () => {
  test('is as early as any line says, and later only after a sleep', () => {
    const toHost = slept().toHost();
    expect([1, 1.5, 2.5, 3.1, 3.5, 9].map((seconds) => toHost?.(seconds))).toEqual([
      2000, 2500.5, 3500.5, 9100, 9500, 15_000,
    ]);
  });

  test('takes what is before its first line by that line, and knows nothing without one', () => {
    expect(slept().toHost()?.(0.5)).toBe(1500);
    expect(new ConsoleClock().toHost()).toBeUndefined();
  });

  test('reads the lines of a kernel, with and without who wrote them', () => {
    expect(kernelLogLine('<6>[    1.250000][   T12] hello')).toEqual({ seconds: 1.25, text: 'hello' });
    expect(kernelLogLine('<4>[   99.000001] hello')).toEqual({ seconds: 99.000001, text: 'hello' });
    expect(kernelLogLine('RIG-READY [1.0] x')).toBeUndefined();
  });
});

const TRACE = `# tracer: nop
#
          <idle>-0       [003] d..2.     1.500000: sched_switch: prev_comm=swapper
 kworker/u16:3-42        [000] .....     1.000000: drm_sched_job_run: id=7
CPU:2 [LOST 12 EVENTS]
`;

const DEVICE = `77@2.000100:edgpu_command engine 1 slot 4 opcode 2 flags 0x0 src 0x1 dst 0x2 len 0x3
77@2.000200:edgpu_dma write 0 addr 0x1000 len 0x40
77@2.000400:edgpu_command_done engine 1 slot 4
77@2.000500:edgpu_command engine 0 slot 1 opcode 3 flags 0x0 src 0x1 dst 0x2 len 0x3
77@2.000600:edgpu_command_done engine 0 slot 9
77@2.000700:edgpu_removed
`;

describe('the line', () => {
  const clock = new ConsoleClock();
  clock.add(1, 2000);
  const logs = {
    trace: TRACE,
    console: '<6>[    1.000450][T1] woken\r\nnoise\n',
    device: DEVICE,
    toHost: clock.toHost(),
  };
  const events = timeLine(logs).traceEvents;
  const moments = events.filter(({ ph }) => ph !== 'M');

  test('has the events of all three in order, from the first on, in microseconds', () => {
    expect(moments.map(({ name, ts }) => [name, ts])).toEqual([
      ['drm_sched_job_run', 0],
      ['command 2', 100],
      ['dma', 200],
      ['woken', 450],
      ['command 3, not ended', 500],
      // It began before the log does.
      ['command_done', 600],
      ['removed', 700],
      ['sched_switch', 500_000],
    ]);
  });

  test('has a command as long as it took, in the row of its engine, and each row has a name', () => {
    const command = moments.find(({ ph }) => ph === 'X');
    expect(command).toMatchObject({ tid: 1, dur: 300, args: { command: expect.stringContaining('slot 4') as string } });
    const rows = new Set(moments.map(({ pid, tid }) => `${String(pid)} ${String(tid)}`));
    const names = events
      .filter(({ name }) => name === 'thread_name')
      .map(({ pid, tid }) => `${String(pid)} ${String(tid)}`);
    expect(new Set(names)).toEqual(rows);
    expect(moments[0]?.args).toEqual({ task: 'kworker/u16:3-42', event: 'id=7' });
  });

  test('is the device alone where nothing was heard of the guest', () => {
    const alone = timeLine({ ...logs, toHost: undefined }).traceEvents;
    expect(new Set(alone.map(({ pid }) => pid)).size).toBe(1);
  });
});
