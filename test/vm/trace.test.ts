/** What led to a failure: the guest's trace, from the command line to the artifacts. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, test } from 'vitest';
import { reportOf, rig } from './rig-command.ts';
import { temporaryFolder } from './test-vm.ts';

const MACHINE = ['--machine', 'noswap'] as const;

test('the trace of a test that fails is in its artifacts, with the events that were asked for and no others', async () => {
  const folder = await temporaryFolder();
  const [history, json] = ['history', 'r.json'].map((name) => path.join(folder, name)) as [string, string];
  const failing = ['--exec', 'modprobe gpu-sched && sleep 0.1 && false', '--trace', 'sched_switch,gpu_scheduler:*'];
  const { exitCode, said } = await rig(history, 'run', ...MACHINE, ...failing, '--json', json);
  expect(exitCode, said).toBe(1);
  const [result] = (await reportOf(json)).results;
  const trace = await readFile(path.join(result?.artifacts ?? '', 'trace.txt'), 'utf8');
  const events = [...trace.matchAll(/^ *\S.*-\d+ +\[\d+\] \S+ +\d+\.\d+: (\w+): /gm)].map(([, name]) => name);
  expect(new Set(events)).toEqual(new Set(['sched_switch']));
  expect(trace).toContain('comm=sleep');
});

test('an event that the kernel does not have is one sentence, and the command is at fault', async () => {
  const wrong = ['--exec', 'true', '--trace', 'vmscan:*,drm:drm_vblank'];
  const { exitCode, said } = await rig('/nonexistent/history', 'run', ...MACHINE, ...wrong);
  expect(said).toContain("dgpu-rig: The guest's kernel has no trace event drm:drm_vblank.");
  expect(said).toContain('Did you mean drm:drm_vblank_event');
  expect(exitCode).toBe(2);
});
