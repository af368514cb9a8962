/** All runs of this machine, a file each: what `report --baseline` compares with, and `repro` repeats. */
import { randomUUID } from 'node:crypto';
import { appendFileSync, linkSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { RigError } from '../../util/rig-error.ts';
import { runReport, type RunReport } from '../run-report.ts';
import { seenInRun, withSightings } from './sightings.ts';

/** One line of the index: what there is to know of a run without reading all of it. */
const runEntry = z.object({
  id: z.number(),
  startedAt: z.string(),
  /** Version. */
  kernel: z.string(),
  /** Commit of the rig. */
  rig: z.string(),
  suites: z.array(z.string()),
  summary: runReport.shape.summary,
  /** Its kernel bugs and unknown warnings, by the names that sightings.ts gives them. */
  seen: z.array(z.string()),
});

export type RunEntry = z.infer<typeof runEntry>;

export interface RecordedRun {
  readonly id: number;
  readonly startedAt: string;
  readonly report: RunReport;
}

/** A run's file is never changed. The index is only there to be fast: a line that it lacks is made from the file. */
const INDEX = 'index.jsonl';
const RUN = /^(\d+)\.json$/;

/** Beyond that no run says anything about today. */
const MOST_RUNS = 1000;

export class History {
  readonly #folder: string;
  readonly #tell: (text: string) => void;
  readonly #told = new Set<number>();

  private constructor(folder: string, tell: (text: string) => void) {
    this.#folder = folder;
    this.#tell = tell;
  }

  /** `tell` hears of each run whose file can't be read; the others are as they were. */
  static open(folder: string, tell: (text: string) => void = () => undefined): History {
    return new History(folder, tell);
  }

  /** Returns it with its number, and with the earlier runs that its bugs and warnings were seen in. */
  record(given: RunReport): RecordedRun {
    try {
      mkdirSync(this.#folder, { recursive: true });
      const report = withSightings(given, () => this.entries());
      const id = this.#write(JSON.stringify(report));
      this.#addToIndex([entryOf(id, report)]);
      return { id, startedAt: report.startedAt ?? '', report };
    } catch (cause) {
      throw this.#unusable(cause);
    }
  }

  /** Whole or not at all. */
  #write(text: string): number {
    const temporary = path.join(this.#folder, `${randomUUID()}.tmp`);
    try {
      writeFileSync(temporary, text);
      return this.#name(temporary);
    } finally {
      rmSync(temporary, { force: true });
    }
  }

  /** The next number that is free: of two rigs that take it at once, one gets the next but one. */
  #name(temporary: string): number {
    for (let id = (this.#ids()[0] ?? 0) + 1; ; id++) {
      try {
        linkSync(temporary, this.#file(id));
        return id;
      } catch (error) {
        if (!hasCode(error, 'EEXIST')) throw error;
      }
    }
  }

  /** Newest first; each is read when it is asked for. */
  *runs(before = Infinity): Generator<RecordedRun> {
    for (const id of this.#ids(before).slice(0, MOST_RUNS)) {
      const found = this.#readOrTell(id);
      if (found) yield found;
    }
  }

  /** Newest first. */
  entries(before = Infinity): RunEntry[] {
    const known = this.#index();
    const ids = this.#ids(before).slice(0, MOST_RUNS);
    const made = ids.flatMap((id) => {
      const found = known.has(id) ? undefined : this.#readOrTell(id);
      return found ? [entryOf(id, found.report)] : [];
    });
    this.#mendIndex(made);
    const all = new Map([...known, ...made.map((entry) => [entry.id, entry] as const)]);
    return ids.flatMap((id) => all.get(id) ?? []);
  }

  /** So that each file is read once: who may only read the history has to do without. */
  #mendIndex(made: readonly RunEntry[]): void {
    try {
      if (made.length > 0) this.#addToIndex(made);
    } catch {
      return;
    }
  }

  #addToIndex(entries: readonly RunEntry[]): void {
    const lines = entries.map((entry) => `${JSON.stringify(entry)}\n`);
    appendFileSync(path.join(this.#folder, INDEX), lines.join(''));
  }

  run(id: number): RecordedRun | undefined {
    return this.#ids().includes(id) ? this.#read(id) : undefined;
  }

  /**
   * The newest run of these sources of the rig, or with a kernel of this version (7.3.4 is any package of it) or
   * commit.
   */
  newestOf(name: { readonly rigCommit?: string; readonly kernel: string }, before: number): RecordedRun | undefined {
    const found = this.entries(before).filter(
      ({ rig, kernel }) =>
        (name.rigCommit !== undefined && rig === name.rigCommit) ||
        kernel === name.kernel ||
        kernel.startsWith(`${name.kernel}-`) ||
        kernel.includes(` at ${name.kernel}`),
    );
    for (const { id } of found) {
      const run = this.#readOrTell(id);
      if (run) return run;
    }
    return undefined;
  }

  /** Newest first. */
  #ids(before = Infinity): number[] {
    return this.#names()
      .flatMap((name) => RUN.exec(name)?.[1] ?? [])
      .map(Number)
      .filter((id) => id < before)
      .sort((a, b) => b - a);
  }

  #names(): string[] {
    try {
      return readdirSync(this.#folder);
    } catch (cause) {
      // Where nothing was ever recorded there is none.
      if (hasCode(cause, 'ENOENT')) return [];
      throw this.#unusable(cause);
    }
  }

  #index(): ReadonlyMap<number, RunEntry> {
    let text = '';
    try {
      text = readFileSync(path.join(this.#folder, INDEX), 'utf8');
    } catch (cause) {
      if (!hasCode(cause, 'ENOENT')) throw this.#unusable(cause);
    }
    // A line that is torn, or of another version of the rig, is made again from the run's own file.
    const entries = text.split('\n').flatMap((line) => runEntry.safeParse(parseJson(line)).data ?? []);
    return new Map(entries.map((entry) => [entry.id, entry]));
  }

  #read(id: number): RecordedRun {
    try {
      const report = runReport.parse(JSON.parse(readFileSync(this.#file(id), 'utf8')));
      return { id, startedAt: report.startedAt ?? '', report };
    } catch (cause) {
      const why = cause instanceof z.ZodError ? z.prettifyError(cause) : String(cause);
      throw new RigError('infrastructure', `The record of run ${String(id)} can't be read: ${why}`, {
        remedy: `Its file is ${this.#file(id)}; all other runs can still be used.`,
        cause,
      });
    }
  }

  #readOrTell(id: number): RecordedRun | undefined {
    try {
      return this.#read(id);
    } catch (error) {
      if (!this.#told.has(id)) this.#tell(error instanceof Error ? error.message : String(error));
      this.#told.add(id);
      return undefined;
    }
  }

  #file(id: number): string {
    return path.join(this.#folder, `${String(id)}.json`);
  }

  #unusable(cause: unknown): RigError {
    const reason = cause instanceof Error ? cause.message : String(cause);
    return new RigError('infrastructure', `The history of results in ${this.#folder} can't be used: ${reason}`, {
      remedy: 'It has to be a folder that may be written to; DGPU_RIG_HISTORY names another.',
      cause,
    });
  }
}

function entryOf(id: number, { startedAt = '', kernel, rig = '', results, summary }: RunReport): RunEntry {
  const suites = [...new Set(results.map(({ suite }) => suite))];
  return { id, startedAt, kernel: kernel.version, rig, suites, summary, seen: seenInRun({ results }) };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}
