/**
 * A run as KCIDB has it: a checkout, a build for each flavour of the kernel, the tests of each build; and the kernel's
 * reports as issues, with an incident for each test in which one came. Identifiers are hashes of what they name, so
 * that a report that is sent twice is there once, and a bug that two hosts met is one issue.
 */
import { createHash } from 'node:crypto';
import { bugIdentity } from '../../vm/kernel-log/distinct-reports.ts';
import type { ReportedKernelBug, RunReport, TestResult } from '../run-report.ts';
import { kernelReportText, testTitle } from '../text/result-text.ts';
import {
  kcidbDocument,
  LONGEST_EXCERPT,
  ORIGIN,
  type KcidbDocument,
  type KcidbIssue,
  type KcidbTest,
} from './kcidb-schema.ts';

export function kcidbReport(report: RunReport): string {
  return `${JSON.stringify(kcidbDocument.parse(documentOf(report)), undefined, 2)}\n`;
}

function documentOf(report: RunReport): KcidbDocument {
  const names = namesIn(report);
  const judged = report.results.map((result, index) => ({ result, test: testOf(result, index, report, names) }));
  const found = judged.flatMap(({ result, test }) => issuesOf(result).map((issue) => ({ issue, test })));
  return {
    version: { major: 5, minor: 3 },
    checkouts: [checkoutOf(report, names)],
    builds: [...new Set(report.results.map(names.flavour))].map((flavour) => buildOf(flavour, report, names)),
    tests: judged.flatMap(({ result, test }) => [test, ...figuresOf(result, test)]),
    issues: [...new Map(found.map(({ issue }) => [issue.id, issue])).values()],
    incidents: found.map(({ issue, test }) => ({
      id: idOf('incident', issue.id, test.id),
      origin: ORIGIN,
      issue_id: issue.id,
      issue_version: issue.version,
      test_id: test.id,
      present: true,
      comment: issue.comment,
    })),
  };
}

/** How the objects of one run are called. */
interface Names {
  readonly run: string;
  readonly checkout: string;
  readonly flavour: (result: TestResult) => string;
  readonly build: (flavour: string) => string;
}

function namesIn(report: RunReport): Names {
  const { kernel, sources, asked, startedAt, seed, host, results } = report;
  const run = hashOf(JSON.stringify([startedAt, seed, host, kernel, results.map(testTitle)]));
  const origin = kernel.commit ?? sources?.['linux'];
  const source = JSON.stringify([kernel.version, origin, kernel.patches, kernel.patchset]);
  // A tree with changes that are not committed is in no other run.
  const checkout = idOf('checkout', source, origin === undefined ? run : '');
  // A test that was not begun, or an error outside of all tests, has no kernel of its own.
  const usual = results.flatMap(({ params }) => params['flavour'] ?? [])[0] ?? 'plain';
  return {
    run,
    checkout,
    flavour: ({ params }) => String(params['flavour'] ?? usual),
    build: (flavour) => idOf('build', checkout, flavour, ...(asked?.kconfig ?? [])),
  };
}

function checkoutOf({ kernel, startedAt, sources, rig }: RunReport, { checkout }: Names): Document<'checkouts'> {
  return {
    id: checkout,
    origin: ORIGIN,
    ...(kernel.commit === undefined ? {} : { git_commit_hash: kernel.commit }),
    ...(kernel.patchset === undefined ? {} : { patchset_hash: kernel.patchset }),
    comment: clean(`Linux ${kernel.version}`),
    ...(startedAt === undefined ? {} : { start_time: startedAt }),
    valid: true,
    misc: { patches: kernel.patches, ...(sources && { sources }), ...(rig !== undefined && { rig }) },
  };
}

function buildOf(flavour: string, { asked, kernel, startedAt }: RunReport, names: Names): Document<'builds'> {
  const options = asked?.kconfig === undefined ? '' : `, and ${asked.kconfig.join(', ')}`;
  return {
    id: names.build(flavour),
    origin: ORIGIN,
    checkout_id: names.checkout,
    comment: clean(
      `Linux ${kernel.version} with ${String(kernel.patches.length)} patches, flavour ${flavour}${options}`,
    ),
    ...(startedAt === undefined ? {} : { start_time: startedAt }),
    architecture: 'x86_64',
    config_name: clean(flavour),
    // Where a kernel can't be built there are no tests of it.
    status: 'PASS',
    misc: {},
  };
}

type Document<List extends keyof KcidbDocument> = KcidbDocument[List] extends (infer Item)[] ? Item : never;

function testOf(result: TestResult, index: number, report: RunReport, names: Names): KcidbTest {
  const { params, metrics, durationMs, warnings, rate, cases } = result;
  const said = excerptOf(result);
  return {
    id: idOf('test', names.run, String(index)),
    origin: ORIGIN,
    build_id: names.build(names.flavour(result)),
    environment: environmentOf(result, report),
    path: pathOf(result),
    comment: clean(testTitle(result)),
    ...(said === '' ? {} : { log_excerpt: said }),
    status: statusOf(result),
    duration: durationMs / 1000,
    misc: { params, metrics, ...(warnings && { warnings }), ...(rate && { rate }), ...(cases && { cases }) },
  };
}

function environmentOf({ params, accelerator }: TestResult, { qemu, host }: RunReport): KcidbTest['environment'] {
  const under = accelerator ?? host.accelerator;
  const machine = params['machine'] === undefined ? '' : `, machine ${String(params['machine'])}`;
  const { cpus, memoryBytes } = host;
  return { comment: clean(`QEMU ${qemu} under ${under}${machine}`), misc: { cpus, memoryBytes } };
}

/** What KCIDB calls it when a test did not come to a verdict tells the test's own fault from the rig's. */
function statusOf({ status, failure, notRun, measurements }: TestResult): KcidbTest['status'] {
  switch (status) {
    case 'pass':
      return measurements === undefined ? 'PASS' : 'DONE';
    case 'fail':
    case 'xfail':
      return 'FAIL';
    case 'skip':
      return notRun ? 'MISS' : 'SKIP';
    case 'error':
      return failure === 'infrastructure' ? 'MISS' : 'ERROR';
  }
}

/** Each figure of a bench is a test of its own, as KCIDB has one number a test. */
function figuresOf({ measurements = [] }: TestResult, bench: KcidbTest): KcidbTest[] {
  return measurements.flatMap(({ quantity, unit, medians }) =>
    Object.entries(medians).map(([variant, value]) => ({
      ...bench,
      id: idOf('figure', bench.id, quantity, variant),
      path: `${bench.path}.${pathPart(quantity)}.${pathPart(variant)}`,
      comment: clean(`${bench.comment}: ${quantity}, ${variant}`),
      status: 'DONE' as const,
      number: { value, unit: clean(unit) },
      misc: {},
    })),
  );
}

/** What failed the test, or is known to. What it provoked and what is only noted is no issue. */
function issuesOf(result: TestResult): KcidbIssue[] {
  const bugs = result.kernelReports.filter(({ severity, expected }) => severity === 'bug' && !expected);
  return [...bugs.map(kernelIssue), ...(result.status === 'xfail' ? [knownIssue(result)] : [])];
}

const CULPRIT = { code: true, tool: false, harness: false };

function kernelIssue(bug: ReportedKernelBug): KcidbIssue {
  return {
    id: idOf('issue', bugIdentity(bug)),
    version: 1,
    origin: ORIGIN,
    categories: [`kernel.${pathPart(bug.kind)}`],
    report_subject: clean(bug.title),
    culprit: CULPRIT,
    comment: clean(bug.where === undefined ? bug.kind : `${bug.kind} in ${bug.where}`),
  };
}

function knownIssue({ suite, test, message = '' }: TestResult): KcidbIssue {
  const [reason = ''] = message.split('\n');
  const title = testTitle({ suite, test });
  return {
    id: idOf('known', title, reason),
    version: 1,
    origin: ORIGIN,
    categories: ['known'],
    report_subject: clean(`${title}: ${reason}`),
    culprit: CULPRIT,
    comment: clean(reason),
  };
}

function excerptOf({ message = '', kernelReports }: TestResult): string {
  const all = [...(message === '' ? [] : [message]), ...kernelReports.map(kernelReportText)].join('\n\n');
  // Half a character at the end would be none.
  return clean(all)
    .slice(0, LONGEST_EXCERPT)
    .replace(/[\uD800-\uDBFF]$/, '');
}

/** `dgpu_rig.smoke.dma-bits_40.keeps_objects`. */
function pathOf({ suite, test }: TestResult): string {
  return [ORIGIN, suite, ...test.split(' > ')].map(pathPart).join('.');
}

const HASH_IN_PATH = 6;

/** A part of a name; where it lost more than its blanks, with a hash that keeps it apart from others. */
function pathPart(name: string): string {
  const plain = name.replaceAll(/[^\w-]+/g, '_').replaceAll(/^_+|_+$/g, '');
  return plain === name.replaceAll(' ', '_') ? plain : `${plain}-${hashOf(name).slice(0, HASH_IN_PATH)}`;
}

function clean(text: string): string {
  return text.replaceAll('\0', '\uFFFD');
}

function idOf(...parts: readonly string[]): string {
  return `${ORIGIN}:${hashOf(JSON.stringify(parts))}`;
}

const HASH_LENGTH = 32;

function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, HASH_LENGTH);
}
