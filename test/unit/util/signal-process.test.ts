import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { signalProcess } from '../../../src/util/signal-process.ts';

test('a process that has ended is no error, and one that may not be signalled is', () => {
  const { pid } = spawnSync('true');
  expect(signalProcess(pid, 'SIGKILL')).toBe(false);
  expect(signalProcess(-pid, 'SIGINT')).toBe(false);
  expect(() => signalProcess(process.pid, 'SIGNONE' as NodeJS.Signals)).toThrow('Unknown signal');
});
