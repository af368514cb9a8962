import { expect, test } from 'vitest';
import { hibernateCycles, stressTimeout, suspendCycles } from '../../../src/testbed/sleep/sleep-schedule.ts';
import { percentile, progressText } from '../../../src/testbed/sleep/sleep-stress.ts';
import { median } from '../../../src/util/median.ts';

function first<T>(count: number, cycles: Generator<T, never>): T[] {
  return Array.from({ length: count }, () => cycles.next().value);
}

test('a stress of days ends by itself, and no timer overflows', () => {
  const day = 24 * 3_600_000;
  expect(stressTimeout(2 * day)).toBeGreaterThan(2 * day);
  expect(stressTimeout(30 * day)).toBeLessThan(2 ** 31);
});

test('a seed is a schedule', () => {
  expect(first(100, suspendCycles(7))).toEqual(first(100, suspendCycles(7)));
  expect(first(100, suspendCycles(7))).not.toEqual(first(100, suspendCycles(8)));
});

test('most cycles are real ones to RAM, and there are all kinds', () => {
  const cycles = first(1000, suspendCycles(1));
  const real = cycles.filter(({ state, options }) => state === 's3' && options.pmTest === undefined);
  expect(real.length).toBeGreaterThan(800);
  expect(new Set(cycles.map(({ options }) => options.pmTest)).size).toBe(6);
  expect(cycles.some(({ state }) => state === 's2idle')).toBe(true);
  expect(new Set(first(100, hibernateCycles(1)).map(({ options }) => options.powerOff)).size).toBe(2);
});

test('progress says how long it still takes', () => {
  expect(progressText(10, { cycles: 100, durationMs: Infinity }, 20_000)).toBe(
    '10 cycles of 100, 2.0 s each, 3 min left',
  );
  expect(progressText(10, { cycles: Infinity, durationMs: 80_000 }, 20_000)).toBe('10 cycles, 2.0 s each, 1 min left');
});

test('the 95th percentile is a time that one cycle in twenty exceeds, at most', () => {
  const times = Array.from({ length: 100 }, (_, index) => 100 - index);
  expect(percentile(times, 0.95)).toBe(95);
  expect(percentile([7], 0.95)).toBe(7);
  expect(percentile([1, 2, 3], 0.95)).toBe(3);
  expect(Math.round(median(times))).toBe(51);
});
