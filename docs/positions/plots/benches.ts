/** Which runs the pages draw on: what of each bench is measured, and what of that is drawn. */
import type { Plot } from './bench-plot.ts';

interface Bench {
  readonly options: readonly string[];
  readonly plot?: Plot;
}

const PER_PAGE = 'thousand instructions a page';

const outAndBack = ['huge objects (64 MiB)', 'small objects (64 KiB)'].flatMap((size) =>
  ['cached', 'wc'].flatMap((caching) =>
    ['out', 'back'].map((quantity) => ({
      label: `${size}, ${caching}: ${quantity}`,
      test: `out and back › ${size}, ${caching}`,
      quantity,
    })),
  ),
);

const belowInUse = 'memory below the limit is in use, memory above it is free › 40 bits';

const frontEnds = ['macro', 'callback', 'next'].map((walk) => ({
  label: `by ${walk}, pages`,
  test: `instructions › backends, by ${walk}, pages`,
  quantity: 'reclaim',
}));

export const BENCHES: Readonly<Record<string, Bench>> = {
  evict: {
    options: ['--rounds', '1'],
    plot: { title: 'What it costs to let go of a page, and to have it back', unit: PER_PAGE, groups: outAndBack },
  },
  dma: {
    options: ['--rounds', '1'],
    plot: {
      title: '256 MiB of objects, when only memory above 40 bits is free',
      unit: 'MiB',
      groups: [
        { label: 'still in memory once all are filled', test: belowInUse, quantity: 'still resident, of 256' },
        { label: 'swapped out to fill them', test: belowInUse, quantity: 'swapped out to fill objects' },
      ],
    },
  },
  swap: { options: ['--rounds', '1'] },
  shrink: {
    options: [
      '--rounds',
      '2',
      '--filter',
      'backends, by .\\w+, pages|front ends|the hard limit|reclaimers › 1 reclaimer, by .macro',
    ],
    plot: { title: 'What it costs to reclaim a page, by front end', unit: PER_PAGE, groups: frontEnds },
  },
};
