/** Writes the `--json` file, whole or not at all. */
import { rename, writeFile } from 'node:fs/promises';
import { cpus, totalmem } from 'node:os';
import { RigError } from '../util/rig-error.ts';
import type { RigContext } from '../suite/rig-context.ts';
import { runReport, summarize, type RunReport, type TestResult } from './run-report.ts';

export function composeReport({ build, accelerator }: RigContext, results: readonly TestResult[]): RunReport {
  return runReport.parse({
    schema: 1,
    host: { cpus: cpus().length, memoryBytes: totalmem(), accelerator },
    kernel: { version: build.kernel.version, patches: build.kernel.patches },
    qemu: build.qemu.version,
    results,
    summary: summarize(results),
  });
}

export async function writeReport(file: string, report: RunReport): Promise<void> {
  const temporary = `${file}.${String(process.pid)}.tmp`;
  try {
    await writeFile(temporary, `${JSON.stringify(report, undefined, 2)}\n`);
    await rename(temporary, file);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new RigError('infrastructure', `The report could not be written to ${file}: ${reason}`, { cause });
  }
}
