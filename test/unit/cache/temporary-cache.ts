/** A cache of its own for each test, and an `Emit` that remembers. */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test as base } from 'vitest';

import type { RigEvent } from '../../../src/util/rig-event.ts';

interface Recorder {
  readonly events: readonly RigEvent[];
  readonly emit: (event: RigEvent) => void;
}

export const test = base.extend<{ cache: string; recorder: Recorder }>({
  cache: [
    async ({}, use) => {
      const folder = await mkdtemp(path.join(tmpdir(), 'dgpu-rig-test-'));
      const before = process.env['DGPU_RIG_CACHE'];
      process.env['DGPU_RIG_CACHE'] = folder;
      await use(folder);
      if (before === undefined) delete process.env['DGPU_RIG_CACHE'];
      else process.env['DGPU_RIG_CACHE'] = before;
      await rm(folder, { recursive: true });
    },
    { auto: true },
  ],
  recorder: async ({}, use) => {
    const events: RigEvent[] = [];
    await use({ events, emit: (event) => events.push(event) });
  },
});
