/** What the HTML report says about one test. */
import { barChart, timeChart } from './html-charts.ts';
import { html, type Html } from './html.ts';
import { median } from '../../util/median.ts';
import { count, metric } from '../text/quantity-text.ts';
import { kernelReportHeading, warningText } from '../text/result-text.ts';
import type {
  MeasuredQuantity,
  ReportedKernelBug,
  ReportedMemory,
  ReportedWarning,
  TestResult,
} from '../run-report.ts';

export function resultDetails(result: TestResult, artifactsLink: string | undefined): Html {
  const {
    params,
    metrics,
    message,
    rate,
    kernelReports,
    warnings = [],
    measurements = [],
    sleeps = [],
    memory = [],
    deviceStatistics = {},
  } = result;
  return html` ${message === undefined ? undefined : html`<pre class="message">${message}</pre>`}
    ${rate && html`<p>Repeated to learn how often: it failed ${rate.failures} of ${rate.runs} times.</p>`}
    ${kernelReports.map(kernelReport)} ${unknownWarnings(warnings)} ${measurements.map(measured)}
    <div class="charts">${memoryCharts(memory)} ${tierChart(deviceStatistics)} ${sleepCharts(sleeps)}</div>
    <div class="tables">
      ${table(
        'Parameters',
        Object.entries(params).map(([name, value]) => [name, String(value)]),
      )}
      ${table(
        'Metrics',
        Object.entries(metrics).map(([name, value]) => [name, metric(name, value)]),
      )}
      ${table(
        'Device',
        Object.entries(deviceStatistics)
          .filter(([, value]) => value > 0)
          .map(([name, value]) => [name, metric(name, value)]),
      )}
    </div>
    ${artifactsLink === undefined ? undefined : artifacts(artifactsLink, result.evidence)}`;
}

const ARTIFACTS = ['serial.log', 'qmp.log', 'device-stats.json', 'result.json', 'replay.sh'] as const;

const TIME_LINE = html`timeline.json is for <a href="https://ui.perfetto.dev">ui.perfetto.dev</a>.`;

function artifacts(link: string, evidence: readonly string[] = []): Html {
  const links = [...ARTIFACTS, ...evidence].map((name) => html`<a href="${encodeURI(`${link}/${name}`)}">${name}</a> `);
  const hint = evidence.includes('timeline.json') ? TIME_LINE : undefined;
  return html`<p class="artifacts">Artifacts: <a href="${encodeURI(link)}">${link}</a> ${links} ${hint}</p>`;
}

function kernelReport(report: ReportedKernelBug): Html {
  const alarming = report.severity === 'bug' && !report.expected;
  return html`<details class="kernel ${alarming ? 'bug' : 'note'}" ${alarming ? OPEN : undefined}>
    <summary><b>${kernelReportHeading(report)}</b><br />${report.title}</summary>
    ${report.source === undefined ? undefined : html`<pre class="source">${report.source.join('\n')}</pre>`}
    <pre>${report.lines.join('\n')}</pre>
  </details>`;
}

const OPEN = html`open`;

function unknownWarnings(warnings: readonly ReportedWarning[]): Html | undefined {
  if (warnings.length === 0) return undefined;
  return html`<details class="kernel note">
    <summary><b>warnings that nobody knows: ${warnings.length}</b></summary>
    <pre>${warnings.map(warningText).join('\n')}</pre>
  </details>`;
}

/** Memory, swap, and what of it is the device's. */
function memoryCharts(samples: readonly ReportedMemory[]): Html[] {
  if (samples.length < 2) return [];
  const times = samples.map(({ timeMs }) => timeMs);
  const series = (name: string, value: (sample: ReportedMemory) => number): { name: string; values: number[] } => ({
    name,
    values: samples.map(value),
  });
  const usesDevice = samples.some(({ vram = 0, gtt = 0 }) => vram > 0 || gtt > 0);
  return [
    timeChart('Memory', times, [series('available', (at) => at.available), series('shmem', (at) => at.shmem)]),
    timeChart('Swap', times, [
      series('in use', (at) => at.swapUsed),
      series('written', (at) => at.swappedOut),
      series('read', (at) => at.swappedIn),
    ]),
    ...(usesDevice
      ? [
          timeChart('Device', times, [
            series('VRAM', (at) => at.vram ?? 0),
            series('pinned for DMA', (at) => at.gtt ?? 0),
          ]),
        ]
      : []),
  ];
}

/** DMA accesses by the tier of memory that they reached; the device counts those at or above each border. */
function tierChart(statistics: Readonly<Record<string, number>>): Html | undefined {
  const above = (border: string): number => statistics[`dma-above-${border}`] ?? 0;
  const all = statistics['dma-accesses'];
  const tiers = [
    ...(all === undefined ? [] : [{ name: 'below 4 GiB', value: all - above('4g') }]),
    { name: '4 GiB to 1 TiB', value: above('4g') - above('1t') },
    { name: '1 TiB to 256 TiB', value: above('1t') - above('256t') },
    { name: 'from 256 TiB', value: above('256t') },
  ];
  if (tiers.every(({ value }) => value === 0)) return undefined;
  return barChart(
    'DMA accesses that were carried out, by address (refused ones are counted as faults)',
    tiers.map(({ name, value }) => ({ name, value, text: count(value) })),
  );
}

type Sleep = NonNullable<TestResult['sleeps']>[number];

/**
 * Where the time of a sleep goes: the median of each stage over all sleeps of a kind. A sleep may go through a stage
 * twice.
 */
function sleepCharts(sleeps: readonly Sleep[]): Html[] {
  const kindOf = ({ state, pmTest }: Sleep): string => (pmTest === undefined ? state : `${state}, pm_test ${pmTest}`);
  return [...new Set(sleeps.map(kindOf))].map((kind) => {
    const members = sleeps.filter((sleep) => kindOf(sleep) === kind);
    const names = [...new Set(members.flatMap(({ stages }) => stages.map(({ name }) => name)))];
    const bars = names.map((name) => {
      const value = median(members.map(({ stages }) => timeIn(stages, name)));
      return { name, value, text: `${count(Math.round(value))} ms` };
    });
    const whole = count(Math.round(median(members.map(({ totalMs }) => totalMs))));
    return barChart(`${kind}: stages of ${String(members.length)} sleeps, ${whole} ms each (medians)`, bars);
  });
}

function timeIn(stages: Sleep['stages'], name: string): number {
  return stages.filter((stage) => stage.name === name).reduce((sum, { durationMs }) => sum + durationMs, 0);
}

/** The median of each, and how far its rounds lie apart: whether a difference is one can be seen. */
function measured({ quantity, unit, medians, samples, aim, better }: MeasuredQuantity): Html {
  const bars = Object.entries(medians).map(([name, value]) => {
    const rounds = samples[name] ?? [value];
    return {
      name,
      value,
      text: `${figure(value)} ${unit}`,
      range: [Math.min(...rounds), Math.max(...rounds)] as const,
    };
  });
  return barChart(`${quantity} (${better} is better${aim === undefined ? '' : `; aim: ${aim}`})`, bars);
}

function figure(value: number): string {
  return Math.abs(value) < 100 ? String(Number(value.toPrecision(3))) : count(Math.round(value));
}

function table(title: string, rows: readonly (readonly [string, string])[]): Html | undefined {
  if (rows.length === 0) return undefined;
  const body = rows.map(
    ([name, value]) =>
      html`<tr>
        <th scope="row">${name}</th>
        <td class="number">${value}</td>
      </tr>`,
  );
  return html`<table class="facts">
    <caption>
      ${title}
    </caption>
    <tbody>
      ${body}
    </tbody>
  </table>`;
}
