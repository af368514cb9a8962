/**
 * Runs that are not recorded yet: the results of each on disk as they come, in a file of its own in the history's
 * folder. It goes when the run is recorded; what a rig leaves that was killed is found there by the next one that looks
 * into the history.
 */
import {
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmSync,
} from 'node:fs';
import { hostname } from 'node:os';
import path from 'node:path';
import { z } from 'zod';
import { historyFolder } from '../../config/paths.ts';
import { openEventLog, type LogEvent } from './event-log.ts';
import { runReport, summarize, testResult, type RunFacts, type RunReport, type TestResult } from '../run-report.ts';

export interface UnfinishedRun {
  readonly add: (result: TestResult) => void;
  /** To be called once the run is recorded. */
  readonly remove: () => void;
}

/** Where the file can't be written, the run goes on without it. */
export function beginUnfinishedRun(facts: RunFacts, tell: (text: string) => void): UnfinishedRun {
  const file = path.join(folder(), ownName());
  let log: LogEvent;
  try {
    mkdirSync(folder(), { recursive: true });
    log = openEventLog(file, tell);
  } catch (error) {
    tell(`Were the rig killed, the results of this run would be lost: ${String(error)}`);
    return { add: () => undefined, remove: () => undefined };
  }
  log({ type: 'run-start', ...facts });
  return { add: (result) => log({ type: 'test-end', result }), remove: () => rmSync(file, { force: true }) };
}

/** Hands over each run whose rig is dead, once: its file goes when `record` has returned. */
export function recordUnfinishedRuns(record: (report: RunReport) => void): void {
  for (const name of namesIn(folder()).filter(isLeftBehind)) {
    const mine = path.join(folder(), ownName());
    let file: number;
    try {
      file = openSync(path.join(folder(), name), 'r');
    } catch {
      continue;
    }
    try {
      // Of two that look at the same time one can rename it; held open, it is not taken for a dead rig's.
      renameSync(path.join(folder(), name), mine);
      const report = reportOfEvents(readFileSync(file, 'utf8'));
      if (report && report.results.length > 0) record(report);
      rmSync(mine);
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error;
    } finally {
      closeSync(file);
    }
  }
}

/** From events as --jsonl writes them to the report of their run, as far as it came; undefined if they are of none. */
export function reportOfEvents(text: string): RunReport | undefined {
  const events = text.split('\n').flatMap((line) => runEvent.safeParse(parseJson(line)).data ?? []);
  const start = events.find(({ type }) => type === 'run-start');
  const results = events.flatMap((event) => (event.type === 'test-end' ? [event.result] : []));
  const end = events.find((event) => event.type === 'run-end');
  const cutShort = end ? end.cutShort : KILLED;
  return runReport.safeParse({ ...start, cutShort, results, summary: summarize(results) }).data;
}

const KILLED = {
  how: 'killed',
  message: 'The rig was killed during this run: this is what it had judged by then.',
} as const;

const runEvent = z.discriminatedUnion('type', [
  z.looseObject({ type: z.literal('run-start') }),
  z.object({ type: z.literal('test-end'), result: testResult }),
  z.object({ type: z.literal('run-end'), cutShort: runReport.shape.cutShort }),
]);

function folder(): string {
  return path.join(historyFolder(), 'unfinished');
}

let count = 0;

function ownName(): string {
  return `${hostname()}:${String(process.pid)}:${String(Date.now())}-${String(++count)}.jsonl`;
}

/** Only this host's: of the processes of others that share the folder nothing is known. */
function isLeftBehind(name: string): boolean {
  const [host, pid = ''] = name.split(':');
  return name.endsWith('.jsonl') && host === hostname() && !isOpenIn(pid, path.join(folder(), name));
}

/** Its process may be dead, and its number another's. */
function isOpenIn(pid: string, file: string): boolean {
  const descriptors = `/proc/${pid}/fd`;
  return namesIn(descriptors).some((fd) => {
    try {
      return readlinkSync(path.join(descriptors, fd)) === realpathSync(file);
    } catch {
      return false;
    }
  });
}

function namesIn(of: string): string[] {
  try {
    return readdirSync(of);
  } catch {
    return [];
  }
}

/** The last line may be half there. */
function parseJson(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}
