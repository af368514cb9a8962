/** What the jobs of a shard leave in the folder that all hosts share: one folder for each time that it was begun. */
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import type { Shard } from '../../config/shard.ts';
import { reportOfEvents } from '../../report/live/unfinished-run.ts';
import type { LostJob } from '../../report/past/merge-shards.ts';
import { runReport, testResult, type RunReport, type TestResult } from '../../report/run-report.ts';
import { shellQuote } from '../../util/shell-quote.ts';

/** Those events of "run --jsonl" that the person who waits wants to see. */
const interesting = z.discriminatedUnion('type', [
  z.object({ type: z.literal('test-end'), result: testResult }),
  z.object({ type: z.literal('notice'), text: z.string() }),
  z.object({ type: z.literal('step-start'), title: z.string() }),
]);
export type ShardEvent = z.infer<typeof interesting>;

const FILES = { node: 'node', report: 'report.json', events: 'events.jsonl', output: 'output' } as const;

/** The batch script: task i of the job array is shard i. */
export function batchScript(folder: string, rig: readonly string[], shards: number): string {
  const { node, report, events, output } = FILES;
  const shard = `"$SLURM_ARRAY_TASK_ID/${String(shards)}"`;
  return [
    '#!/bin/sh',
    'set -eu',
    `attempt=${shellQuote(folder)}/shard-$SLURM_ARRAY_TASK_ID/attempt-\${SLURM_RESTART_COUNT:-0}`,
    'mkdir -p "$attempt"',
    `echo "$SLURMD_NODENAME" > "$attempt/${node}"`,
    // The rig takes the place of this shell, so that a cancelled job ends in order.
    `exec ${rig.map(shellQuote).join(' ')} --shard ${shard} \\`,
    `    --json "$attempt/${report}" --jsonl "$attempt/${events}" > "$attempt/${output}" 2>&1`,
    '',
  ].join('\n');
}

interface Attempt {
  readonly folder: string;
  readonly node: string;
  readonly results: TestResult[];
  linesRead: number;
}

export class ShardAttempts {
  readonly index: number;
  readonly #of: number;
  readonly #folder: string;
  readonly #attempts = new Map<string, Attempt>();

  constructor(folder: string, { index, of }: Shard) {
    this.index = index;
    this.#of = of;
    this.#folder = path.join(folder, `shard-${String(index)}`);
  }

  /** The node on which the shard was begun last. */
  get node(): string | undefined {
    return this.#latest?.node;
  }

  /** What has happened since this was last asked. */
  async news(): Promise<ShardEvent[]> {
    const names = await readdir(this.#folder).catch(() => []);
    const inOrder = names.sort((a, b) => a.localeCompare(b, 'en', { numeric: true }));
    const news: ShardEvent[] = [];
    for (const name of inOrder) {
      const attempt = this.#attempts.get(name) ?? (await openAttempt(path.join(this.#folder, name)));
      if (!attempt) continue;
      this.#attempts.set(name, attempt);
      news.push(...(await readOn(attempt)));
    }
    return news;
  }

  /**
   * Of the attempt that came to its end; the first that did, should a node only have seemed to be dead. One that was
   * interrupted did not: Slurm ends a job so before it begins it again elsewhere. `interrupted` asks for the report of
   * such a one, too, where there is no other: the whole run was.
   */
  async report({ interrupted = false } = {}): Promise<RunReport | undefined> {
    const reports: RunReport[] = [];
    for (const { folder } of this.#attempts.values()) {
      const text = await readFile(path.join(folder, FILES.report), 'utf8').catch(() => undefined);
      if (text !== undefined) reports.push(runReport.parse(JSON.parse(text)));
    }
    const complete = reports.find(({ cutShort }) => cutShort?.how !== 'interrupted');
    return complete ?? (interrupted ? (reports.at(-1) ?? (await this.#reportOfEvents())) : undefined);
  }

  /** The report of a job that was killed, with what it had judged by then. */
  async #reportOfEvents(): Promise<RunReport | undefined> {
    const { folder } = this.#latest ?? {};
    if (folder === undefined) return undefined;
    const report = reportOfEvents(await readFile(path.join(folder, FILES.events), 'utf8').catch(() => ''));
    return report && { ...report, shard: { index: this.index, of: this.#of } };
  }

  /** All attempts but the last: that one is the shard, however it ends. */
  get lost(): LostJob[] {
    return [...this.#attempts.values()].slice(0, -1).map(({ node, results }) => ({ shard: this.index, node, results }));
  }

  /** The last lines that the shard printed. */
  async lastWords(lines: number): Promise<string> {
    const latest = this.#latest;
    const text = latest && (await readFile(path.join(latest.folder, FILES.output), 'utf8').catch(() => ''));
    return (text ?? '').trimEnd().split('\n').slice(-lines).join('\n');
  }

  get #latest(): Attempt | undefined {
    return [...this.#attempts.values()].at(-1);
  }
}

/** Undefined until the shard has said on which node it is. */
async function openAttempt(folder: string): Promise<Attempt | undefined> {
  const node = (await readFile(path.join(folder, FILES.node), 'utf8').catch(() => '')).trim();
  return node === '' ? undefined : { folder, node, results: [], linesRead: 0 };
}

async function readOn(attempt: Attempt): Promise<ShardEvent[]> {
  const text = await readFile(path.join(attempt.folder, FILES.events), 'utf8').catch(() => '');
  // The last one may be half there.
  const lines = text.split('\n').slice(0, -1);
  const events = lines.slice(attempt.linesRead).flatMap((line) => interesting.safeParse(parseJson(line)).data ?? []);
  attempt.linesRead = lines.length;
  for (const event of events) if (event.type === 'test-end') attempt.results.push(event.result);
  return events;
}

/** A power cut may leave anything behind. */
function parseJson(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}
