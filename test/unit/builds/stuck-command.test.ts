/** Commands of a build with a process that SIGKILL does not end, as one that is stuck in the host's kernel. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { execa } from 'execa';
import { expect, onTestFinished, vi } from 'vitest';
import { runBuildCommand } from '../../../src/builds/tree/build-command.ts';
import { test } from '../cache/temporary-cache.ts';

vi.mock('../../../src/util/signal-process.ts', () => ({ signalProcess: () => true }));

test.for([
  ['the command itself', 'while :; do echo $$; sleep 0.05; done'],
  // In bash, `set -m` gives a job a group of its own, as ninja does, and without a terminal, too.
  [
    'what it has started',
    "set -m; sh -c 'echo $$; exec sleep 60' > pid & until [ -s pid ]; do :; done; cat pid; exit 1",
  ],
] as const)('an abort waits for a while, and no longer, for %s', async ([, script], { cache }) => {
  const abort = new AbortController();
  const start = performance.now();
  let heard = 0;
  const running = runBuildCommand({
    ...{ what: 'the test', argv: ['bash', '-c', script], cwd: cache, log: path.join(cache, 'log') },
    ...{ signal: abort.signal, graceMs: 100, dirtyMarker: path.join(cache, 'dirty') },
    onLine: (line) => {
      heard++;
      if (abort.signal.aborted) return;
      onTestFinished(() => void execa('kill', ['-KILL', line], { reject: false }));
      abort.abort(new Error('Ctrl-C'));
    },
  });
  await expect(running).rejects.toThrow('Ctrl-C');
  expect(performance.now() - start).toBeLessThan(30_000);
  // It may be writing to the tree still; what it says is nobody's concern any more.
  expect(await readFile(path.join(cache, 'dirty'), 'utf8')).toContain('sleep');
  const before = heard;
  await pause(300);
  expect(heard).toBe(before);
});
