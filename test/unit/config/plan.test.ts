import { describe, expect, test } from 'vitest';
import { parseDuration } from '../../../src/config/duration.ts';
import { listMachineProfiles } from '../../../src/config/machine-profile.ts';
import { loadPlans, parsePlans, planNamed } from '../../../src/config/plan.ts';
import { planParts } from '../../../src/plan/plan-parts.ts';
import { suiteNames } from '../../../src/plan/suite-files.ts';

describe("the repository's plans", async () => {
  const plans = await loadPlans();
  const suites = await suiteNames();

  test('there are those that people expect', () => {
    expect(plans.plans.map(({ name }) => name)).toEqual(['smoke', 'ci', 'nightly', 'soak']);
  });

  test('name suites and machines that exist', async () => {
    const machines = await listMachineProfiles();
    expect(plans.factors.machine.filter((name) => !machines.includes(name))).toEqual([]);
    for (const { suites: named, except } of plans.plans) {
      expect([...(named === 'all' ? [] : named), ...except].filter((name) => !suites.includes(name))).toEqual([]);
    }
  });

  test('ci is every suite but two on the plain kernel, with every pair of the matrix; nightly has those, too', () => {
    const [part, ...more] = planParts(planNamed(plans, 'ci'), plans, suites);
    expect(more).toEqual([]);
    expect([...(part?.suites ?? []), 'igt', 'selftests'].sort()).toEqual(suites);
    expect(planParts(planNamed(plans, 'nightly'), plans, suites)[0]?.suites).toEqual(
      expect.arrayContaining(['igt', 'selftests']),
    );
    expect(plans.plans.filter(({ brief }) => brief).map(({ name }) => name)).toEqual(['ci']);
    expect(part?.flavour).toBe('plain');
    const values = part?.combinations.map(({ machine, dmaBits }) => `${machine} ${String(dmaBits)}`);
    expect(new Set(values).size).toBe(plans.factors.machine.length * plans.factors.dmaBits.length);
  });

  test('nightly has a part for each kernel, and each with combinations of its own', () => {
    const parts = planParts(planNamed(plans, 'nightly'), plans, suites);
    expect(parts.map(({ flavour }) => flavour)).toEqual(plans.factors.flavour);
    for (const { flavour, combinations } of parts) {
      expect(combinations.length).toBeGreaterThan(0);
      expect(combinations.every((combination) => combination.flavour === flavour)).toBe(true);
    }
  });

  test('smoke needs no matrix, and soak goes on for hours', () => {
    expect(planParts(planNamed(plans, 'smoke'), plans, suites)).toEqual([
      { flavour: 'plain', suites: ['smoke'], combinations: [] },
    ]);
    expect(planNamed(plans, 'soak').forMs).toBe(8 * 3600 * 1000);
  });

  test('another is refused with the names there are', () => {
    expect(() => planNamed(plans, 'weekly')).toThrow(
      expect.objectContaining({ failureClass: 'usage', remedy: expect.stringContaining('nightly') as string }),
    );
  });
});

test('a mistake in the file is told with its place', () => {
  const broken = `
factors: { machine: [tiers], dmaBits: [31], backend: [shmem], caching: [wc], flavour: [plain] }
impossible: []
plans: { x: { description: d, suites: all, for: soon } }`;
  expect(() => parsePlans(broken)).toThrow(/dmaBits\[0\]/);
  expect(() => parsePlans(broken.replace('[31]', '[32]'))).toThrow(/"soon" is not a duration/);
});

test('durations', () => {
  expect(['90 s', '30min', '1.5 h', '2 d', '250 ms'].map(parseDuration)).toEqual([
    90_000, 1_800_000, 5_400_000, 172_800_000, 250,
  ]);
  expect(['', 'h', '3', '3 weeks', '-1 s'].map(parseDuration)).toEqual(Array.from({ length: 5 }, () => undefined));
});
