/** What the signals that end the rig do, by when they come. */
import { beforeEach, describe, expect, test, vi } from 'vitest';
import { endingSignals, type EndingSignal } from '../../../src/cli/ending-signals.ts';

let now: number;
let tell: (name: EndingSignal) => void;
const [inOrder, atOnce] = [vi.fn(), vi.fn()];

beforeEach(() => {
  now = 5000;
  inOrder.mockReset();
  atOnce.mockReset();
  tell = endingSignals({ inOrder, atOnce, now: () => now, isEnding: () => inOrder.mock.calls.length > 0 });
});

describe('the first ends all in order', () => {
  test('and by itself nothing at once', () => {
    tell('SIGTERM');
    expect(inOrder).toHaveBeenCalledExactlyOnceWith('SIGTERM');
    expect(atOnce).not.toHaveBeenCalled();
  });

  // As timeout(1) sends it, to the process and then to its group; and as npm passes on what the rig got, too.
  test('and is the first still when it comes twice', () => {
    tell('SIGTERM');
    now += 100;
    tell('SIGTERM');
    tell('SIGINT');
    expect(inOrder).toHaveBeenCalledOnce();
    expect(atOnce).not.toHaveBeenCalled();
  });
});

test('another one ends all at once, when a person may have sent it', () => {
  tell('SIGINT');
  now += 300;
  tell('SIGINT');
  expect(inOrder).toHaveBeenCalledOnce();
  expect(atOnce).toHaveBeenCalledOnce();
});

test('all ends at once when the rig was ending for another reason', () => {
  tell = endingSignals({ inOrder, atOnce, now: () => now, isEnding: () => true });
  tell('SIGINT');
  expect(inOrder).not.toHaveBeenCalled();
  expect(atOnce).toHaveBeenCalledOnce();
});
