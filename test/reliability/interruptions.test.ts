/**
 * Ctrl-C in every phase, and other ways to end a run early: the rig says so by its exit code, soon, and leaves nothing
 * behind.
 */
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { describe, expect, onTestFinished, test } from 'vitest';
import { EFFORT } from './random-moments.ts';
import { NO_SANDBOX, readEvents, Sandbox, SMALL_RUN, until } from './sandbox.ts';

interface Phase {
  readonly name: string;
  /** Takes minutes: not part of what every change runs. */
  readonly long?: true;
  /** Stages that are not in the cache. */
  readonly forget?: readonly string[];
  /** True of the first event of the phase. */
  readonly began: (event: Record<string, unknown>) => boolean;
}

const startsStep = (id: string) => (event: Record<string, unknown>) =>
  event['type'] === 'step-start' && event['id'] === id;
const worksOn = (id: string) => (event: Record<string, unknown>) =>
  event['type'] === 'step-progress' && event['id'] === id;
const says = (detail: string) => (event: Record<string, unknown>) => event['detail'] === detail;

const PHASES: readonly Phase[] = [
  { name: 'looking into the cache', began: startsStep('packages') },
  { name: 'building firmware', forget: ['firmware'], began: startsStep('firmware') },
  { name: 'building QEMU', forget: ['qemu'], began: worksOn('qemu'), long: true },
  { name: 'building the kernel', forget: ['kernel'], began: worksOn('kernel'), long: true },
  { name: 'compiling for the guest', forget: ['guest-image'], began: says('compiling edgpu-stress') },
  { name: 'loading the tests', began: ({ type }) => type === 'run-start' },
  { name: 'starting its VM', began: says('starting its VM') },
  { name: 'running a program in the guest', began: says('running smoke') },
  { name: 'ending the VM', began: ({ type }) => type === 'test-end' },
];

/** In order: VMs and builds down first. A busy host takes its time. */
const SOON_MS = 30_000;

describe.skipIf(NO_SANDBOX !== undefined)(`interrupted${NO_SANDBOX === undefined ? '' : ` (${NO_SANDBOX})`}`, () => {
  const phases = PHASES.filter(({ long }) => EFFORT > 1 || long === undefined);

  test.for(phases)('while $name', { timeout: 300_000 }, async ({ forget = [], began }) => {
    const sandbox = await Sandbox.open({ sizeMiB: 3072, artifactsMiB: 1024 });
    for (const stage of forget) await sandbox.forget(stage);
    const folder = await mkdtemp(path.join(tmpdir(), 'dgpu-rig-test-'));
    onTestFinished(() => rm(folder, { recursive: true }));
    const events = path.join(folder, 'events');
    const run = sandbox.start(...SMALL_RUN, '--jsonl', events);
    await until(async () => run.hasEnded || (await readEvents(events)).some(began), 200_000);
    expect((await readEvents(events)).some(began), `the phase is reached: ${run.output}`).toBe(true);
    const start = performance.now();
    run.signalGroup('SIGINT');
    expect(await run.ended, run.output).toEqual({ code: 130, signal: null });
    expect(performance.now() - start).toBeLessThan(SOON_MS);
    expect(run.output).not.toContain('outside of any test');
    await sandbox.expectClean();
    for (const stage of forget) {
      // It may have ended before there was anything to build.
      const entries = await readdir(sandbox.cache(stage)).catch(() => []);
      expect(entries.filter((name) => name.startsWith('tmp-'))).toEqual([]);
    }
  });

  test.for([
    ['by timeout(1), which tells the rig and then the whole group', 'SIGTERM', ['signal', 'signalGroup']],
    ['by a service manager, which may tell the rig alone', 'SIGTERM', ['signal']],
    ['by a terminal that is closed', 'SIGHUP', ['signalGroup']],
  ] as const)('%s', { timeout: 300_000 }, async ([, name, sends]) => {
    const sandbox = await Sandbox.open({ artifactsMiB: 1024 });
    const run = sandbox.start(...SMALL_RUN, '--jsonl', sandbox.cache('events'));
    const inGuest = says('running smoke');
    await until(async () => run.hasEnded || (await readEvents(sandbox.cache('events'))).some(inGuest), 200_000);
    expect(run.hasEnded, run.output).toBe(false);
    for (const send of sends) run[send](name);
    expect(await run.ended, run.output).toEqual({ code: 130, signal: null });
    expect(run.output).not.toContain('outside of any test');
    // Somebody may have ended it because the guest hung, and wants to see why.
    const [, artifacts = ''] = /^Artifacts: (.*)$/m.exec(run.output) ?? [];
    const [vm = 'no VM'] = await readdir(sandbox.file(artifacts));
    expect(await readdir(sandbox.file(path.join(artifacts, vm)))).toContain('serial.log');
    await sandbox.expectClean();
  });

  test('twice ends it at once, and leaves nothing either', { timeout: 300_000 }, async () => {
    const sandbox = await Sandbox.open();
    await sandbox.forget('firmware');
    const run = sandbox.start('build');
    expect(await run.hasSaid(/… Build SeaBIOS/)).toBe(true);
    run.signal('SIGINT');
    expect(await run.hasSaid(/press Ctrl-C again/)).toBe(true);
    // What comes at once is the same signal, which was sent twice.
    await pause(300);
    run.signal('SIGINT');
    expect(await run.ended).toEqual({ code: 130, signal: null });
    await sandbox.expectClean();
  });
});
