/**
 * Whatever the driver is asked for, with the first allocation on the way refused, then the second, and so on: it fails
 * for want of memory or gets by, keeps the content of every object and holds no page that it did not hold before. Only
 * a kernel of the flavour `failslab` can refuse allocations; it also looks for leaks after each test.
 */
import { describe, expect, inject } from 'vitest';
import { z } from 'zod';
import { countFailures, failingEnvironment, prepareFailures } from '../testbed/programs/allocation-failures.ts';
import { test } from '../testbed/fixtures.ts';
import { programReport, runProgram, smokeReport } from '../testbed/programs/stress-program.ts';

/** Known without a guest, which others need not boot for this. */
const refuses = inject('rig').selection.flavour === 'failslab';

const report = programReport.extend({
  /** Allocations. */
  refused: z.number(),
  /** Attempts that were told so. */
  failed: z.number(),
  /** Times that an object was found to be as it was. */
  verified: z.number(),
  /** Times that something was made, and only its handle could not be told. */
  untold: z.number(),
  /** How many allocations were refused in each thing that was asked for. */
  operations: z.record(z.string(), z.number()),
});

/** They need no memory, or none that this process is to blame for: what they are here for is that they don't fail. */
const NEED_NONE = ['mmapOffset', 'wait', 'evict', 'evictChunk', 'evictRest', 'evictAll', 'dontNeed', 'discard'];

/** With a program that is long because it is thorough, on a slow kernel. */
const DEADLINE_MS = 1_200_000;

/** So little VRAM that one object fills it. */
const shape = { machine: 'tiers', dmaBits: 40, vramMiB: 1, backend: 'shmem' } as const;

describe.skipIf(!refuses)('each allocation in turn (only --flavour failslab refuses any)', { concurrent: true }, () => {
  test.override(shape);

  test.for([
    ['cached', 'whole', {}],
    ['cached', 'in chunks', { chunk: 4 }],
    ['wc', 'in chunks', { chunk: 4 }],
    ['uc', 'whole', {}],
  ] as const)('%s, %s', async ([caching, , options], { guest, gpu, seed, backend, record }) => {
    await gpu.load({ backend });
    await prepareFailures(guest);
    const run = { name: 'nth', options: { caching, seed, ...options }, report, deadlineMs: DEADLINE_MS };
    const said = await runProgram(guest, run);
    Object.assign(record.metrics, { refused: said.refused, failed: said.failed, ...said.operations });
    expect(said.ok, said.firstError).toBe(true);
    const spared = Object.entries(said.operations).filter(([, refused]) => refused === 0);
    expect(spared.map(([name]) => name).filter((name) => !NEED_NONE.includes(name))).toEqual([]);
    expect(said.failed).toBeGreaterThan(0);
    expect(said.verified).toBeGreaterThan(said.refused);
    expect(said.untold).toBeGreaterThan(0);
    // The kernel's own count.
    expect(await countFailures(guest)).toBeGreaterThan(said.refused / 2);
    expect(await gpu.statistics()).toMatchObject({ faults: 0 });
    await gpu.unload();
  });

  test('control: a bit that changes when an attempt fails is seen', async ({ guest, gpu, seed, backend }) => {
    await gpu.load({ backend });
    await prepareFailures(guest);
    const options = { caching: 'cached', seed, lose: 'yes' };
    const said = await runProgram(guest, { name: 'nth', options, report, deadlineMs: DEADLINE_MS });
    expect(said.firstError).toMatch(/allocation \d+ refused: content$/);
    expect(said.mismatches).toBeGreaterThan(said.failed / 2);
  });
});

/** As short as a program can be. */
const short = { name: 'smoke', options: { bytes: 4096, 'object-size': 4096 }, report: smokeReport };

describe.skipIf(!refuses)('a program of few ioctls', { concurrent: true }, () => {
  test.override(shape);

  test('has an allocation refused, whatever the seed', async ({ guest, gpu, seed, backend }) => {
    await gpu.load({ backend });
    for (let at = seed; at < seed + 10; at++) {
      await prepareFailures(guest);
      const options = { ...short.options, seed: at };
      const said = await runProgram(guest, {
        ...short,
        options,
        deadlineMs: DEADLINE_MS,
        environment: failingEnvironment(at),
      });
      expect(said, said.firstError).toMatchObject({ ok: true, mismatches: 0 });
      expect(await countFailures(guest)).toBeGreaterThan(0);
    }
  });

  test('control: a run that had none refused is told', async ({ guest, gpu, seed, backend }) => {
    await gpu.load({ backend });
    await prepareFailures(guest);
    await runProgram(guest, { ...short, options: { ...short.options, seed }, deadlineMs: DEADLINE_MS });
    await expect(countFailures(guest)).rejects.toThrow('No allocation failed');
  });
});

describe('no allocation', { concurrent: true }, () => {
  test.override(shape);

  test.for([['cached'], ['wc'], ['uc']])(
    'control: with none refused, nothing fails: %s',
    async ([caching], { guest, gpu, seed, backend }) => {
      await gpu.load({ backend });
      const run = { name: 'nth', options: { caching: caching ?? '', seed, chunk: 4, spare: 'yes' }, report };
      const said = await runProgram(guest, { ...run, deadlineMs: DEADLINE_MS });
      expect(said, said.firstError).toMatchObject({ ok: true, refused: 0, failed: 0, untold: 0 });
      expect(said.verified).toBe(Object.keys(said.operations).length);
      await gpu.unload();
    },
  );
});
