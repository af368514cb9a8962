/**
 * The kernel's self-tests of the memory of devices that processes can have pass, case by case, on memory that a CPU
 * cannot map and on memory that it can; and what they leave out.
 */
import { describe, expect } from 'vitest';
import { caseVerdicts, countCases, parseKtap, type CaseVerdicts } from '../plan/ktap.ts';
import { test } from '../testbed/fixtures.ts';
import type { Guest } from '../testbed/guest/guest.ts';
import { hmmReport, runProgram } from '../testbed/programs/stress-program.ts';

const DEADLINE_MS = 600_000;
const MIB = 1024 * 1024;

/**
 * It measures, and is given up after 120 seconds: what it says depends on what else the host has to do, whatever the
 * kernel.
 */
const DEPENDS_ON_TIME = 'benchmark_';

/** They want pages of hugetlbfs, which the guest's kernel does not have. */
const HUGETLBFS = ['anon_write_hugetlbfs', 'compound'];

/** Prints where the memory of each device is, and lets it answer: nobody else does without our driver. */
const MEMORY_OF_DEVICES = `for device in /sys/bus/pci/devices/*; do
  [ "$(cat $device/vendor $device/device | tr '\\n' :)" = 0x1af4:0x10f0: ] || continue
  echo 1 > $device/enable
  sed -n '3s/ .*//p' $device/resource
done`;

/** The kernel turns them off on a machine that has less than 512 MiB before more is plugged in. */
const HUGE_PAGES = 'echo always > /sys/kernel/mm/transparent_hugepage/enabled';

interface HmmTests {
  readonly verdicts: CaseVerdicts;
  readonly counts: ReturnType<typeof countCases>;
}

async function hmmTests(guest: Guest, only = ''): Promise<HmmTests> {
  const { stdout, stderr } = await guest.exec(`hmm-tests ${only}`, { deadlineMs: DEADLINE_MS });
  const { results, faults } = parseKtap(stdout);
  expect(faults, stderr).toEqual([]);
  const named = Object.entries(caseVerdicts(results)).filter(([name]) => !name.includes(DEPENDS_ON_TIME));
  return { verdicts: Object.fromEntries(named), counts: countCases(results) };
}

/** With what each says; what has to be left out does not count. */
function notPassed(verdicts: CaseVerdicts): string[] {
  return Object.entries(verdicts).flatMap(([name, verdict]) => {
    const isLeftOut = verdict === 'skip' && HUGETLBFS.some((left) => name.endsWith(`.${left}`));
    return verdict === 'pass' || isLeftOut ? [] : [`${name}: ${verdict}`];
  });
}

test.override({ machine: 'pair' });

/** The memory of two devices is what coherent memory is made of. Upstream's module does not survive it. */
test('hmm-tests', async ({ guest, unpatched, record, annotate }) => {
  const [first = '', second = ''] = (await guest.run(MEMORY_OF_DEVICES)).split('\n');
  const coherent = unpatched ? '' : `spm_addr_dev0=${first} spm_addr_dev1=${second}`;
  await guest.run(`${HUGE_PAGES} && modprobe test_hmm ${coherent}`);
  await annotate('running hmm-tests', 'step');
  const { verdicts, counts } = await hmmTests(guest);
  record.cases = verdicts;
  Object.assign(record.metrics, counts);
  expect(Object.keys(verdicts).length).toBeGreaterThan(0);
  if (!unpatched) expect(notPassed(verdicts)).toEqual([]);
});

test('control: a case that fails is seen', async ({ guest }) => {
  await guest.run('modprobe test_hmm && rm /dev/hmm_dmirror1');
  const { verdicts } = await hmmTests(guest, '-r hmm2.hmm2_device_private.snapshot');
  expect(notPassed(verdicts)).toEqual(['hmm2.hmm2_device_private.snapshot: fail']);
});

/*
 * What goes is the anon_vma of each page, while the device still has to find by it where the page was mapped. Memory
 * that is free holds zeroes here, so that what is read there nevertheless is a NULL pointer, on any kernel.
 */
describe('memory that a device gives back', () => {
  test.override({ machine: 'tiers', kernelArgs: ['init_on_free=1'] });

  test('may be unmapped meanwhile', async ({ guest, seed, record }) => {
    await guest.run('modprobe test_hmm');
    const options = { areas: 16_384, bytes: 128 * MIB, rounds: 4, seed };
    const run = { name: 'hmm', options, report: hmmReport, deadlineMs: DEADLINE_MS };
    const report = await runProgram(guest, run);
    record.metrics['areasInTime'] = report.areasInTime;
    expect(report).toMatchObject({ ok: true, rounds: options.rounds, bytesVerified: options.rounds * options.bytes });
    expect(report.areasInTime, 'areas unmapped while they were on their way').toBeGreaterThan(options.areas);
  });
});
