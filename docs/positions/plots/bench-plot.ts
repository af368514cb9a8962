/**
 * A run of a bench as one SVG file: groups of bars with their numbers beside them. It has its own colours for a light
 * and a dark page, and its own background, as the page may go by another setting than the browser does.
 */
import { find, type KeptRun, type Measured } from './kept-run.ts';

interface Group {
  readonly label: string;
  readonly test: string;
  readonly quantity: string;
}

export interface Plot {
  readonly title: string;
  /** All groups have it. */
  readonly unit: string;
  readonly groups: readonly Group[];
}

const WIDTH = 760;
const LEFT = 250;
/** Of the longest bar; what is right of it is for its number. */
const LONGEST = 420;
const BAR = 13;
const GAP = 9;
const HEAD = 52;
const LINE = 15;
const MARGIN = 12;

const STYLE = `
  .page { fill: #ffffff }
  text { font: 12px system-ui, sans-serif; fill: #1f2328 }
  .title { font-size: 15px; font-weight: 600 }
  .run, .unit { fill: #59636e; font-size: 11px }
  .v0 { fill: #0969da } .v1 { fill: #59636e } .v2 { fill: #a5aeb8 } .v3 { fill: #8250df }
  .range { stroke: #1f2328 }
  @media (prefers-color-scheme: dark) {
    .page { fill: #0d1117 }
    text { fill: #f0f6fc } .run, .unit { fill: #9198a1 }
    .v0 { fill: #4493f8 } .v1 { fill: #a5aeb8 } .v2 { fill: #59636e } .v3 { fill: #ab7df8 }
    .range { stroke: #f0f6fc }
  }`;

export function benchPlot(plot: Plot, run: KeptRun): string {
  const groups = plot.groups.map((group) => ({ ...group, measured: find(run, group.test, group.quantity) }));
  const most = Math.max(...groups.flatMap(({ measured }) => Object.values(measured.samples).flat()));
  const parts: string[] = [text(0, 18, plot.title, 'title'), ...legend(groups[0]?.measured, plot.unit)];
  let top = HEAD;
  for (const { label, measured } of groups) {
    const names = Object.keys(measured.medians);
    parts.push(text(0, top + (names.length * BAR) / 2 + 4, label));
    for (const [index, name] of names.entries()) parts.push(bar(measured, { name, index, top, most }));
    top += names.length * BAR + GAP;
  }
  for (const line of whatItCameFrom(run)) parts.push(text(0, (top += LINE), line, 'run'));
  const [width, height] = [WIDTH + 2 * MARGIN, Math.ceil(top + LINE / 2 + MARGIN)];
  const box = `${-MARGIN} ${-MARGIN} ${width} ${height}`;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="${box}" width="${width}" height="${height}">
<title>${escaped(plot.title)}</title>
<style>${STYLE}
</style>
<rect class="page" x="${-MARGIN}" y="${-MARGIN}" width="${width}" height="${height}" />
${parts.join('\n')}
</svg>
`;
}

function whatItCameFrom({ startedAt, kernel, accelerator, rig, command }: KeptRun): string[] {
  return [
    `${startedAt.slice(0, 10)}, Linux ${kernel} with the series, ${accelerator}, rig ${rig.slice(0, 12)}`,
    command,
  ];
}

function legend(measured: Measured | undefined, unit: string): string[] {
  const keys = Object.keys(measured?.medians ?? {}).map((name, index) => {
    const left = LEFT + index * 90;
    return `<rect class="v${index}" x="${left}" y="29" width="10" height="10" />${text(left + 15, 38, name)}`;
  });
  return [text(0, 38, unit, 'unit'), ...keys];
}

interface Place {
  readonly name: string;
  readonly index: number;
  readonly top: number;
  readonly most: number;
}

/** The median, with a line from the least to the most of all rounds. */
function bar({ medians, samples }: Measured, { name, index, top, most }: Place): string {
  const length = (value: number): number => Math.round((value / most) * LONGEST * 10) / 10;
  const [value = 0, rounds = []] = [medians[name], samples[name]];
  const y = top + index * BAR;
  const [low, high] = [LEFT + length(Math.min(...rounds)), LEFT + length(Math.max(...rounds))];
  const line = `<line class="range" x1="${low}" x2="${high}" y1="${y + 5.5}" y2="${y + 5.5}" />`;
  return `<rect class="v${index}" x="${LEFT}" y="${y}" width="${length(value)}" height="${BAR - 2}" />${
    high - low > 1 ? line : ''
  }${text(high + 6, y + 10, figure(value))}`;
}

function figure(value: number): string {
  return value !== 0 && Math.abs(value) < 9.95 ? value.toPrecision(2) : String(Math.round(value));
}

function text(x: number, y: number, content: string, style = ''): string {
  return `<text x="${x}" y="${y}"${style === '' ? '' : ` class="${style}"`}>${escaped(content)}</text>`;
}

function escaped(content: string): string {
  return content.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
}
