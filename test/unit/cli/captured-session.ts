/** A session of a command in a folder of its own, whose history is there, and all that it prints. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { vi } from 'vitest';
import type { Session } from '../../../src/cli/session.ts';

export class CapturedSession implements Session {
  readonly folder: string;
  readonly end = new AbortController();
  readonly signal = this.end.signal;
  readonly progress = {
    emit: (): void => undefined,
    print: (text: string): void => void this.#write(`${text}\n`),
    stop: (): void => undefined,
  };
  printed = '';

  private constructor(folder: string) {
    this.folder = folder;
    vi.stubEnv('DGPU_RIG_HISTORY', path.join(folder, 'history'));
    for (const stream of [process.stdout, process.stderr]) {
      vi.spyOn(stream, 'write').mockImplementation((text) => this.#write(String(text)));
    }
  }

  static async open(): Promise<CapturedSession> {
    return new CapturedSession(await mkdtemp(path.join(tmpdir(), 'dgpu-rig-test-')));
  }

  async close(): Promise<void> {
    vi.restoreAllMocks();
    vi.unstubAllEnvs();
    await rm(this.folder, { recursive: true });
  }

  #write(text: string): boolean {
    this.printed += text;
    return true;
  }
}
