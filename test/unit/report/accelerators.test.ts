/** What is told of the accelerators of a run. */
import { expect, test } from 'vitest';
import { acceleratorsOf } from '../../../src/report/text/accelerators.ts';

test('why it is not KVM stands within the sentence', () => {
  const host = { accelerator: 'tcg', reason: 'There is no /dev/kvm.' } as const;
  expect(acceleratorsOf({ host, results: [] } as never)).toBe('tcg (There is no /dev/kvm)');
});

test('machines that ran under another one are named', () => {
  const result = (machine: string): object => ({ accelerator: 'tcg', params: { machine } });
  const results = [result('tiers'), result('pair'), { params: { machine: 'noswap' } }];
  expect(acceleratorsOf({ host: { accelerator: 'kvm' }, results } as never)).toBe('kvm; tcg for pair and tiers');
});
