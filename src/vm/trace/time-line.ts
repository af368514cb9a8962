/**
 * What the guest's kernel traced, what it logged and what the device did, on one line of time: JSON that
 * https://ui.perfetto.dev and chrome://tracing read ("trace event format").
 */
import { kernelLogLine } from './console-clock.ts';

/** A slice (X, with its duration), a moment (i), or the name of a row (M). */
interface TimeLineEvent {
  readonly ph: 'X' | 'i' | 'M';
  readonly name: string;
  readonly pid: number;
  readonly tid: number;
  /** Microseconds, as `dur`. */
  readonly ts?: number;
  readonly dur?: number;
  readonly s?: 't';
  readonly args?: Readonly<Record<string, string>>;
}

interface Witnesses {
  /** The guest's file `trace`. */
  readonly trace: string;
  /** The serial port's log. */
  readonly console: string;
  /** QEMU's log of the device's trace events. */
  readonly device: string;
  /** Milliseconds since 1970, from the guest's seconds; without it the guest is not on the line. */
  readonly toHost: ((guestSeconds: number) => number) | undefined;
}

const KERNEL = 1;
const CONSOLE = 2;
const DEVICE = 3;
/** The rows of the device: its engines come first. */
const ROWS = { dma: 100, other: 101 } as const;

/** In order of time, which begins with the first event. */
export function timeLine({ trace, console, device, toHost }: Witnesses): { traceEvents: TimeLineEvent[] } {
  const guest = toHost === undefined ? [] : [...traced(trace, toHost), ...logged(console, toHost)];
  const events = [...guest, ...deviceEvents(device)].sort((a, b) => (a.ts ?? 0) - (b.ts ?? 0));
  const start = events[0]?.ts ?? 0;
  const shifted = events.map((event) => ({ ...event, ts: Math.round(((event.ts ?? 0) - start) * 10) / 10 }));
  return { traceEvents: [...rowNames(events), ...shifted] };
}

const TRACED = /^ *(.+)-(\d+) +\[(\d+)\] \S+ +(\d+\.\d+): (\w+): ?(.*)$/;

function traced(text: string, toHost: (seconds: number) => number): TimeLineEvent[] {
  return text.split('\n').flatMap((line) => {
    const [, task = '', pid = '', cpu, seconds, name = '', rest = ''] = TRACED.exec(line) ?? [];
    if (cpu === undefined) return [];
    const ts = toHost(Number(seconds)) * 1000;
    return moment({ name, pid: KERNEL, tid: Number(cpu), ts }, { task: `${task}-${pid}`, event: rest });
  });
}

function logged(text: string, toHost: (seconds: number) => number): TimeLineEvent[] {
  return text.split('\n').flatMap((line) => {
    const found = kernelLogLine(line.replaceAll('\r', ''));
    return found ? moment({ name: found.text, pid: CONSOLE, tid: 0, ts: toHost(found.seconds) * 1000 }) : [];
  });
}

type At = Pick<TimeLineEvent, 'name' | 'pid' | 'tid'> & { readonly ts: number };

function moment(at: At, args: Readonly<Record<string, string>> = {}): TimeLineEvent {
  return { ph: 'i', s: 't', ...at, args };
}

const DEVICE_LINE = /^\d+@(\d+\.\d+):edgpu_(\w+) ?(.*)$/;
const COMMAND = /^engine (\d+) slot (\d+)/;

/** A command is a slice of its engine's row, all else a moment. */
function deviceEvents(text: string): TimeLineEvent[] {
  const events: TimeLineEvent[] = [];
  const running = new Map<string, At & { readonly rest: string }>();
  for (const line of text.split('\n')) {
    const [, seconds, name = '', rest = ''] = DEVICE_LINE.exec(line) ?? [];
    if (seconds === undefined) continue;
    const ts = Number(seconds) * 1e6;
    const [key = '', engine = '0'] = COMMAND.exec(rest) ?? [];
    if (name === 'command')
      running.set(key, { name: `command ${opcodeIn(rest)}`, pid: DEVICE, tid: Number(engine), ts, rest });
    const begun = name === 'command_done' ? running.get(key) : undefined;
    if (begun) {
      const { rest: command, ...at } = begun;
      events.push({ ph: 'X', ...at, dur: Math.max(Math.round(ts - begun.ts), 1), args: { command } });
      running.delete(key);
    } else if (name !== 'command') {
      events.push(moment({ name, pid: DEVICE, tid: rowOf(name, rest), ts }, { event: rest }));
    }
  }
  // What has not ended is what to look at.
  const open = [...running.values()].map(({ rest, name, ...at }) =>
    moment({ name: `${name}, not ended`, ...at }, { command: rest }),
  );
  return [...events, ...open];
}

function opcodeIn(rest: string): string {
  return /opcode (\d+)/.exec(rest)?.[1] ?? '?';
}

function rowOf(name: string, rest: string): number {
  if (name.startsWith('dma')) return ROWS.dma;
  return Number(/^engine (\d+)/.exec(rest)?.[1] ?? ROWS.other);
}

function rowNames(events: readonly TimeLineEvent[]): TimeLineEvent[] {
  const rows = new Map(events.map(({ pid, tid }) => [`${String(pid)} ${String(tid)}`, { pid, tid }]));
  const names: Readonly<Record<number, string>> = {
    [KERNEL]: 'guest: trace',
    [CONSOLE]: 'guest: console',
    [DEVICE]: 'edgpu',
  };
  return [
    ...[...new Set(events.map(({ pid }) => pid))].map((pid) => named('process_name', pid, 0, names[pid] ?? '')),
    ...[...rows.values()].map(({ pid, tid }) => named('thread_name', pid, tid, rowName(pid, tid))),
  ];
}

function rowName(pid: number, tid: number): string {
  if (pid === KERNEL) return `CPU ${String(tid)}`;
  if (pid === CONSOLE) return 'kernel log';
  if (tid === ROWS.dma) return 'DMA';
  return tid === ROWS.other ? 'device' : `engine ${String(tid)}`;
}

function named(name: string, pid: number, tid: number, value: string): TimeLineEvent {
  return { ph: 'M', name, pid, tid, args: { name: value } };
}
