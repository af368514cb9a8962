/**
 * KTAP version 1, as the kernel's own tools read it (Documentation/dev-tools/ktap.rst): a suite is a test with
 * subtests.
 */
import { bySuite, kernelReportText, warningText } from '../text/result-text.ts';
import type { RunReport, TestResult } from '../run-report.ts';

export function ktapReport({ results }: RunReport): string {
  const suites = [...bySuite(results)];
  const lines = suites.flatMap(([name, members], index) => {
    const passed = members.every(({ status }) => status !== 'fail' && status !== 'error');
    return [
      ...subtests(name, members).map((line) => `  ${line}`),
      `${passed ? 'ok' : 'not ok'} ${String(index + 1)} ${plain(name)}`,
    ];
  });
  return ['KTAP version 1', `1..${String(suites.length)}`, ...lines, ''].join('\n');
}

function subtests(suite: string, results: readonly TestResult[]): string[] {
  const lines = results.flatMap((result, index) => [...diagnostics(result), verdict(result, index + 1)]);
  return ['KTAP version 1', `# Subtest: ${plain(suite)}`, `1..${String(results.length)}`, ...lines];
}

function verdict({ status, failure, test, params, message = '' }: TestResult, number: number): string {
  // The seed is chance: with it in the name no tool could compare two runs.
  const fixed = Object.entries(params).filter(([key]) => key !== 'seed');
  const name = plain([test, ...fixed.map(([key, value]) => `${key}=${String(value)}`)].join(' '));
  const reason = plain(message.split('\n')[0] ?? '');
  switch (status) {
    case 'pass':
      return `ok ${String(number)} ${name}`;
    case 'skip':
      return `ok ${String(number)} ${name} # SKIP ${reason}`;
    case 'xfail':
      return `ok ${String(number)} ${name} # XFAIL ${reason}`;
    case 'fail':
      return `not ok ${String(number)} ${name}`;
    case 'error':
      return `not ok ${String(number)} ${name} # ${failure === 'timeout' ? 'TIMEOUT' : 'ERROR'} ${reason}`;
  }
}

function diagnostics(result: TestResult): string[] {
  const { status, message = '', params, kernelReports, warnings = [], metrics, artifacts } = result;
  const why = status === 'fail' || status === 'error' ? message.split('\n') : [];
  return [
    ...why,
    ...('seed' in params ? [`seed: ${String(params['seed'])}`] : []),
    ...kernelReports.flatMap((report) => kernelReportText(report).split('\n')),
    ...warnings.map(warningText),
    ...Object.entries(metrics).map(([name, value]) => `${name}: ${String(value)}`),
    ...(artifacts === undefined ? [] : [`artifacts: ${artifacts}`]),
  ].map((line) => `# ${line}`.trimEnd());
}

/** "#" begins a directive. */
function plain(text: string): string {
  return text.replaceAll(/[\r\n]+/g, ' ').replaceAll('#', '');
}
