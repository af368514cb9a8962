/**
 * What it costs to make, use and free an object, when there are few others and when there are fifty thousand.
 *
 * Instructions and string instructions: see swap.bench.ts.
 */
import { describe } from 'vitest';
import { test } from '../testbed/fixtures.ts';
import { inTurn, measurements } from '../testbed/bench/in-turn.ts';
import { BACKENDS } from '../config/combination.ts';
import { objectsReport } from '../testbed/programs/stress-program.ts';

const many = { count: 50_000, 'object-size': 4096 };

describe('4 KiB objects', () => {
  test.override({
    machine: 'tiers',
    dmaBits: 40,
    countsInstructions: true,
    kernelArgs: ['clearcpuid=rep_good,erms,fsrm'],
  });

  test('among 2,000 and among 50,000', async ({ gpu, run, rounds, report, cpuUnit }) => {
    const measured = measurements(
      await inTurn(BACKENDS, rounds, async (backend) => {
        await gpu.load({ backend });
        const { report: said } = await run('objects', many, objectsReport);
        await gpu.unload();
        return said;
      }),
    );
    report(measured('make one of 2,000', cpuUnit, ({ amongFew }) => amongFew.createNs / 1000));
    report(measured('make one of 50,000', cpuUnit, ({ amongAll }) => amongAll.createNs / 1000));
    report(measured('first use of one of 2,000', cpuUnit, ({ amongFew }) => amongFew.useNs / 1000));
    report(measured('first use of one of 50,000', cpuUnit, ({ amongAll }) => amongAll.useNs / 1000));
    report(measured('free one of 2,000', cpuUnit, ({ amongFew }) => amongFew.destroyNs / 1000));
    report(measured('free one of 50,000', cpuUnit, ({ amongAll }) => amongAll.destroyNs / 1000));
  });
});
