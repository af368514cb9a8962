/**
 * The machine-readable result of a run: what `--json FILE` writes. Fields are only ever added within a schema number.
 */
import { z } from 'zod';

const sightings = z
  .object({
    count: z.number().describe('in how many earlier runs'),
    runs: z.array(z.number()).describe('their numbers; of more than ten the first and the latest nine'),
  })
  .describe('where the history of the machine that ran it has the same; missing if it has it nowhere');

const kernelReport = z.object({
  kind: z.string().describe('panic, oops, kasan, lockdep, …: all are in src/vm/kernel-log/kernel-report-kinds.ts'),
  severity: z.enum(['bug', 'note']).describe('a bug fails the test; a note does not'),
  title: z.string().describe("the kernel's own first line; of an assertion with what it asserts"),
  lines: z.array(z.string()),
  fatal: z.boolean().describe('the kernel stopped because of it'),
  expected: z.boolean().describe('the test provoked it'),
  count: z.number().describe('how often it came'),
  where: z.string().optional().describe('function+offset/size'),
  source: z.array(z.string()).optional().describe('its source lines, if the kernel has debug information'),
  seenIn: sightings.optional(),
});

const warning = z.object({
  level: z.number().describe('as syslog counts: 4 is a warning, 3 an error, 0 an emergency'),
  text: z.string(),
  count: z.number().describe('how often it came, but for numbers'),
  seenIn: sightings.optional(),
});

const memorySample = z.object({
  timeMs: z.number().describe('since the boot'),
  available: z.number().describe('bytes, as all that follow: MemAvailable'),
  swapUsed: z.number(),
  shmem: z.number(),
  swappedOut: z.number().describe('since the boot'),
  swappedIn: z.number().describe('since the boot'),
  vram: z.number().optional().describe('handed out by the driver'),
  gtt: z.number().optional().describe('system memory that is pinned for the device'),
});

const rate = z.object({
  failures: z.number(),
  runs: z.number().describe('by --repeat, the failure that made it necessary not counted'),
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

const sleep = z.object({
  state: z.enum(['s2idle', 's3', 's4']),
  pmTest: z.string().optional().describe("the stage at which the kernel's own test turned round"),
  refusal: z.string().optional().describe('what the kernel said if it did not sleep'),
  totalMs: z.number(),
  stages: z
    .array(z.object({ name: z.string(), durationMs: z.number() }))
    .describe("in order, by the host's clock; their names are in src/vm/sleep/sleep-stages.ts"),
});

const accelerator = z.enum(['kvm', 'tcg']);

export const testResult = z.object({
  suite: z.string().describe('smoke, for src/suites/smoke.suite.ts'),
  test: z.string().describe('full name, with its groups'),
  caseOf: z.string().optional().describe('of a case that a program of --exec reported: the test that this program is'),
  params: z.record(z.string(), z.union([z.string(), z.number()])).describe('machine, dmaBits, backend, flavour, seed'),
  accelerator: accelerator.optional().describe('what its VM ran under'),
  smallest: z.string().optional().describe('of a combination that failed, what of it is enough to fail'),
  status: z
    .enum(['pass', 'fail', 'skip', 'error', 'xfail'])
    .describe('fail: the claim is wrong; error: it could not be judged; xfail: it failed as it is known to'),
  notRun: z
    .boolean()
    .optional()
    .describe('the run ended before this test, or, as "(not begun)", before any of this suite; its status is skip'),
  failure: z
    .enum(['test', 'kernel', 'infrastructure', 'timeout', 'usage'])
    .optional()
    .describe('what failed, unless it passed'),
  durationMs: z.number(),
  metrics: z.record(z.string(), z.number()),
  kernelReports: z.array(kernelReport),
  warnings: z
    .array(warning)
    .optional()
    .describe(
      'lines of level warning or worse that are part of no report and not in src/vm/kernel-log/known-warnings.ts',
    ),
  cases: z
    .record(z.string(), z.enum(['pass', 'fail', 'skip']))
    .optional()
    .describe("of a test that runs some of the kernel's own: what each of those said"),
  memory: z.array(memorySample).optional().describe('of the guest, once a second'),
  deviceStatistics: z.record(z.string(), z.number()).optional().describe('what the device counted'),
  sleeps: z.array(sleep).optional().describe('each time the guest was put to sleep; of many, the last'),
  rate: rate.optional().describe('how often a test that failed does so'),
  measurements: z.array(measurement).optional().describe('of a bench'),
  message: z.string().optional().describe('why it did not pass'),
  artifacts: z.string().optional().describe("folder with the VM's logs, if kept"),
  evidence: z
    .array(z.string())
    .optional()
    .describe('files in it that not every VM leaves: a trace, a time line, a dump of its memory'),
});

const cutShort = z.object({
  how: z
    .enum(['interrupted', 'failed', 'killed'])
    .describe('interrupted: by Ctrl-C or a signal; failed: by an error of the rig; killed: the rig itself was'),
  message: z.string(),
});

const asked = z.object({
  machine: z.string(),
  wider: z
    .object({ than: z.number(), machine: z.string() })
    .optional()
    .describe('the machine of tests with a mask of more bits, where nobody chose a machine'),
  dmaBits: z.array(z.number()),
  backend: z.string(),
  cycles: z.number().optional(),
  durationMs: z.number().optional(),
  exec: z.array(z.string()).optional().describe('the programs that were tests'),
  put: z
    .array(z.object({ from: z.string(), to: z.string() }))
    .optional()
    .describe('what was put into their guests'),
  share: z
    .array(z.object({ folder: z.string(), at: z.string() }))
    .optional()
    .describe('folders of the host in their guests'),
  install: z.array(z.string()).optional().describe('packages of the Debian userland that they ran in'),
  timeoutMs: z.number().optional(),
  outside: z.array(z.string()).optional().describe("paths of suites that were not the rig's own"),
  kernelSource: z.string().optional().describe('folder'),
  unpatched: z.boolean().optional(),
  kconfig: z.array(z.string()).optional().describe('options of the kernel, and files of such'),
  patch: z.array(z.string()).optional().describe('files, applied to the kernel on top of all else'),
  append: z.string().optional().describe("on the kernel's command line"),
  trace: z.array(z.string()).optional().describe("trace events of the guest's kernel, as patterns"),
  qemuSource: z.string().optional().describe('folder'),
  sanitize: z.boolean().optional(),
});

export const runReport = z.object({
  schema: z.literal(1),
  host: z.object({
    cpus: z.number(),
    memoryBytes: z.number(),
    accelerator: accelerator.describe('of the machine that was selected'),
    reason: z
      .string()
      .optional()
      .describe('why it is not KVM, where nobody asked for TCG; or why it is not the machine tiers'),
    remedy: z.string().optional(),
  }),
  kernel: z.object({
    version: z.string(),
    patches: z.array(z.string()),
    patchset: z.string().optional().describe('SHA-256 of the list of the SHA-256 of these patches, as KCIDB has it'),
    commit: z.string().optional().describe('of a git tree in which all is committed'),
  }),
  qemu: z.string().describe('version'),
  sources: z
    .record(z.string(), z.string())
    .optional()
    .describe("SHA-256 of Debian's packages that Linux, QEMU and SeaBIOS were built from; none of a tree of one's own"),
  rig: z
    .string()
    .optional()
    .describe("commit of the rig's own repository, with the series in it; + where it was edited"),
  startedAt: z.string().optional().describe('ISO 8601'),
  shard: z
    .object({ index: z.number(), of: z.number() })
    .optional()
    .describe('of a run that is spread over hosts, the part that this is'),
  lostJobs: z
    .array(z.object({ shard: z.number(), node: z.string(), testsEnded: z.number() }))
    .optional()
    .describe(
      'jobs that ended with their node and ran again elsewhere: says something about hosts, nothing about the kernel',
    ),
  seed: z.number().optional(),
  asked: asked.optional().describe('by the options of the run: what repeats it, together with the seed'),
  cutShort: cutShort
    .optional()
    .describe('of a run that did not come to its end: why, and that there are tests missing'),
  results: z.array(testResult),
  summary: z.object({
    pass: z.number(),
    fail: z.number(),
    skip: z.number(),
    error: z.number(),
    xfail: z.number(),
  }),
});

export type TestResult = z.infer<typeof testResult>;
export type MeasuredQuantity = z.infer<typeof measurement>;
export type ReportedKernelBug = z.infer<typeof kernelReport>;
export type Sightings = z.infer<typeof sightings>;
export type ReportedWarning = z.infer<typeof warning>;
export type ReportedMemory = z.infer<typeof memorySample>;
export type RunReport = z.infer<typeof runReport>;
export type Asked = z.infer<typeof asked>;
export type CutShort = z.infer<typeof cutShort>;
export type RunFacts = Omit<RunReport, 'cutShort' | 'results' | 'summary'>;

/** What stands for tests of which there is no result. */
export function placeholderResult(
  given: Pick<TestResult, 'suite' | 'test' | 'status' | 'message'> & Partial<TestResult>,
): TestResult {
  return { params: {}, durationMs: 0, metrics: {}, kernelReports: [], ...given };
}

/** The name of what failed beside the tests of a suite: its file could not be loaded, or a hook of it failed. */
export const OUTSIDE_OF_TESTS = '(outside of any test)';

export function summarize(results: readonly TestResult[]): RunReport['summary'] {
  const summary = { pass: 0, fail: 0, skip: 0, error: 0, xfail: 0 };
  for (const { status } of results) summary[status]++;
  return summary;
}
