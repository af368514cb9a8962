/** What was covered, for people: one file that needs nothing else, with the lines that each patch adds. */
import { html, markupOf, type Html } from '../html/html.ts';
import { pageHead } from '../html/html-head.ts';
import type { AddedLines, CoverageReport, CoveredFile, CoveredLine, Share, Sources } from './coverage-report.ts';
import { figure } from './share-text.ts';

const OWN_STYLE = `
.bar.share { flex: none; width: 8rem; height: .5rem; border-radius: 2px; background: var(--fail-back); border: 1px solid var(--rule); }
.bar.share i { position: static; display: block; height: 100%; background: var(--pass); }
.code { width: 100%; font: .8rem/1.45 ui-monospace, "SFMono-Regular", "DejaVu Sans Mono", monospace; }
.code td { padding: 0 .5rem; vertical-align: top; white-space: nowrap; } .code td.text { width: 100%; white-space: pre; tab-size: 8; }
.code .gap td { border-top: 1px solid var(--rule); }
.code .hit .count { color: var(--pass); } .code .missed td { background: var(--fail-back); } .code .missed .count { color: var(--fail); font-weight: 700; }
h3 { font-size: .95rem; margin: .9rem 0 .3rem; overflow-wrap: anywhere; }
@media (max-width: 40rem) { .bar.share, .code .by { display: none; } }
`;

export interface Subject {
  readonly report: CoverageReport;
  /** The folder of the driver in the tree. */
  readonly driver: string;
  readonly sources: Sources;
}

export function coverageHtml({ report, driver, sources }: Subject): string {
  const { kernel, patches, files, series, suites, vms } = report;
  const ofDriver = files.filter(({ file }) => file.startsWith(`${driver}/`));
  const facts = [
    ['Driver', `${figure(report.driver)} of ${String(report.driver.lines)} lines`],
    ['Linux', kernel],
    ['Suites', suites.join(', ')],
    ['VMs', `${String(vms.counted)} counted, ${String(vms.lost.length)} lost`],
  ] as const;
  return markupOf(
    html`<!doctype html>
      <html lang="en">
        ${pageHead(`${figure(series)} covered: dgpu-rig, Linux ${kernel}`, OWN_STYLE)}
        <body>
          <header>
            <p class="name">dgpu-rig</p>
            <h1>The series: ${figure(series)} of ${series.lines} lines</h1>
            <dl class="facts">
              ${facts.map(
                ([name, value]) =>
                  html`<div>
                    <dt>${name}</dt>
                    <dd>${value}</dd>
                  </div>`,
              )}
            </dl>
          </header>
          <main>
            <h2>What each patch adds</h2>
            ${patches
              .filter(({ lines }) => lines > 0)
              .map((patch) =>
                unfolding(
                  patch.patch,
                  patch,
                  patch.files.map((part) => added(part, sources)),
                ),
              )}
            <h2>The driver</h2>
            ${ofDriver.map((file) => unfolding(file.file, file, whole(file, sources)))}
          </main>
        </body>
      </html> `,
  );
}

function unfolding(title: string, share: Share, content: Html | readonly Html[]): Html {
  const width = share.lines === 0 ? 0 : (share.covered / share.lines) * 100;
  return html`<details class="test">
    <summary>
      <span class="title">${title}</span>
      <span class="bar share"><i style="width: ${width.toFixed(1)}%"></i></span>
      <span class="time">${figure(share)} of ${share.lines}</span>
    </summary>
    <div class="details">${content}</div>
  </details>`;
}

function added(part: AddedLines, sources: Sources): Html {
  return html`<h3>${part.file}</h3>
    ${code(part.added, part.counts, sources.get(part.file) ?? [])}`;
}

function whole({ file, counts }: CoveredFile, sources: Sources): Html {
  const text = sources.get(file) ?? [];
  return code(
    text.map((_, index) => index + 1),
    counts,
    text,
  );
}

/** Lines that are no code have no count; a rule stands for lines that are left out. */
function code(lines: readonly number[], counts: readonly CoveredLine[], text: readonly string[]): Html {
  const counted = new Map(counts.map((line) => [line.line, line]));
  const rows = lines.map((line, index) => {
    const found = counted.get(line);
    const kind = found === undefined ? '' : found.count > 0 ? 'hit' : 'missed';
    const gap = index > 0 && lines[index - 1] !== line - 1 ? ' gap' : '';
    const cells = [
      cell('number', line),
      cell('number count', found && count(found)),
      found ? html`<td class="by" title="${found.suites.join(', ')}">${by(found)}</td>` : cell('by', undefined),
      cell('text', text[line - 1]),
    ];
    return html`<tr class="${kind}${gap}">
      ${cells}
    </tr>`;
  });
  return html`<div class="scroll">
    <table class="code">
      ${rows}
    </table>
  </div>`;
}

function cell(kind: string, content: string | number | undefined): Html {
  return html`<td class="${kind}">${content}</td>`;
}

/** Colour is not all that tells them apart. */
function count({ count: times }: CoveredLine): string {
  return times === 0 ? '✗ 0' : String(times);
}

/** Enough to see what to run; all of them are in the cell's title. */
function by({ suites }: CoveredLine): string {
  const [first, ...others] = suites;
  if (first === undefined) return '';
  return others.length === 0 ? first : `${first} +${String(others.length)}`;
}
