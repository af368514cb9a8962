/** Moments that a seed decides. `DGPU_RIG_SEED` replays a run, `DGPU_RIG_EFFORT` makes it longer. */
import { randomSeed } from '../../src/util/random.ts';

export const EFFORT = Number(process.env['DGPU_RIG_EFFORT'] ?? '1');

export const SEED = Number(process.env['DGPU_RIG_SEED'] ?? randomSeed());
