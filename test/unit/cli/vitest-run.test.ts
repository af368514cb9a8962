/** How a run of vitest is cancelled. */
import { EventEmitter, once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import { expect, onTestFinished, test, vi } from 'vitest';
import { OpenVitest } from '../../../src/cli/run/vitest-run.ts';
import type { RigContext } from '../../../src/plan/rig-context.ts';

const fakes = vi.hoisted(() => ({ createVitest: vi.fn<() => Promise<object>>() }));
vi.mock('vitest/node', async (original) => ({ ...(await original<object>()), ...fakes }));

const RIG = { artifacts: '/nonexistent/artifacts', selection: { flavour: 'plain' } } as RigContext;

/** A vitest that runs until it is cancelled, and says then that it could not be. */
function uncancellable(): object {
  const cancelled = new EventEmitter();
  return {
    provide: () => undefined,
    resetGlobalTestNamePattern: () => undefined,
    start: () => once(cancelled, 'cancel'),
    cancelCurrentRun: () => {
      cancelled.emit('cancel');
      return Promise.reject(new Error('The run failed while it was being cancelled.'));
    },
  };
}

test('what ends the rig is for its own listeners: those of vitest would end it as a failed test', async () => {
  const endings = ['SIGINT', 'SIGTERM', 'uncaughtException', 'unhandledRejection'] as const;
  const ours = (): void => undefined;
  const theirs = (): void => undefined;
  for (const name of endings) process.on(name, ours);
  onTestFinished(() => {
    for (const name of endings) process.off(name, ours).off(name, theirs);
  });
  fakes.createVitest.mockImplementation(() => {
    for (const name of endings) process.on(name, theirs);
    return Promise.resolve({});
  });
  const progress = { emit: () => undefined, print: () => undefined, stop: () => undefined };
  await OpenVitest.open({ projects: [] }, { progress, signal: new AbortController().signal });
  for (const name of endings) {
    expect(process.rawListeners(name), name).toContain(ours);
    expect(process.rawListeners(name), name).not.toContain(theirs);
  }
});

test('a run that cannot be cancelled ends as it does, and its cancelling is no crash of the rig', async () => {
  const crashes: unknown[] = [];
  const crash = (error: unknown): void => void crashes.push(error);
  process.on('unhandledRejection', crash);
  onTestFinished(() => void process.off('unhandledRejection', crash));
  fakes.createVitest.mockResolvedValue(uncancellable());
  const end = new AbortController();
  const progress = { emit: () => undefined, print: () => undefined, stop: () => undefined };
  const vitest = await OpenVitest.open({ projects: [] }, { progress, signal: end.signal });
  const run = vitest.run(RIG, undefined);
  end.abort();
  expect((await run).results).toEqual([]);
  // Node tells of a rejection that nobody handles once the promises that are ready have been served.
  await pause(0);
  expect(crashes).toEqual([]);
});
