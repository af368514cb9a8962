/** The figures of a stress of suspends, which may last for a week. */
import { expect, test, vi } from 'vitest';
import type { TestRecord } from '../../../src/plan/rig-context.ts';
import type { Sleeper } from '../../../src/testbed/programs/sleeper.ts';
import { stressSleep } from '../../../src/testbed/sleep/sleep-stress.ts';

vi.mock('node:timers/promises', () => ({ setTimeout: () => Promise.resolve() }));

test('hold for more cycles than a function may have arguments', async () => {
  const record: TestRecord = { params: {}, metrics: {}, kernelReports: [] };
  const cycles = 150_000;
  let done = 0;
  await stressSleep({
    schedule: (function* () {
      for (;;) yield { state: 's3' as const, awakeMs: 0, reload: false, options: {} };
    })() as never,
    ...{ cycles, durationMs: Infinity, record },
    annotate: () => Promise.resolve(),
    suspend: (state) => Promise.resolve({ state, stages: [], totalMs: ++done }),
    start: () => Promise.resolve({ verify: () => Promise.resolve(undefined) } as unknown as Sleeper),
    stop: () => Promise.resolve(),
  });
  expect(record.metrics).toMatchObject({ cycles, s3LongestMs: cycles, s3P95Ms: 0.95 * cycles });
});
