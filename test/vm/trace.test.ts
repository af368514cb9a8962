/** What led to a failure: the guest's trace, from the command line to the artifacts. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { reportOf, rig } from './rig-command.ts';
import { temporaryFolder } from './test-vm.ts';

const MACHINE = ['--machine', 'noswap'] as const;

const TIME_LINE = z.object({
  traceEvents: z.array(
    z.object({ name: z.string(), ts: z.number().optional(), args: z.record(z.string(), z.string()).optional() }),
  ),
});

/** Nothing of such a guest is older. */
const LONGEST_US = 300e6;

test('what led to a failure is in the artifacts of its test: the events that were asked for, on one line of time', async () => {
  const folder = await temporaryFolder();
  const [history, json] = ['history', 'r.json'].map((name) => path.join(folder, name)) as [string, string];
  const failing = ['--exec', 'modprobe edgpu && edgpu-stress info && sleep 0.1 && false', '--trace', 'sched_switch'];
  const { exitCode, said } = await rig(history, 'run', ...MACHINE, ...failing, '--json', json);
  expect(exitCode, said).toBe(1);
  const [result] = (await reportOf(json)).results;
  expect(result?.evidence).toEqual(expect.arrayContaining(['timeline.json', 'trace.txt']));
  const artifact = (name: string): Promise<string> => readFile(path.join(result?.artifacts ?? '', name), 'utf8');
  const trace = await artifact('trace.txt');
  const events = [...trace.matchAll(/^ *\S.*-\d+ +\[\d+\] \S+ +\d+\.\d+: (\w+): /gm)].map(([, name]) => name);
  expect(new Set(events)).toEqual(new Set(['sched_switch']));
  expect(trace).toContain('comm=sleep');
  const { traceEvents } = TIME_LINE.parse(JSON.parse(await artifact('timeline.json')));
  const witnesses = traceEvents.flatMap(({ name, args }) => (name === 'process_name' ? [args?.['name']] : []));
  expect(witnesses.sort()).toEqual(['edgpu', 'guest: console', 'guest: trace']);
  // They have a clock each: years would lie between them if these were not brought together.
  const last = Math.max(...traceEvents.map(({ ts }) => ts ?? 0));
  expect(last).toBeGreaterThan(0);
  expect(last).toBeLessThan(LONGEST_US);
});

test('an event that the kernel does not have is one sentence, and the command is at fault', async () => {
  const wrong = ['--exec', 'true', '--trace', 'vmscan:*,drm:drm_vblank'];
  const { exitCode, said } = await rig('/nonexistent/history', 'run', ...MACHINE, ...wrong);
  expect(said).toContain("dgpu-rig: The guest's kernel has no trace event drm:drm_vblank.");
  expect(said).toContain('Did you mean drm:drm_vblank_event');
  expect(exitCode).toBe(2);
});
