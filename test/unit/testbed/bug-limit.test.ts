/**
 * Who is at work in a VM whose kernel has a bug may end by itself for a while; then the VM is given up, with evidence.
 */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { BugLimit } from '../../../src/testbed/life/bug-limit.ts';

const LIMIT_MS = 20_000;
const OOPS = { severity: 'bug', kind: 'oops', title: 'BUG: kernel NULL pointer dereference' } as const;

let told: string[];

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  told = [];
});
afterEach(() => void vi.useRealTimers());

function limitOf(provokes: readonly 'oops'[] = []): BugLimit {
  return new BugLimit({ provokes, limitMs: LIMIT_MS, tell: (detail) => told.push(detail) });
}

async function ended(limit: BugLimit): Promise<unknown> {
  await vi.waitFor(() => expect(limit.signal.aborted).toBe(true), { timeout: 10_000 });
  return limit.signal.reason;
}

test('not before its time is over, and then as a kernel bug', async () => {
  const limit = limitOf();
  limit.heard(OOPS);
  await vi.advanceTimersByTimeAsync(LIMIT_MS - 1);
  expect(limit.signal.aborted).toBe(false);
  await vi.advanceTimersByTimeAsync(1);
  expect(await ended(limit)).toMatchObject({
    failureClass: 'kernel',
    message: expect.stringContaining(OOPS.title) as string,
  });
  expect(told[0]).toContain('20 s');
});

test('later bugs give no more time', async () => {
  const limit = limitOf();
  limit.heard(OOPS);
  await vi.advanceTimersByTimeAsync(LIMIT_MS / 2);
  limit.heard({ ...OOPS, title: 'another' });
  await vi.advanceTimersByTimeAsync(LIMIT_MS / 2);
  expect(await ended(limit)).toMatchObject({ message: expect.stringContaining(OOPS.title) as string });
});

test('what the guest does is written down before', async () => {
  const limit = limitOf();
  const taken: boolean[] = [];
  limit.watch({ takeHangEvidence: () => Promise.resolve(void taken.push(limit.signal.aborted)) });
  limit.heard(OOPS);
  await vi.advanceTimersByTimeAsync(LIMIT_MS);
  await ended(limit);
  expect(taken).toEqual([false]);
});

test.for([
  ['the test provokes it', limitOf(['oops']), OOPS],
  ['it is no bug', limitOf(), { ...OOPS, severity: 'note' }],
] as const)('nothing happens when %s', async ([, limit, report]) => {
  limit.heard(report);
  await vi.advanceTimersByTimeAsync(2 * LIMIT_MS);
  expect(limit.signal.aborted).toBe(false);
});

test('nothing happens after the test', async () => {
  const limit = limitOf();
  limit.heard(OOPS);
  limit.end();
  await vi.advanceTimersByTimeAsync(2 * LIMIT_MS);
  expect(limit.signal.aborted).toBe(false);
});
