/**
 * Everybody at once, with each backend: who is killed for memory, and who does not get by? With plenty of swap, and
 * with so little that it takes some care; the same guest, the same load. What upstream has is `legacy` and `backup`.
 */
import { describe } from 'vitest';
import { casualties, runCrowd, type Crowd } from '../testbed/witnesses/crowd.ts';
import { test } from '../testbed/fixtures.ts';
import type { Guest } from '../testbed/guest/guest.ts';
import { inTurn, measurements } from '../testbed/bench/in-turn.ts';
import { BACKENDS } from '../config/combination.ts';

const MIB = 2 ** 20;
/** Beyond all memory and swap, for the kernel to kill it. */
const TOO_MUCH = 1200 * MIB;

interface Outcome {
  readonly crowd: Crowd;
  readonly oomKills: number;
  readonly swapped: number;
  readonly seconds: number;
}

async function counter(guest: Guest, name: string): Promise<number> {
  return (await guest.vmstat()).get(name) ?? NaN;
}

async function shrinkSwap(guest: Guest, mib: number): Promise<void> {
  await guest.run(`swapoff /dev/vda && mkswap /dev/vda ${String(mib * 1024)} && swapon /dev/vda`);
}

describe('everybody at once', () => {
  // The last that happens in each guest shows that a kill would be seen.
  test.override({ machine: 'crowd', dmaBits: 40, provokes: ['oom'] });

  test.for([
    { swapMiB: 2048, name: 'plenty of swap' },
    { swapMiB: 320, name: 'little swap' },
  ])('$name ($swapMiB MiB)', async ({ swapMiB }, { guest, gpu, gpu1, stressFixtures, rounds, report }) => {
    await shrinkSwap(guest, swapMiB);
    const runs = await inTurn(BACKENDS, rounds, async (backend): Promise<Outcome> => {
      await gpu.load({ backend });
      const [kills, swapped, start] = [await counter(guest, 'oom_kill'), await counter(guest, 'pswpout'), Date.now()];
      const crowd = await runCrowd(stressFixtures, gpu1);
      const seconds = (Date.now() - start) / 1000;
      await gpu.unload();
      return {
        crowd,
        seconds,
        oomKills: (await counter(guest, 'oom_kill')) - kills,
        swapped: (await counter(guest, 'pswpout')) - swapped,
      };
    });
    const measured = measurements(runs);
    report(measured('killed for memory', 'processes', ({ oomKills }) => oomKills, '≤ legacy, backup'));
    report(measured('did not get by', 'of 5 programs', ({ crowd }) => casualties(crowd), '≤ legacy, backup'));
    report({ ...measured('programs started meanwhile', 'a second', startedPerSecond), better: 'more' });
    report(measured('swapped out', 'pages', ({ swapped }) => swapped));
    report(measured('time', 's', ({ seconds }) => seconds));
    report({
      quantity: 'control: killed, of one that wants too much',
      unit: 'processes',
      better: 'more',
      samples: { killed: [await killOne(guest, swapMiB)] },
      aim: '1',
    });
  });
});

function startedPerSecond({ crowd, seconds }: Outcome): number {
  return crowd.spawn.status === 'fulfilled' ? crowd.spawn.value.report.programs / seconds : 0;
}

async function killOne(guest: Guest, swapMiB: number): Promise<number> {
  const before = await counter(guest, 'oom_kill');
  await guest.exec(`edgpu-stress hog --bytes ${String(TOO_MUCH + swapMiB * MIB)} --seed 1`);
  return (await counter(guest, 'oom_kill')) - before;
}
