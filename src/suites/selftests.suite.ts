/** The kernel's self-tests of the memory management that the series builds on say, case by case, what they say without it. */
import { expect } from 'vitest';
import { caseVerdicts, countCases, parseKtap } from '../suite/ktap.ts';
import { test } from '../suite/fixtures.ts';
import { upstreamVerdicts, verdictChanges } from '../suite/upstream-verdicts.ts';

const DEADLINE_MS = 600_000;

/** It measures, and is given up after 30 seconds: what it says depends on what else the host has to do, whatever the kernel. */
const DEPENDS_ON_TIME = 'benchmark_';

test.override({ machine: 'tiers' });

/**
 * All of it upstream's: test_hmm, migrate_device.c and rmap.c, which the series leaves as they are. migrate_folio_unmap() holds the
 * anon_vma until the migration entries are gone, for nothing else keeps it; migrate_device_range() does not.
 */
const USE_AFTER_FREE =
  'test_hmm, closed, evicts pages of a process whose anon_vma is gone, as KASAN finds in rmap_walk_anon()';

test('hmm-tests', async ({ guest, unpatched, flavour, record, annotate, skip }) => {
  // Without the series it runs, and shows that.
  skip(flavour === 'kasan' && !unpatched, USE_AFTER_FREE);
  await annotate('running hmm-tests', 'step');
  await guest.run('modprobe test_hmm');
  const { stdout, stderr } = await guest.exec('hmm-tests', { deadlineMs: DEADLINE_MS });
  const { results, faults } = parseKtap(stdout);
  Object.assign(record.metrics, countCases(results));
  record.cases = Object.fromEntries(
    Object.entries(caseVerdicts(results)).filter(([name]) => !name.includes(DEPENDS_ON_TIME)),
  );
  expect(faults, stderr).toEqual([]);
  expect(results.length).toBeGreaterThan(0);
  if (!unpatched) expect(verdictChanges(await upstreamVerdicts('hmm-tests'), record.cases)).toEqual([]);
});
