/** JSON lines: everything that happens in a run, one object a line, as it happens. */
import { appendFileSync, writeFileSync } from 'node:fs';
import { RigError } from '../../util/rig-error.ts';
import type { RigEvent } from '../../util/rig-event.ts';
import type { RunFacts, RunReport, TestResult } from '../run-report.ts';

export type RunEvent =
  | RigEvent
  | ({ readonly type: 'run-start' } & RunFacts)
  | { readonly type: 'test-end'; readonly result: TestResult }
  | { readonly type: 'run-end'; readonly summary: RunReport['summary']; readonly exitCode: number };

export type LogEvent = (event: RunEvent) => void;

/** Written at once and in order: whoever follows the file sees a line as soon as it is true, and a crash loses none. */
export function openEventLog(file: string | undefined): LogEvent {
  if (file === undefined) return () => undefined;
  try {
    writeFileSync(file, '');
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new RigError('usage', `The events can't be written to ${file}: ${reason}`, { cause });
  }
  return (event) => appendFileSync(file, `${JSON.stringify({ time: new Date().toISOString(), ...event })}\n`);
}
