/** All runs of this machine, in SQLite: what `report --baseline` compares with. */
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import Database from 'libsql';
import { z } from 'zod';
import { cacheDirectory } from '../../config/paths.ts';
import { RigError } from '../../util/rig-error.ts';
import { runReport, type RunReport } from '../run-report.ts';

/** One file; `DGPU_RIG_HISTORY` names another, for a CI that keeps it elsewhere. */
export function historyFile(env: NodeJS.ProcessEnv = process.env): string {
  return env['DGPU_RIG_HISTORY'] ?? path.join(cacheDirectory(), 'history.sqlite');
}

const TABLES = `
  CREATE TABLE IF NOT EXISTS runs (
    id INTEGER PRIMARY KEY,
    started_at TEXT NOT NULL,
    kernel TEXT NOT NULL,
    rig TEXT NOT NULL,
    report TEXT NOT NULL
  );
  CREATE INDEX IF NOT EXISTS runs_by_rig ON runs (rig);
`;

const row = z.object({
  id: z.number(),
  started_at: z.string(),
  kernel: z.string(),
  rig: z.string(),
  report: z.string(),
});

export interface RecordedRun {
  readonly id: number;
  readonly startedAt: string;
  readonly report: RunReport;
}

export class History {
  readonly #database: Database.Database;

  private constructor(database: Database.Database) {
    this.#database = database;
  }

  static open(file: string): History {
    try {
      mkdirSync(path.dirname(path.resolve(file)), { recursive: true });
      const database = new Database(file, { timeout: 10_000 });
      // Two rigs at once may write: one of them waits.
      database.exec('PRAGMA journal_mode = WAL');
      database.exec(TABLES);
      return new History(database);
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new RigError('infrastructure', `The history of results in ${file} can't be used: ${reason}`, {
        remedy: 'Move that file away; a new one is begun.',
        cause,
      });
    }
  }

  record(report: RunReport): number {
    const { startedAt = new Date().toISOString(), kernel, rig = '' } = report;
    const insert = this.#database.prepare('INSERT INTO runs (started_at, kernel, rig, report) VALUES (?, ?, ?, ?)');
    return Number(insert.run([startedAt, kernel.version, rig, JSON.stringify(report)]).lastInsertRowid);
  }

  /** Newest first. */
  runs(before = Number.MAX_SAFE_INTEGER): RecordedRun[] {
    const found = this.#database.prepare('SELECT * FROM runs WHERE id < ? ORDER BY id DESC LIMIT 1000').all([before]);
    return found.map(parseRow);
  }

  run(id: number): RecordedRun | undefined {
    const found = this.#database.prepare('SELECT * FROM runs WHERE id = ?').get([id]);
    return found === undefined ? undefined : parseRow(found);
  }

  /** The newest run of these sources of the rig, or with a kernel of this version (7.3.4 is any package of it) or commit. */
  newestOf(name: { readonly rigCommit?: string; readonly kernel: string }, before: number): RecordedRun | undefined {
    const literally = name.kernel.replaceAll(/[\\%_]/g, '\\$&');
    const found = this.#database
      .prepare(
        `SELECT * FROM runs WHERE id < ? AND (rig = ? OR kernel = ? OR kernel LIKE ? ESCAPE '\\' OR kernel LIKE ? ESCAPE '\\')
         ORDER BY id DESC LIMIT 1`,
      )
      .get([before, name.rigCommit ?? '-', name.kernel, `% at ${literally}%`, `${literally}-%`]);
    return found === undefined ? undefined : parseRow(found);
  }

  close(): void {
    this.#database.close();
  }
}

function parseRow(found: unknown): RecordedRun {
  const { id, started_at: startedAt, report } = row.parse(found);
  return { id, startedAt, report: runReport.parse(JSON.parse(report)) };
}
