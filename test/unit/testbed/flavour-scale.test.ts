/** How long a test's machine may take: by the accelerator that it has, whatever the run was asked for. */
import { expect, test, vi } from 'vitest';
import { patienceMs } from '../../../src/testbed/life/flavour-scale.ts';

vi.mock('vitest', async (original) => ({
  ...(await original<object>()),
  inject: () => ({ accelerator: 'auto', acceleration: { accelerator: 'kvm' }, selection: { flavour: 'plain' } }),
}));

test('an emulated machine has five times as long, in a run that uses KVM where it can, too', () => {
  expect(patienceMs(1000, 'tcg')).toBe(5000);
  expect(patienceMs(1000, 'kvm')).toBe(1000);
});
