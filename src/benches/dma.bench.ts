/** Memory within a device's reach: what it costs to get it and to use it, by what the objects live in. */
import { describe, inject } from 'vitest';
import { test } from '../suite/fixtures.ts';
import { BACKENDS } from '../suite/rig-context.ts';

const MIB = 2 ** 20;

const masks = inject('rig').selection.dmaBits.map((dmaBits) => ({ dmaBits }));

describe.for(masks)('dma-bits $dmaBits', ({ dmaBits }) => {
  test.override({ dmaBits });

  test('memory to spare', async ({ gpu, stress, rounds, report }) => {
    const samples: Record<string, number[]> = Object.fromEntries(BACKENDS.map((backend) => [backend, []]));
    for (let round = 0; round < rounds; round++) {
      for (const backend of BACKENDS) {
        await gpu.load({ backend });
        const stressed = await stress(64 * MIB);
        samples[backend]?.push((stressed.report.phasesMs['write'] ?? 0) * 16);
        await gpu.unload();
      }
    }
    report({ quantity: 'first write', unit: 'ms/GiB', better: 'less', samples });
  });
});
