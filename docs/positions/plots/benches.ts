/** Which runs the pages draw on: what of each bench is measured, and what of that is drawn. */
import type { Plot } from './bench-plot.ts';

interface Kept {
  readonly bench: string;
  readonly options: readonly string[];
  readonly plot?: Plot;
}

const PER_PAGE = 'thousand instructions a page';
/** Instructions hardly vary from one round to the next. */
const ONCE = ['--rounds', '1'];

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

const letsGo = 'the driver lets go of objects, the kernel swaps them';
const reclaims = 'the kernel reclaims memory from objects';
const ofSwap = ['cached', 'wc'].flatMap((caching) => [
  { label: `${caching}: first use`, test: `${caching} › ${letsGo}`, quantity: 'fill objects' },
  { label: `${caching}: reclaimed and swapped`, test: `${caching} › ${reclaims}`, quantity: 'reclaim' },
  { label: `${caching}: back after that`, test: `${caching} › ${reclaims}`, quantity: 'bring back' },
]);

const frontEnds = ['macro', 'callback', 'next'].map((walk) => ({
  label: `by ${walk}, pages`,
  test: `instructions › backends, by ${walk}, pages`,
  quantity: 'reclaim',
}));

export const BENCHES: Readonly<Record<string, Kept>> = {
  evict: {
    bench: 'evict',
    options: ONCE,
    plot: { title: 'What it costs to let go of a page, and to have it back', unit: PER_PAGE, groups: outAndBack },
  },
  dma: {
    bench: 'dma',
    options: ONCE,
    plot: {
      title: '256 MiB of objects, when most of the free memory is above 40 bits',
      unit: 'MiB',
      groups: [
        { label: 'still in memory once all are filled', test: belowInUse, quantity: 'still resident, of 256' },
        { label: 'swapped out to fill them', test: belowInUse, quantity: 'swapped out to fill objects' },
      ],
    },
  },
  swap: {
    bench: 'swap',
    options: ['--patch', 'guest-kernel/alternatives/insert-at-swapout.patch'],
    plot: { title: 'What a page costs at first use, and by way of swap', unit: PER_PAGE, groups: ofSwap },
  },
  shrink: {
    bench: 'shrink',
    options: [...ONCE, '--filter', 'instructions › (backends, by .\\w+, pages|front ends)'],
    plot: { title: 'What it costs to reclaim a page, by front end', unit: PER_PAGE, groups: frontEnds },
  },
  reclaimers: {
    bench: 'shrink',
    options: [
      '--rounds',
      '3',
      '--filter',
      'the hard limit|reclaimers › 1 reclaimer, by .macro|waits for locks › (control|4 reclaimers, by .macro, pages)',
    ],
  },
  objects: { bench: 'objects', options: ONCE },
  migrate: { bench: 'migrate', options: ONCE },
};
