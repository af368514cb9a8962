/** Renders steps while they run: lines for a log, or a live display on a terminal. */
import { clearScreenDown, cursorTo, moveCursor } from 'node:readline';
import type { WriteStream } from 'node:tty';
import type { Emit, RigEvent } from '../../util/rig-event.ts';
import { elapsed } from '../text/elapsed.ts';

export interface Progress {
  readonly emit: Emit;
  /** A line that stays, between steps. */
  readonly print: (text: string) => void;
  /** Leaves the terminal as a log would. */
  readonly stop: () => void;
}

interface OpenStep {
  readonly title: string;
  readonly since: number;
  detail: string;
}

type StepEnd = Extract<RigEvent, { type: 'step-end' }>;

const MARKS: Readonly<Record<StepEnd['outcome'], string>> = { done: '✔', cached: '=', failed: '✘', skipped: '-' };

const FRAME_MS = 200;
/** How often a log says what still runs, so that nobody takes a long build for a hang. */
const HEARTBEAT_MS = 30_000;

export function createProgress(output: NodeJS.WriteStream): Progress {
  return output.isTTY ? liveProgress(output) : plainProgress((line) => output.write(`${line}\n`));
}

/** Keeps the open steps; says what of an event is worth a line of its own. */
class Steps {
  readonly open = new Map<string, OpenStep>();

  apply(event: RigEvent): string | undefined {
    switch (event.type) {
      case 'step-start':
        this.open.set(event.id, { title: event.title, since: performance.now(), detail: '' });
        return undefined;
      case 'step-progress': {
        const step = this.open.get(event.id);
        if (step) step.detail = event.detail;
        return undefined;
      }
      case 'step-end': {
        const step = this.open.get(event.id);
        this.open.delete(event.id);
        return step && `${MARKS[event.outcome]} ${describe(step, event.durationMs)}`;
      }
      case 'notice':
        return event.text;
    }
  }

  running(): string[] {
    const now = performance.now();
    return [...this.open.values()].map((step) => `… ${describe(step, now - step.since)}`);
  }
}

function describe({ title, detail }: OpenStep, milliseconds: number): string {
  return `${title}${detail === '' ? '' : `: ${detail}`}  (${elapsed(milliseconds)})`;
}

export function plainProgress(write: (line: string) => void): Progress {
  const steps = new Steps();
  const heartbeat = setInterval(() => steps.running().forEach(write), HEARTBEAT_MS).unref();
  return {
    emit: (event) => {
      const line = steps.apply(event);
      if (line !== undefined) write(line);
      else if (event.type === 'step-start') write(`… ${event.title}`);
    },
    print: write,
    stop: () => clearInterval(heartbeat),
  };
}

function liveProgress(terminal: WriteStream): Progress {
  const steps = new Steps();
  let drawn = 0;
  const erase = (): void => {
    moveCursor(terminal, 0, -drawn);
    cursorTo(terminal, 0);
    clearScreenDown(terminal);
    drawn = 0;
  };
  const draw = (): void => {
    // A terminal that does not know its size says 0.
    const lines = steps.running().slice(0, Math.max(1, (terminal.rows || 24) - 2));
    for (const line of lines) terminal.write(`${line.slice(0, (terminal.columns || 80) - 1)}\n`);
    drawn = lines.length;
  };
  const redraw = (line?: string): void => {
    erase();
    if (line !== undefined) terminal.write(`${line}\n`);
    draw();
  };
  const clock = setInterval(() => redraw(), FRAME_MS).unref();
  return {
    emit: (event) => redraw(steps.apply(event)),
    print: redraw,
    stop: () => {
      clearInterval(clock);
      erase();
    },
  };
}
