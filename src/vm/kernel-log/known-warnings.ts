/** Lines of level warning or worse that are part of no report: worth a look where nobody knows why they come. */
import { holds, type Excuse } from '../../util/expiry.ts';
import type { KernelWarning } from './kernel-report.ts';

/** A line that nobody knows, as it was first said, and how often. */
export interface UnknownWarning extends KernelWarning {
  readonly count: number;
}

interface KnownWarning extends Excuse {
  readonly text: RegExp;
  readonly example: string;
}

/** By then the rig tests another kernel, whose lines somebody has to look at. */
const until = '2027-05-31';

const EMULATED_TIME = 'an emulated machine on a busy host does not keep time as well as a real one';
const CONFIGURATION = 'the guests have several memory nodes and no CPU frequencies, as the rig configures them';
const FIRMWARE = "SeaBIOS does not set up the memory types of all of QEMU's CPUs alike, which the kernel puts right";
const SERIAL_PORT = "two tables of ACPI in QEMU 11.1 differ about the kind of its serial port's interrupt";

const PART = 'it belongs to a report, before or after which it is said';
const SWITCHED_OFF = 'a machine that switches itself off says so at level emergency';

const CMA_IS_FULL = 'what CMA has left is said, line by line, when it can give no more, for which its user is ready';
const OLD_PATH =
  'a program has looked into /sys/kernel/debug/tracing, or into all of debugfs, and the kernel mounts it there';

const SELFTESTS = "the runner of the kernel's self-tests marks in the log where each target begins";

const NO_IOAPIC = "QEMU's AMD IOMMU does not list the IOAPIC, without which Linux does not remap interrupts";

export const KNOWN_WARNINGS: readonly KnownWarning[] = [
  {
    text: /^(Disabling lock debugging due to kernel taint|warn_alloc: \d+ callbacks suppressed)$/,
    example: 'warn_alloc: 58639 callbacks suppressed',
    reason: PART,
    until,
  },
  {
    // The object of a report is out of use from then on, which whoever has the slabs checked is told.
    text: /^SLUB: \S+ \d+ slabs counted but counter=\d+$/,
    example: 'SLUB: kmalloc-1k 21 slabs counted but counter=22',
    reason: PART,
    until,
  },
  {
    text: /^DMAR: DRHD: handling fault status reg [0-9a-f]+$/,
    example: 'DMAR: DRHD: handling fault status reg 2',
    reason: PART,
    until,
  },
  {
    text: /^ (vmalloc memory|\d+-page vmalloc region starting at 0x[0-9a-f]+ allocated at .*)$/,
    example: ' 4-page vmalloc region starting at 0xffa00000001e4000 allocated at kernel_clone+0xcb/0x420',
    reason: PART,
    until,
  },
  {
    text: /^\*\*(?!.*trace_printk).*\*\*$/,
    example: '** This system shows unhashed kernel memory addresses   **',
    reason: 'debugging of slabs shows addresses, and the kernel warns of that in a frame of stars',
    until,
  },
  {
    text: /^=> \d+ free of \d+ total pages$/,
    example: '=> 7648 free of 32768 total pages',
    reason: CMA_IS_FULL,
    until,
  },
  {
    text: /^reboot: Power down$/,
    example: 'reboot: Power down',
    reason: SWITCHED_OFF,
    until,
  },
  {
    text: /^tsc: (Unable to calibrate against PIT|Fast TSC calibration failed)$/,
    example: 'tsc: Unable to calibrate against PIT',
    reason: EMULATED_TIME,
    until,
  },
  {
    text: /^(clocksource: Marking clocksource tsc unstable due to |TSC found unstable after boot, )/,
    example: 'clocksource: Marking clocksource tsc unstable due to frequency skew',
    reason: EMULATED_TIME,
    until,
  },
  {
    text: /^clocksource: (Watchdog|Clocksource) +\w+ interval: +\d+ns$/,
    example: 'clocksource: Watchdog                 acpi_pm interval:         10032560ns',
    reason: EMULATED_TIME,
    until,
  },
  {
    text: /^(APIC calibration not consistent with PM-Timer: |calibrate_delay_direct\(\) dropping )/,
    example: 'APIC calibration not consistent with PM-Timer: 91ms instead of 100ms',
    reason: EMULATED_TIME,
    until,
  },
  {
    text: /^(hrtimer: interrupt took \d+ ns|clocksource: Watchdog remote CPU \d+ read timed out)$/,
    example: 'hrtimer: interrupt took 5123456 ns',
    reason: EMULATED_TIME,
    until,
  },
  {
    text: /^(Unstable clock detected, |If you want to keep using the local clock, | {2}"trace_clock=local"$|on the kernel command line$)/,
    example: 'Unstable clock detected, switching default tracing clock to "global"',
    reason: EMULATED_TIME,
    until,
  },
  {
    text: /^NOTICE: Automounting of tracing to debugfs is deprecated and will be removed in 20\d\d$/,
    example: 'NOTICE: Automounting of tracing to debugfs is deprecated and will be removed in 2030',
    reason: OLD_PATH,
    until,
  },
  {
    text: /^AMD-Vi: (\[Firmware Bug\]: : No southbridge IOAPIC found|Disabling interrupt remapping)$/,
    example: 'AMD-Vi: Disabling interrupt remapping',
    reason: NO_IOAPIC,
    until,
  },
  {
    text: /^(Reading current time from RTC took around \d+ ms|Unable to read current time from RTC)$/,
    example: 'Reading current time from RTC took around 363 ms',
    reason: EMULATED_TIME,
    until,
  },
  {
    text: /^kselftest: Running tests in \S+$/,
    example: 'kselftest: Running tests in dmabuf-heaps',
    reason: SELFTESTS,
    until,
  },
  {
    text: /^hpet: Lost \d+ RTC interrupts$/,
    example: 'hpet: Lost 10 RTC interrupts',
    reason: EMULATED_TIME,
    until,
  },
  {
    text: /^ *# \w+: Test should be marked slow \(runtime: [\d.]+s\)$/,
    example: '    # ttm_tt_shmem_fail_swapout: Test should be marked slow (runtime: 8.523097064s)',
    reason: EMULATED_TIME,
    until,
  },
  {
    text: /^pci_bus \S+: Unknown NUMA node; performance will be reduced$/,
    example: 'pci_bus 0000:00: Unknown NUMA node; performance will be reduced',
    reason: CONFIGURATION,
    until,
  },
  {
    text: /^Warning: Processor Platform Limit event detected, but not handled\.$/,
    example: 'Warning: Processor Platform Limit event detected, but not handled.',
    reason: CONFIGURATION,
    until,
  },
  {
    text: /^Consider compiling CPUfreq support into your kernel\.$/,
    example: 'Consider compiling CPUfreq support into your kernel.',
    reason: CONFIGURATION,
    until,
  },
  {
    text: /^ACPI: IRQ 4 override to edge\(!\), high\(!\)$/,
    example: 'ACPI: IRQ 4 override to edge(!), high(!)',
    reason: SERIAL_PORT,
    until,
  },
  {
    text: /^mtrr: your CPUs had inconsistent (fixed MTRR|variable MTRR|MTRRdefType) settings$/,
    example: 'mtrr: your CPUs had inconsistent fixed MTRR settings',
    reason: FIRMWARE,
    until,
  },
];

/** They are in the order in which they were first said. */
export function unknownWarnings(warnings: readonly KernelWarning[], now = new Date()): UnknownWarning[] {
  const known = KNOWN_WARNINGS.filter((excuse) => holds(excuse, now));
  const found = new Map<string, UnknownWarning>();
  for (const warning of warnings) {
    if (known.some(({ text }) => text.test(warning.text))) continue;
    const key = warningIdentity(warning);
    const earlier = found.get(key);
    found.set(key, earlier ? { ...earlier, count: earlier.count + 1 } : { ...warning, count: 1 });
  }
  return [...found.values()];
}

/** Alike for lines of which only numbers differ. */
export function warningIdentity({ text }: Pick<KernelWarning, 'text'>): string {
  return text.replaceAll(/\b(?:0x[0-9a-f]+|[0-9a-f]*\d[0-9a-f]*)\b/g, '#');
}
