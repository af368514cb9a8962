import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  BACKENDS,
  CACHINGS,
  combinationName,
  isPossible,
  USUAL_DMA_BITS,
  type Combination,
  type Factors,
  type Impossible,
} from '../../../src/config/combination.ts';
import { FLAVOURS } from '../../../src/config/flavour.ts';
import { allPairs, fullProduct, pairsOf } from '../../../src/plan/covering.ts';
import { smallerOnes, smallestFailing, type Verdicts } from '../../../src/plan/smallest-failing.ts';

const MACHINES = ['tiers', 'tight', 'straddle', 'noswap'] as const;

function someOf<T>(values: readonly T[]): fc.Arbitrary<[T, ...T[]]> {
  return fc.shuffledSubarray([...values], { minLength: 1 }) as fc.Arbitrary<[T, ...T[]]>;
}

const factors: fc.Arbitrary<Factors> = fc.record({
  machine: someOf<string>(MACHINES),
  dmaBits: someOf<number>(USUAL_DMA_BITS),
  backend: someOf(BACKENDS),
  caching: someOf(CACHINGS),
  flavour: someOf(FLAVOURS),
});

const impossible: fc.Arbitrary<Impossible[]> = fc.array(
  fc
    .record(
      { machine: someOf<string>(MACHINES), dmaBits: someOf<number>(USUAL_DMA_BITS), caching: someOf(CACHINGS) },
      { requiredKeys: [] },
    )
    .map((values) => ({ values, because: 'of the test' })),
  { maxLength: 3 },
);

const names = (combinations: readonly Combination[]): string[] => combinations.map(combinationName);

describe('every pair', () => {
  test('that is possible is covered, by possible combinations only, none of them twice', () => {
    fc.assert(
      fc.property(factors, impossible, (of, not) => {
        const chosen = allPairs(of, not);
        const covered = new Set(chosen.flatMap(pairsOf));
        const all = fullProduct(of, not);
        expect(chosen.every((combination) => isPossible(combination, not))).toBe(true);
        expect(all.flatMap(pairsOf).filter((pair) => !covered.has(pair))).toEqual([]);
        expect(new Set(names(chosen)).size).toBe(chosen.length);
        expect(chosen.length).toBeLessThanOrEqual(all.length);
      }),
    );
  });

  test('takes few: no more than half as many again as the two largest factors ask for', () => {
    const of: Factors = {
      machine: ['1', '2', '3', '4', '5', '6', '7', '8'],
      dmaBits: [40, 32, 48],
      backend: ['shmem', 'backup', 'legacy'],
      caching: ['cached', 'wc', 'uc'],
      flavour: ['plain', 'kasan', 'lockdep', 'kmemleak', 'failslab'],
    };
    expect(fullProduct(of, [])).toHaveLength(8 * 3 * 3 * 3 * 5);
    expect(allPairs(of, []).length).toBeLessThanOrEqual(60);
    expect(allPairs({ ...of, flavour: ['plain'] }, [])).toHaveLength(24);
  });

  test('begins with the most usual', () => {
    fc.assert(
      fc.property(factors, (of) => {
        const usual = Object.fromEntries(
          Object.entries(of).map(([name, values]) => [name, (values as readonly unknown[])[0]]),
        );
        expect(allPairs(of, [])[0]).toEqual(usual);
      }),
    );
  });
});

describe('a failing combination', () => {
  const all: Factors = {
    machine: [...MACHINES],
    dmaBits: [...USUAL_DMA_BITS],
    backend: [...BACKENDS],
    caching: [...CACHINGS],
    flavour: [...FLAVOURS],
  };

  test('is reduced to what causes the failure, whatever that is, with nothing tried twice', async () => {
    const cause = fc.record(
      {
        machine: fc.constantFrom(...MACHINES.slice(1)),
        dmaBits: fc.constantFrom(...USUAL_DMA_BITS.slice(1)),
        backend: fc.constantFrom(...BACKENDS.slice(1)),
        caching: fc.constantFrom(...CACHINGS.slice(1)),
      },
      { requiredKeys: [] },
    );
    const whole = fc.constantFrom(...fullProduct(all, []));
    await fc.assert(
      fc.asyncProperty(whole, cause, async (some, needed) => {
        const tried: string[] = [];
        const fails = (candidate: Combination): boolean =>
          Object.entries(needed).every(([name, value]) => candidate[name as keyof Combination] === value);
        const failing = { ...some, ...needed };
        const known: Verdicts = new Map([[combinationName(failing), true]]);
        const found = await smallestFailing(failing, { factors: all, impossible: [] }, known, (candidate) => {
          tried.push(combinationName(candidate));
          return Promise.resolve(fails(candidate));
        });
        const usual = fullProduct(all, [])[0];
        expect(found).toEqual({ ...usual, ...needed });
        expect(new Set(tried).size).toBe(tried.length);
        expect(tried).not.toContain(combinationName(failing));
      }),
    );
  });

  test('stays as it is where nothing smaller fails, and what is impossible is not tried', async () => {
    const failing: Combination = { machine: 'tight', dmaBits: 48, backend: 'legacy', caching: 'uc', flavour: 'plain' };
    const tried: string[] = [];
    const not: Impossible[] = [{ values: { machine: ['tight'], backend: ['shmem'] }, because: 'of the test' }];
    const found = await smallestFailing(failing, { factors: all, impossible: not }, new Map(), (candidate) => {
      tried.push(combinationName(candidate));
      return Promise.resolve(false);
    });
    expect(found).toEqual(failing);
    expect(tried.filter((name) => name.startsWith('tight'))).toEqual(
      tried.filter((name) => /^tight \S+ legacy/.test(name)),
    );
    expect(smallerOnes(failing, all)).toHaveLength(2 ** 4 - 1);
  });
});
