import { expect, test } from 'vitest';
import { StageClock } from '../../../src/vm/sleep/sleep-stages.ts';

test.for([
  ['[    3.222299][   T64] PM: suspend entry (deep)', 'sync'],
  ['[    3.228309][   T12] Filesystems sync: 0.000 seconds', 'prepare'],
  ['[    5.390971][   T68] PM: hibernation: hibernation entry', 'prepare'],
  ['[    3.232473][   T64] Freezing user space processes', 'freeze'],
  ['[    3.239783][   T64] Freezing user space processes completed (elapsed 0.007 seconds)', undefined],
  ['[    3.252394][   T64] GFP mask restricted', 'suspend-devices'],
  ['[    3.651727][   T64] GFP mask restored', undefined],
  ['[    6.288148][   T68] PM: Using 1 thread(s) for lzo compression', 'image-write'],
  ['[    5.100839][    T1] PM: Using 1 thread(s) for lzo decompression', 'image-read'],
  ['[    3.673045][   T64] Restarting tasks: Starting', 'thaw'],
  ['[    3.684336][   T64] PM: suspend exit', 'done'],
] as const)('%s', ([line, stage]) => {
  expect(new StageClock().stageOf(line)).toBe(stage);
});

test('the stages are named in order, and add up', () => {
  const clock = new StageClock();
  clock.enter('sync');
  clock.enter('prepare');
  expect(clock.stage).toBe('prepare');
  expect(clock.stages.map(({ name }) => name)).toEqual(['request', 'sync']);
  const sum = clock.stages.reduce((total, { durationMs }) => total + durationMs, 0);
  expect(Math.abs(clock.totalMs - sum)).toBeLessThan(2);
});
