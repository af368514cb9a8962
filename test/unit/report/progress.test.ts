import { expect, test } from 'vitest';
import { plainProgress } from '../../../src/report/live/progress.ts';

test('a log gets a line when a step starts and one when it ends', () => {
  const lines: string[] = [];
  const { emit, stop } = plainProgress((line) => lines.push(line));
  emit({ type: 'step-start', id: 'a', title: 'Build A' });
  emit({ type: 'step-start', id: 'b', title: 'Build B' });
  emit({ type: 'step-progress', id: 'a', detail: '7 of 9' });
  emit({ type: 'step-end', id: 'b', outcome: 'cached', durationMs: 0 });
  emit({ type: 'step-end', id: 'a', outcome: 'failed', durationMs: 61_400 });
  emit({ type: 'step-start', id: 'c', title: 'Test C' });
  emit({ type: 'step-end', id: 'c', outcome: 'skipped', durationMs: 1000 });
  emit({ type: 'notice', text: 'hello' });
  stop();
  expect(lines).toEqual([
    '… Build A',
    '… Build B',
    '= Build B  (0.0 s)',
    '✘ Build A: 7 of 9  (1 min 1 s)',
    '… Test C',
    '- Test C  (1.0 s)',
    'hello',
  ]);
});
