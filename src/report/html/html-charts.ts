/**
 * Small plots: shapes in SVG, stretched to whatever room there is; words in HTML around them, so that they never
 * shrink.
 */
import { html, type Html } from './html.ts';
import { bytes } from '../text/quantity-text.ts';
import { elapsed } from '../text/elapsed.ts';

interface Series {
  readonly name: string;
  readonly values: readonly number[];
}

const WIDTH = 600;
const HEIGHT = 120;

/** Bytes over time. */
export function timeChart(title: string, times: readonly number[], series: readonly Series[]): Html {
  const top = Math.max(1, ...series.map(({ values }) => greatest(values)));
  const end = Math.max(1, greatest(times));
  const point = (time: number, value: number): string =>
    `${((time / end) * WIDTH).toFixed(1)},${(HEIGHT - (value / top) * HEIGHT).toFixed(1)}`;
  const lines = series.map(({ values }, index) => {
    const points = values.map((value, at) => point(times[at] ?? 0, value)).join(' ');
    return html`<polyline class="s${index}" points="${points}" />`;
  });
  return html`<figure class="chart">
    <figcaption>${title} <span class="legend">${series.map(legend)}</span></figcaption>
    <div class="plot">
      <span class="axis top">${bytes(top)}</span>
      <svg viewBox="0 0 ${WIDTH} ${HEIGHT}" preserveAspectRatio="none" role="img" aria-label="${title} over time">
        <line class="grid" x1="0" y1="0.5" x2="${WIDTH}" y2="0.5" />
        <line class="grid" x1="0" y1="${HEIGHT / 2}" x2="${WIDTH}" y2="${HEIGHT / 2}" />
        <line class="base" x1="0" y1="${HEIGHT - 0.5}" x2="${WIDTH}" y2="${HEIGHT - 0.5}" />
        ${lines}
      </svg>
    </div>
    <div class="axis below"><span>0</span><span>${elapsed(end)}</span></div>
  </figure>`;
}

/** A test that takes a day has more samples than a function may have arguments. */
function greatest(values: readonly number[]): number {
  return values.reduce((most, value) => Math.max(most, value), 0);
}

function legend({ name, values }: Series, index: number): Html {
  return html`<span class="key s${index}">${name}, most ${bytes(greatest(values))}</span>`;
}

interface Bar {
  readonly name: string;
  readonly value: number;
  readonly text: string;
  /** The value is the median of these, which are drawn as a line through the bar's end. */
  readonly range?: readonly [least: number, most: number];
}

/** All bars have one unit. */
export function barChart(title: string, bars: readonly Bar[]): Html {
  const most = Math.max(Number.MIN_VALUE, ...bars.map(({ value, range }) => Math.max(value, range?.[1] ?? 0)));
  const share = (value: number): string => `${((value / most) * 100).toFixed(2)}%`;
  const rows = bars.map(
    ({ name, value, text, range: [low, high] = [value, value] }) =>
      html`<tr>
        <th scope="row">${name}</th>
        <td class="bar">
          <div>
            <span style="width:${share(value)}"></span>
            ${low === high ? undefined : html`<i style="left:${share(low)};width:${share(high - low)}"></i>`}
          </div>
        </td>
        <td class="number">${text}</td>
      </tr>`,
  );
  return html`<figure class="chart">
    <figcaption>${title}</figcaption>
    <table class="bars">
      ${rows}
    </table>
  </figure>`;
}
