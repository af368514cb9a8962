/** Commands of a build with a process that SIGKILL does not end, as one that is stuck in the host's kernel. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, onTestFinished, vi } from 'vitest';
import { runBuildCommand } from '../../../src/builds/tree/build-command.ts';
import { test } from '../cache/temporary-cache.ts';

vi.mock('../../../src/util/signal-process.ts', () => ({ signalProcess: () => true }));

test.for([
  ['the command itself', 'echo $$; exec sleep 60'],
  // In bash, `set -m` gives a job a group of its own, as ninja does, and without a terminal, too.
  [
    'what it has started',
    "set -m; sh -c 'echo $$; exec sleep 60' > pid & until [ -s pid ]; do :; done; cat pid; exit 1",
  ],
] as const)('an abort waits for a while, and no longer, for %s', async ([, script], { cache }) => {
  const abort = new AbortController();
  const start = performance.now();
  const running = runBuildCommand({
    ...{ what: 'the test', argv: ['bash', '-c', script], cwd: cache, log: path.join(cache, 'log') },
    ...{ signal: abort.signal, graceMs: 100, dirtyMarker: path.join(cache, 'dirty') },
    onLine: (line) => {
      if (abort.signal.aborted) return;
      onTestFinished(() => void process.kill(Number(line), 'SIGKILL'));
      abort.abort(new Error('Ctrl-C'));
    },
  });
  await expect(running).rejects.toThrow('Ctrl-C');
  expect(performance.now() - start).toBeLessThan(30_000);
  // It may be writing to the tree still.
  expect(await readFile(path.join(cache, 'dirty'), 'utf8')).toContain('sleep 60');
});
