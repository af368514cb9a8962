/** JUnit XML, as GitLab, Jenkins and GitHub's actions read it: a failure is the product's, an error the rig's. */
import { escape } from './xml.ts';
import type { RunReport, TestResult } from '../run-report.ts';
import { bySuite, kernelReportText, warningText } from '../text/result-text.ts';

export function junitReport({ results }: RunReport): string {
  const suites = [...bySuite(results)].map(([name, members]) => suite(name, members));
  return `<?xml version="1.0" encoding="UTF-8"?>\n<testsuites ${totals(results)}>\n${suites.join('')}</testsuites>\n`;
}

function suite(name: string, results: readonly TestResult[]): string {
  return `  <testsuite name="${escape(name)}" ${totals(results)}>\n${results.map(testCase).join('')}  </testsuite>\n`;
}

function totals(results: readonly TestResult[]): string {
  const count = (...statuses: TestResult['status'][]): string =>
    String(results.filter(({ status }) => statuses.includes(status)).length);
  const time = seconds(results.reduce((sum, { durationMs }) => sum + durationMs, 0));
  return `tests="${String(results.length)}" failures="${count('fail')}" errors="${count('error')}" skipped="${count('skip', 'xfail')}" time="${time}"`;
}

function testCase(result: TestResult): string {
  const { suite: className, test, durationMs, kernelReports, warnings = [], artifacts } = result;
  const reports = [...kernelReports.map(kernelReportText), ...warnings.map(warningText)].join('\n\n');
  return [
    `    <testcase classname="${escape(className)}" name="${escape(test)}" time="${seconds(durationMs)}">`,
    '      <properties>',
    ...Object.entries<string | number>({
      ...result.params,
      ...result.metrics,
      ...(artifacts === undefined ? {} : { artifacts }),
    }).map(([name, value]) => `        <property name="${escape(name)}" value="${escape(String(value))}"/>`),
    '      </properties>',
    ...verdict(result),
    ...(reports === '' ? [] : [`      <system-err>${escape(reports)}</system-err>`]),
    '    </testcase>\n',
  ].join('\n');
}

function verdict({ status, failure = 'test', message = '' }: TestResult): string[] {
  const attribute = `message="${escape(message.split('\n')[0] ?? '')}"`;
  switch (status) {
    case 'pass':
      return [];
    case 'fail':
      return [`      <failure ${attribute} type="${failure}">${escape(message)}</failure>`];
    case 'error':
      return [`      <error ${attribute} type="${failure}">${escape(message)}</error>`];
    case 'skip':
    case 'xfail':
      return [`      <skipped ${attribute}/>`];
  }
}

function seconds(milliseconds: number): string {
  return (milliseconds / 1000).toFixed(3);
}
