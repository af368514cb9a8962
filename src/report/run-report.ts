/** The machine-readable result of a run: what `--json FILE` writes. Fields are only ever added within a schema number. */
import { z } from 'zod';

const kernelReport = z.object({
  kind: z
    .string()
    .describe('panic, oops, bug, warning, lockdep, kasan, ubsan, hung-task, rcu-stall, soft-lockup, hard-lockup, oom'),
  title: z.string().describe("the kernel's own first line"),
  lines: z.array(z.string()),
  fatal: z.boolean().describe('the kernel stopped because of it'),
});

const perVariant = <T extends z.ZodType>(value: T): z.ZodRecord<z.ZodString, T> => z.record(z.string(), value);

const measurement = z.object({
  quantity: z.string(),
  unit: z.string(),
  better: z.enum(['less', 'more']),
  samples: perVariant(z.array(z.number())).describe('what was compared, the subject first: one number a round'),
  medians: perVariant(z.number()),
  ratios: perVariant(z.number()).describe("the subject's median over that of each other; missing where that is 0"),
  aim: z.string().optional(),
});

export const testResult = z.object({
  suite: z.string().describe('smoke, for src/suites/smoke.suite.ts'),
  test: z.string().describe('full name, with its groups'),
  params: z.record(z.string(), z.union([z.string(), z.number()])).describe('machine, dmaBits, backend, seed'),
  status: z.enum(['pass', 'fail', 'skip', 'error']).describe('fail: the claim is wrong; error: it could not be judged'),
  durationMs: z.number(),
  metrics: z.record(z.string(), z.number()),
  kernelReports: z.array(kernelReport),
  measurements: z.array(measurement).optional().describe('of a bench'),
  message: z.string().optional().describe('why it did not pass'),
  artifacts: z.string().optional().describe("folder with the VM's logs, if kept"),
});

export const runReport = z.object({
  schema: z.literal(1),
  host: z.object({ cpus: z.number(), memoryBytes: z.number(), accelerator: z.enum(['kvm', 'tcg']) }),
  kernel: z.object({ version: z.string(), patches: z.array(z.string()) }),
  qemu: z.string().describe('version'),
  results: z.array(testResult),
  summary: z.object({ pass: z.number(), fail: z.number(), skip: z.number(), error: z.number() }),
});

export type TestResult = z.infer<typeof testResult>;
export type MeasuredQuantity = z.infer<typeof measurement>;
export type RunReport = z.infer<typeof runReport>;

export function summarize(results: readonly TestResult[]): RunReport['summary'] {
  const summary = { pass: 0, fail: 0, skip: 0, error: 0 };
  for (const { status } of results) summary[status]++;
  return summary;
}
