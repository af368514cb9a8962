/** The report for people: one file that needs nothing else, on any screen, light or dark. */
import path from 'node:path';
import { acceleratorsOf } from '../text/accelerators.ts';
import { elapsed } from '../text/elapsed.ts';
import { html, markupOf, trusted, type Html } from './html.ts';
import { combinationMatrix, isCombination, matrixTable } from './html-matrix.ts';
import { MARKS, WORDS } from './html-marks.ts';
import { resultDetails } from './html-result.ts';
import { pageHead } from './html-head.ts';
import { cutShortText } from '../text/cut-short-text.ts';
import { slug } from '../../util/slug.ts';
import { lostJobText } from '../past/merge-shards.ts';
import { bytes } from '../text/quantity-text.ts';
import { bySuite } from '../text/result-text.ts';
import type { RunReport, TestResult } from '../run-report.ts';

type Status = TestResult['status'];

export function htmlReport(report: RunReport, folder: string): string {
  const { results, summary } = report;
  const good = summary.fail + summary.error === 0 && report.cutShort === undefined;
  const verdict = verdictOf(report);
  const page = html`<!doctype html>
    <html lang="en">
      ${pageHead(`${verdict.toLowerCase()}: dgpu-rig, Linux ${report.kernel.version}`)}
      <body>
        <header>
          <p class="name">dgpu-rig</p>
          <h1 class="${good ? 'pass' : 'fail'}">${verdict}</h1>
          ${counts(summary)} ${facts(report)} ${report.cutShort && html`<p class="lost">${cutShortText(report)}</p>`}
          ${report.lostJobs?.map((job) => html`<p class="lost">${lostJobText(job)}</p>`)}
        </header>
        <main>
          ${combinationMatrix(results, { mark: markIn(report) })} ${matrix(report)}
          <fieldset class="filter">
            <legend>Show</legend>
            <label><input type="radio" name="show" checked /> all</label>
            <label><input type="radio" name="show" id="only-bad" /> what did not pass</label>
          </fieldset>
          ${[...bySuite(results)].map(([name, members]) => suite(name, members, report, folder))}
        </main>
      </body>
    </html> `;
  // The indentation of the templates above is no content.
  return markupOf(page);
}

function verdictOf({ summary, cutShort }: RunReport): string {
  if (summary.fail + summary.error > 0) return 'Failed';
  return cutShort ? 'Interrupted' : 'Passed';
}

const WORST_FIRST: readonly Status[] = ['fail', 'error', 'xfail', 'pass', 'skip'];

function counts(summary: RunReport['summary']): Html {
  const present = WORST_FIRST.filter((status) => summary[status] > 0);
  const chips = present.map(
    (status) => html`<li><span class="mark ${status}">${MARKS[status]}</span> ${summary[status]} ${WORDS[status]}</li>`,
  );
  return html`<ul class="counts">
    ${chips}
  </ul>`;
}

function facts(report: RunReport): Html {
  const { kernel, qemu, host, seed, startedAt, results } = report;
  const total = results.reduce((sum, { durationMs }) => sum + durationMs, 0);
  const rows: [string, string | undefined][] = [
    ['Linux', `${kernel.version}, ${String(kernel.patches.length)} patches`],
    ['QEMU', qemu],
    ['Accelerator', acceleratorsOf(report)],
    ['Host', `${String(host.cpus)} CPUs, ${bytes(host.memoryBytes)}`],
    ['Seed', seed === undefined ? undefined : String(seed)],
    ['Started', startedAt?.replace('T', ' ').replace(/\.\d+Z$/, ' UTC')],
    ['Test time', elapsed(total)],
  ];
  return html`<dl class="facts">
    ${rows.map(([name, value]) =>
      value === undefined
        ? undefined
        : html`<div>
            <dt>${name}</dt>
            <dd>${value}</dd>
          </div>`,
    )}
  </dl>`;
}

const MATRIX_PARAMS = ['machine', 'dmaBits', 'backend', 'caching', 'flavour'] as const;

/** Tests by what they were run with: shown where there is more than one column. */
function matrix(report: RunReport): Html | undefined {
  const { results } = report;
  const judged = results.filter((result) => Object.keys(result.params).length > 0 && !isCombination(result));
  const varying = MATRIX_PARAMS.filter((name) => new Set(judged.map(({ params }) => params[name])).size > 1);
  const columnOf = ({ params }: TestResult): string =>
    varying.map((name) => `${name} ${String(params[name] ?? '–')}`).join(', ');
  const columns = [...new Set(judged.map(columnOf))].sort((a, b) => a.localeCompare(b, 'en', { numeric: true }));
  if (columns.length < 2) return undefined;
  const rows = new Map<string, TestResult[]>();
  for (const result of judged) {
    const name = `${result.suite} › ${withoutParams(result)}`;
    rows.set(name, [...(rows.get(name) ?? []), result]);
  }
  const body = [...rows].map(
    ([name, members]) =>
      html`<tr>
        <th scope="row">${name}</th>
        ${columns.map((column) =>
          cell(
            members.filter((member) => columnOf(member) === column),
            markIn(report),
          ),
        )}
      </tr>`,
  );
  return html`<section>
    <h2>Matrix</h2>
    ${matrixTable(columns, body)}
  </section>`;
}

/** A group that is named for its parameters is no part of what is claimed. */
function withoutParams({ test }: TestResult): string {
  return test
    .split(' > ')
    .filter((part, index, parts) => index === parts.length - 1 || !/\d/.test(part))
    .join(' › ');
}

function cell(results: readonly TestResult[], mark: Mark): Html {
  const worst = WORST_FIRST.find((status) => results.some((result) => result.status === status));
  if (worst === undefined) return html`<td></td>`;
  const shown = results.find((result) => result.status === worst);
  return html`<td>${shown && mark(shown, WORDS[worst])}</td>`;
}

type Mark = (result: TestResult, title: string) => Html;

/** The mark of one result, with a link to it. */
function markIn(report: RunReport): Mark {
  return (result, title) => markOf(result, title, anchor(result, report));
}

function markOf({ status }: TestResult, title: string, to: string): Html {
  return html`<a href="#${to}"><span class="mark ${status}" title="${title}">${MARKS[status]}</span></a>`;
}

function suite(name: string, results: readonly TestResult[], report: RunReport, folder: string): Html {
  const bad = results.some(({ status }) => status === 'fail' || status === 'error');
  return html`<section class="suite${bad ? '' : ' good'}">
    <h2>${name}</h2>
    ${results.map((result) => test(result, anchor(result, report), folder))}
  </section>`;
}

function test(result: TestResult, id: string, folder: string): Html {
  const { status, durationMs } = result;
  const open = status === 'fail' || status === 'error' ? trusted(' open') : undefined;
  const link = result.artifacts === undefined ? undefined : path.relative(folder, result.artifacts);
  return html`<details class="test ${status}" ${open}>
    <summary>
      <span class="mark ${status}" title="${WORDS[status]}">${MARKS[status]}</span>
      <span class="title">${result.test.replaceAll(' > ', ' › ')}</span>
      <span class="time">${elapsed(durationMs)}</span>
    </summary>
    <div class="details" id="${id}">${resultDetails(result, link)}</div>
  </details>`;
}

/**
 * Of a result, inside what is folded up: following a link to it unfolds it. Of one name there are several, one for each
 * kernel.
 */
function anchor(result: TestResult, { results }: RunReport): string {
  return `${slug(`${result.suite} ${result.test}`)}-${String(results.indexOf(result) + 1)}`;
}
