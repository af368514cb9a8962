/** What somebody may have meant. */
import { expect, test } from 'vitest';
import { nearestNames } from '../../../src/util/nearest-names.ts';

const NAMES = ['smoke', 'swap', 'suspend', 'selftests', 'dma › tiers, dma-bits 48, wc › all can be had'];

test.for([
  ['smok', ['smoke']],
  ['SMOKE', ['smoke']],
  ['smkoe', ['smoke']],
  ['supsend', ['suspend']],
  ['suspent', ['suspend']],
  ['dma-bit 48', ['dma › tiers, dma-bits 48, wc › all can be had']],
  ['s', ['swap', 'smoke', 'suspend']],
  ['rn', []],
  ['nosuch', []],
] as const)('%s', ([wanted, near]) => expect(nearestNames(wanted, NAMES)).toEqual(near));
