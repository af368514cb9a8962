/**
 * The matrix of combinations, for people: a row for each machine and kernel, a column for each mask and caching, a mark
 * for each backend.
 */
import { html, type Html } from './html.ts';
import type { TestResult } from '../run-report.ts';

interface Marks {
  /** A mark that links to the result, and says `title` when pointed at. */
  readonly mark: (result: TestResult, title: string) => Html;
}

type Param = keyof TestResult['params'];

export function isCombination({ suite, params }: TestResult): boolean {
  return suite === 'matrix' && 'caching' in params;
}

export function combinationMatrix(results: readonly TestResult[], { mark }: Marks): Html | undefined {
  const tested = results.filter(isCombination);
  if (tested.length === 0) return undefined;
  const value = ({ params }: TestResult, name: Param): string => String(params[name] ?? '–');
  const rowOf = (result: TestResult): string => {
    const flavour = value(result, 'flavour');
    return flavour === 'plain' ? value(result, 'machine') : `${value(result, 'machine')}, ${flavour}`;
  };
  const columnOf = (result: TestResult): string => `${value(result, 'dmaBits')} bits, ${value(result, 'caching')}`;
  const columns = [...new Set(tested.map(columnOf))].sort((a, b) => a.localeCompare(b, 'en', { numeric: true }));
  const rows = [...new Set(tested.map(rowOf))].map(
    (row) =>
      html`<tr>
        <th scope="row">${row}</th>
        ${columns.map((column) => {
          const here = tested.filter((result) => rowOf(result) === row && columnOf(result) === column);
          return html`<td>
            ${here.map((result) => html`<span class="backend">${mark(result, value(result, 'backend'))} ${value(result, 'backend')}</span>`)}
          </td>`;
        })}
      </tr>`,
  );
  const reduced = [...new Set(tested.flatMap(({ smallest }) => smallest ?? []))];
  return html`<section>
    <h2>Combinations</h2>
    ${reduced.map((words) => html`<p>Enough to fail: <strong>${words}</strong></p>`)} ${matrixTable(columns, rows)}
  </section>`;
}

/** Wider than a phone, so it scrolls by itself. */
export function matrixTable(columns: readonly string[], rows: readonly Html[]): Html {
  return html`<div class="scroll">
    <table class="matrix">
      <thead>
        <tr>
          <td></td>
          ${columns.map((column) => html`<th scope="col">${column}</th>`)}
        </tr>
      </thead>
      <tbody>
        ${rows}
      </tbody>
    </table>
  </div>`;
}
