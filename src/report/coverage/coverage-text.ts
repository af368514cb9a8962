/** What was covered, for a terminal. */
import { figure } from './share-text.ts';
import type { CoverageReport, CoveredLine, CoveredPatch, Share, Sources } from './coverage-report.ts';

/** Each patch and each file of the driver, with the lines of it that no test reaches. */
export function coverageTable({ patches, files }: CoverageReport, driver: string): string {
  const ofDriver = files.filter(({ file }) => file.startsWith(`${driver}/`));
  const rows = [
    ...patches.filter(({ lines }) => lines > 0).map((patch) => [patch.patch, patch, missedIn(patch.files)] as const),
    ...ofDriver.map((file) => [file.file, file, ranges(file.counts)] as const),
  ];
  const width = Math.max(...rows.map(([name]) => name.length));
  const lines = rows.map(([name, share, missed]) =>
    `${name.padEnd(width)}  ${figure(share).padStart(7)} of ${String(share.lines).padStart(4)}  ${missed}`.trimEnd(),
  );
  return `${lines.join('\n')}\n`;
}

function missedIn(files: CoveredPatch['files']): string {
  return files
    .filter(({ lines, covered }) => covered < lines)
    .map(({ file, counts, added }) => `${file}:${ranges(counts, added)}`)
    .join(' ');
}

/**
 * Lines that are not reached: "12,20-24". What is no code in between does not part them, but a line that is none of
 * `among` does.
 */
function ranges(counts: readonly CoveredLine[], among?: readonly number[]): string {
  const places = new Map(among?.map((line, place) => [line, place]));
  // Side by side in the file, they are so in the list, too.
  const whole = (first: number, last: number): boolean =>
    among === undefined || Number(places.get(last)) - Number(places.get(first)) === last - first;
  const found: { first: number; last: number }[] = [];
  let before: CoveredLine | undefined;
  for (const each of counts) {
    const { line, count } = each;
    const range = found.at(-1);
    if (count === 0 && before?.count === 0 && range && whole(before.line, line)) range.last = line;
    else if (count === 0) found.push({ first: line, last: line });
    before = each;
  }
  return found
    .map(({ first, last }) => (first === last ? String(first) : `${String(first)}-${String(last)}`))
    .join(',');
}

/** Each line that the patch adds and that is code: how often it ran, and the number of suites that reach it. */
export function patchText({ patch, files }: CoveredPatch, sources: Sources): string {
  const parts = files.map(({ file, counts }) => {
    const lines = counts.map(({ line, count, suites }) => {
      const text = sources.get(file)?.[line - 1] ?? '';
      const times = count === 0 ? '#####' : String(count);
      const by = suites.length === 0 ? '' : plural(suites.length, 'suite');
      return `${times.padStart(10)}${by.padStart(11)}${String(line).padStart(6)}  ${text}`;
    });
    return `${file}\n${lines.join('\n')}\n`;
  });
  return `${patch}\n${parts.join('\n')}`;
}

/** The last line: what a CI looks for. */
export function coverageSummary({ series, driver, suites, vms }: CoverageReport): string {
  const lost =
    vms.lost.length === 0
      ? ''
      : `; ${plural(vms.lost.length, 'VM')} ended before ${vms.lost.length === 1 ? 'its' : 'their'} counters were fetched`;
  const of = (name: string, share: Share): string =>
    `${name} ${figure(share)} of ${share.lines.toLocaleString('en')} lines`;
  const by = `${plural(suites.length, 'suite')} in ${plural(vms.counted, 'VM')}`;
  return `${of('series', series)}, ${of('driver', driver)}, by ${by}${lost}`;
}

function plural(count: number, what: string): string {
  return `${String(count)} ${what}${count === 1 ? '' : 's'}`;
}
