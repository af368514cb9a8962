/** What is kept of a run of a bench: its figures, and what they were measured with. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { runReport } from '../../../src/report/run-report.ts';

const measured = z.object({
  quantity: z.string(),
  unit: z.string(),
  better: z.enum(['less', 'more']),
  medians: z.record(z.string(), z.number()),
  samples: z.record(z.string(), z.array(z.number())),
});

const keptRun = z.object({
  command: z.string(),
  startedAt: z.string(),
  kernel: z.string(),
  accelerator: z.string(),
  rig: z.string(),
  /** By the name of the test, with its groups. */
  tests: z.record(z.string(), z.array(measured)),
});

export type KeptRun = z.infer<typeof keptRun>;
export type Measured = z.infer<typeof measured>;

export function keptFile(name: string, extension: 'json' | 'svg'): string {
  return path.join(import.meta.dirname, `${name}.${extension}`);
}

export async function readKept(name: string): Promise<KeptRun> {
  return keptRun.parse(JSON.parse(await readFile(keptFile(name, 'json'), 'utf8')));
}

/** Of what `bench --json` wrote, with no quotes in names. A figure with more digits than these says nothing more. */
export async function keptOf(command: string, reportFile: string): Promise<KeptRun> {
  const report = runReport.parse(JSON.parse(await readFile(reportFile, 'utf8')));
  const tests = report.results.map(
    ({ test, measurements = [] }) => [test.replaceAll(' > ', ' › ').replaceAll("'", ''), measurements] as const,
  );
  const { startedAt, kernel, host, rig } = report;
  const kept = { command, startedAt, kernel: kernel.version, accelerator: host.accelerator, rig };
  const rounded = (_: string, value: unknown): unknown =>
    typeof value === 'number' ? Number(value.toPrecision(5)) : value;
  return keptRun.parse(JSON.parse(JSON.stringify({ ...kept, tests: Object.fromEntries(tests) }, rounded)));
}

export function find(run: KeptRun, test: string, quantity: string): Measured {
  const found = run.tests[test]?.find((candidate) => candidate.quantity === quantity);
  if (!found) throw new Error(`The run of "${run.command}" has no "${quantity}" of "${test}".`);
  return found;
}
