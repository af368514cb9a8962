/**
 * One shard on another host, as whoever waits for it sees it: a step, from its first job's begin to its last one's end.
 */
import { shardName, type Shard } from '../../config/shard.ts';
import type { LogEvent } from '../../report/live/event-log.ts';
import { lostJobText } from '../../report/past/merge-shards.ts';
import type { Emit } from '../../util/rig-event.ts';
import type { ShardAttempts, ShardEvent } from './shard-attempts.ts';

export class ShardProgress {
  readonly #attempts: ShardAttempts;
  readonly #shard: Shard;
  readonly #emit: Emit;
  readonly #log: LogEvent;
  readonly #id: string;
  #startedAt: number | undefined;
  #ended = false;
  #lost = 0;

  constructor(attempts: ShardAttempts, shard: Shard, emit: Emit, log: LogEvent) {
    this.#attempts = attempts;
    this.#shard = shard;
    this.#emit = emit;
    this.#log = log;
    this.#id = `shard-${String(shard.index)}`;
  }

  async update(): Promise<void> {
    const news = await this.#attempts.news();
    const { node, lost } = this.#attempts;
    if (node === undefined || this.#ended) return;
    if (this.#startedAt === undefined) {
      this.#startedAt = performance.now();
      this.#emit({ type: 'step-start', id: this.#id, title: `Shard ${shardName(this.#shard)}` });
    }
    for (const job of lost.slice(this.#lost)) {
      this.#emit({ type: 'notice', text: lostJobText({ ...job, testsEnded: job.results.length }) });
    }
    this.#lost = lost.length;
    for (const event of news) this.#tell(node, event);
  }

  end(outcome: 'done' | 'failed'): void {
    if (this.#startedAt === undefined || this.#ended) return;
    this.#ended = true;
    this.#emit({ type: 'step-progress', id: this.#id, detail: this.#attempts.node ?? '' });
    this.#emit({ type: 'step-end', id: this.#id, outcome, durationMs: performance.now() - this.#startedAt });
  }

  #tell(node: string, event: ShardEvent): void {
    switch (event.type) {
      case 'test-end':
        this.#log(event);
        break;
      case 'notice':
        this.#emit(event);
        break;
      case 'step-start':
        this.#emit({ type: 'step-progress', id: this.#id, detail: `${node}: ${event.title}` });
        break;
    }
  }
}
