/**
 * The rules for numbering the series: which range a commit belongs to, by the files that it touches, and its number in
 * there.
 */

interface Range {
  readonly name: string;
  readonly first: number;
  readonly last: number;
  /** A commit of this range changes something in here… */
  readonly home: string;
  /** …and nothing outside of these. */
  readonly allowed: readonly string[];
}

/**
 * Of upstream, in any place: they come first, to be sent alone. A fix keeps its number, and a new one gets it by hand,
 * as no commit says of itself that it is one.
 */
const FIXES = { name: 'fixes', first: 1, last: 9 };

/** In the order in which they are applied, after the fixes. */
const RANGES: readonly Range[] = [
  {
    name: 'mm/shmem',
    first: 10,
    last: 29,
    home: 'mm/',
    allowed: [
      'mm/',
      'include/linux/',
      'include/trace/events/',
      'include/uapi/linux/',
      'tools/testing/selftests/mm/',
      'Documentation/',
      'MAINTAINERS',
    ],
  },
  {
    name: 'drm/ttm',
    first: 30,
    last: 89,
    home: 'drivers/gpu/drm/',
    allowed: [
      'drivers/gpu/',
      'include/drm/',
      'include/uapi/drm/',
      'include/linux/',
      'kernel/power/',
      'Documentation/',
      'MAINTAINERS',
    ],
  },
  { name: 'x86', first: 90, last: 94, home: 'arch/x86/', allowed: ['arch/x86/'] },
  { name: 'cgroup', first: 95, last: 99, home: 'kernel/cgroup/', allowed: ['kernel/cgroup/', 'include/linux/'] },
];

/** The driver is kept as source, not as a patch. */
const DRIVER = 'drivers/gpu/drm/edgpu/';

export interface SeriesCommit {
  readonly subject: string;
  readonly files: readonly string[];
}

type Numbering = { readonly numbers: readonly number[] } | { readonly fault: string };

/**
 * A number for each commit, increasing: the one that its subject has now where that is possible, otherwise the next
 * free one, at the expense of those behind it. Numbers that are taken by patches that are none of these commits stay
 * with them.
 */
export function numberSeries(
  commits: readonly SeriesCommit[],
  present: ReadonlyMap<string, number>,
  taken: ReadonlySet<number> = new Set(),
): Numbering {
  const numbers: number[] = [];
  let reached = 0;
  for (const commit of commits) {
    const now = present.get(commit.subject);
    const range = now !== undefined && now <= FIXES.last ? FIXES : rangeOf(commit);
    if ('fault' in range) return { fault: `"${commit.subject}" ${range.fault}` };
    if (reached >= range.first && reached > range.last) {
      return { fault: `"${commit.subject}" (${range.name}) has to come before the commits of later ranges` };
    }
    const least = Math.max(reached + 1, range.first);
    reached = firstFree(Math.max(least, now ?? least), taken);
    if (reached > range.last) {
      return { fault: `"${commit.subject}" finds no number left in ${range.first} to ${range.last} (${range.name})` };
    }
    numbers.push(reached);
  }
  return { numbers };
}

function firstFree(number: number, taken: ReadonlySet<number>): number {
  return taken.has(number) ? firstFree(number + 1, taken) : number;
}

function rangeOf({ files }: SeriesCommit): Range | { readonly fault: string } {
  const ours = files.find((file) => file.startsWith(DRIVER));
  if (ours !== undefined)
    return { fault: `changes ${ours}: the driver lives in guest-kernel/edgpu, not in the series` };
  const homes = RANGES.filter(({ home }) => files.some((file) => file.startsWith(home)));
  const [range, other] = homes;
  if (!range) return { fault: `changes nothing in ${RANGES.map(({ home }) => home).join(' or ')}` };
  if (other) return { fault: `changes both ${range.home} and ${other.home}: split it` };
  const stray = files.find((file) => !range.allowed.some((place) => file === place || file.startsWith(place)));
  if (stray !== undefined) {
    return { fault: `changes ${stray}, which is none of ${range.allowed.join(', ')} (src/series/series-numbers.ts)` };
  }
  return range;
}
