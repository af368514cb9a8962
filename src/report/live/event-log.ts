/** JSON lines: everything that happens in a run, one object a line, as it happens. */
import { openSync, writeSync } from 'node:fs';
import { RigError } from '../../util/rig-error.ts';
import type { RigEvent } from '../../util/rig-event.ts';
import type { RunFacts, RunReport, TestResult } from '../run-report.ts';

type RunEvent =
  | RigEvent
  | ({ readonly type: 'run-start' } & RunFacts)
  | { readonly type: 'test-end'; readonly result: TestResult }
  | ({ readonly type: 'run-end'; readonly exitCode: number } & Pick<RunReport, 'summary' | 'cutShort'>);

export type LogEvent = (event: RunEvent) => void;

/**
 * Written at once and in order: whoever follows the file sees a line as soon as it is true, and a crash loses none. A
 * log that can't be written any more must not cost a verdict: it ends, and that is told once.
 */
export function openEventLog(file: string | undefined, tell: (text: string) => void): LogEvent {
  if (file === undefined) return () => undefined;
  let log: number | undefined;
  try {
    log = openSync(file, 'w');
  } catch (cause) {
    throw new RigError('usage', `The events can't be written to ${file}: ${reasonOf(cause)}`, { cause });
  }
  return (event) => {
    if (log === undefined) return;
    try {
      writeWhole(log, `${JSON.stringify({ time: new Date().toISOString(), ...event })}\n`);
    } catch (error) {
      log = undefined;
      tell(`The events are not written to ${file} any more: ${reasonOf(error)}`);
    }
  };
}

/** A disk that is about to be full takes a part of it. */
function writeWhole(file: number, text: string): void {
  let rest = Buffer.from(text);
  while (rest.length > 0) rest = rest.subarray(writeSync(file, rest));
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
