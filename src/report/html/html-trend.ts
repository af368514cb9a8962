/** The trend of all tests for people: one file that needs nothing else, on any screen, light or dark. */
import { rateText } from '../judge/failure-rate.ts';
import { minuteOf } from '../past/run-heading.ts';
import type { Trend, TrendCell, TrendRow, TrendRun } from '../past/trend.ts';
import { html, markupOf, type Html } from './html.ts';
import { MARKS, WORDS } from './html-marks.ts';
import { pageHead } from './html-head.ts';

export function htmlTrend({ runs, rows }: Trend): string {
  const failing = rows.filter(({ rate }) => rate.failures > 0).length;
  const suites = [...new Set(rows.map((row) => row.suite))];
  const title = `${String(rows.length)} tests in ${String(runs.length)} runs`;
  const page = html`<!doctype html>
    <html lang="en">
      ${pageHead(`trend: dgpu-rig, ${title}`, TREND_STYLE)}
      <body>
        <header>
          <p class="name">dgpu-rig</p>
          <h1 class="${failing === 0 ? 'pass' : 'fail'}">${title}, of which ${failing} failed at some time</h1>
          <p>
            The latest run is on the left. The rate counts every time that a test was judged in these runs, repetitions
            too, whatever the kernel. Of a test that never failed it says how often it may fail at most, with a
            confidence of 95 %: “0 of 12 (&lt; 22 %)”.
          </p>
          <ul class="counts">
            ${(['pass', 'fail', 'error', 'xfail', 'skip'] as const).map((status) => {
              return html`<li><span class="mark ${status}">${MARKS[status]}</span> ${WORDS[status]}</li>`;
            })}
          </ul>
        </header>
        <main>
          <fieldset class="filter">
            <legend>Show</legend>
            <label><input type="radio" name="show" checked /> all</label>
            <label><input type="radio" name="show" id="only-failing" /> what failed at some time</label>
          </fieldset>
          ${suites.map((name) =>
            suite(
              name,
              rows.filter((row) => row.suite === name),
              runs,
            ),
          )}
        </main>
      </body>
    </html> `;
  return markupOf(page);
}

function suite(name: string, rows: readonly TrendRow[], runs: readonly TrendRun[]): Html {
  const failing = rows.some(({ rate }) => rate.failures > 0);
  return html`<section class="suite ${failing ? 'failing' : ''}">
    <h2>${name}</h2>
    <div class="scroll" tabindex="0" role="region" aria-label="${name}">
      <table class="matrix trend">
        <thead>
          <tr>
            <td></td>
            <td></td>
            ${kernels(runs)}
          </tr>
          <tr>
            <th scope="col">test</th>
            <th scope="col">failed</th>
            ${runs.map(({ id, startedAt }) => html`<th scope="col" title="${minuteOf(startedAt)} UTC">${id}</th>`)}
          </tr>
        </thead>
        <tbody>
          ${rows.map((row) => rowOf(row, runs))}
        </tbody>
      </table>
    </div>
  </section>`;
}

/** A heading over all runs in a row that had the same kernel. */
function kernels(runs: readonly TrendRun[]): Html[] {
  const groups: { kernel: string; runs: number }[] = [];
  for (const { kernel } of runs) {
    const last = groups.at(-1);
    if (last?.kernel === kernel) last.runs += 1;
    else groups.push({ kernel, runs: 1 });
  }
  return groups.map(
    (group) =>
      html`<th scope="colgroup" colspan="${group.runs}" title="${group.kernel}">
        <span class="kernel-name">${group.kernel}</span>
      </th>`,
  );
}

function rowOf({ test, parameters, rate, cells }: TrendRow, runs: readonly TrendRun[]): Html {
  return html`<tr class="${rate.failures > 0 ? 'failing' : ''}">
    <th scope="row">
      ${test.replaceAll(' > ', ' › ')} ${parameters === '' ? undefined : html`<span class="time">${parameters}</span>`}
    </th>
    <td class="rate">${rateText(rate)}</td>
    ${cells.map((cell, index) => html`<td>${cell && markOf(cell, runs[index])}</td>`)}
  </tr>`;
}

/** Who hears the page read hears the word. */
function markOf({ status, results }: TrendCell, run: TrendRun | undefined): Html {
  const times = results === 1 ? '' : `, the worst of ${String(results)} times`;
  const words = `${WORDS[status]}${times}`;
  const where = run === undefined ? '' : ` in run ${String(run.id)}`;
  return html`<span class="mark ${status}" role="img" aria-label="${words}" title="${words}${where}"
    >${MARKS[status]}</span
  >`;
}

const TREND_STYLE = `
main { max-width: none; } .trend { width: auto; }
.trend th, .trend td { padding: .25rem .35rem; }
.trend th[scope=row] { position: sticky; left: 0; background: var(--card); overflow-wrap: anywhere; min-width: 14rem; max-width: 28rem; }
.trend th[scope=colgroup] { text-align: left; border-left: 1px solid var(--rule); max-width: 0; }
.kernel-name { display: block; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.trend .rate { text-align: right; white-space: nowrap; }
.trend .time { white-space: normal; font-size: .8rem; }
body:has(#only-failing:checked) :is(.trend tbody tr:not(.failing), .suite:not(.failing)) { display: none; }
.scroll:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; }
`;
