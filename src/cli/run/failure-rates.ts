/** How often does a test that failed fail? It is repeated to be measured: its verdict stays what it is. */
import path from 'node:path';
import { testTitle } from '../../report/text/result-text.ts';
import type { TestResult } from '../../report/run-report.ts';
import type { Session } from '../session.ts';
import { runVitest, type VitestRequest } from './vitest-run.ts';

/** The first failure is not counted: it is why there is a measurement, and would only make every rate look higher. */
export async function measureRates(
  results: readonly TestResult[],
  runs: number,
  request: VitestRequest,
  session: Session,
): Promise<readonly TestResult[]> {
  const failed = results.filter(({ status }) => status === 'fail' || status === 'error');
  if (failed.length === 0 || runs === 0) return results;
  const failures = new Map<string, number>();
  for (let run = 1; run <= runs; run++) {
    session.progress.print(`Repeating what failed, ${String(run)} of ${String(runs)}`);
    // The artifacts of the first failure stay as they are.
    const rig = { ...request.rig, artifacts: path.join(request.rig.artifacts, `repeat-${String(run)}`) };
    const again = await runVitest({ ...request, rig, filter: exactly(failed), onResult: undefined }, session);
    for (const result of again.results) {
      if (result.status === 'fail' || result.status === 'error') {
        failures.set(nameOf(result), (failures.get(nameOf(result)) ?? 0) + 1);
      }
    }
  }
  return results.map((result) =>
    failed.includes(result) ? { ...result, rate: { failures: failures.get(nameOf(result)) ?? 0, runs } } : result,
  );
}

function nameOf({ suite, test }: TestResult): string {
  return `${suite} ${test}`;
}

/** A filter for these tests alone; a case of a program takes that program. */
export function exactly(results: readonly TestResult[]): RegExp {
  const tests = results.map(({ suite, test, caseOf = test }) => testTitle({ suite, test: caseOf }));
  const names = [...new Set(tests)].map((title) => title.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^(${names.join('|')})$`);
}
