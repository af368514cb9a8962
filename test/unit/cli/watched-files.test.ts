import { expect, test } from 'vitest';
import { greatestNeed, needOf } from '../../../src/cli/watched-files.ts';

test.for([
  ['guest-kernel/edgpu/edgpu.c', 'driver'],
  ['guest-kernel/edgpu/edgpu_drv.h', 'driver'],
  ['guest-kernel/edgpu/edgpu_drm.h', 'build'],
  ['guest-kernel/edgpu/Makefile', 'build'],
  ['guest-kernel/patches/0001-mm.patch', 'build'],
  ['guest-kernel/config/base.config', 'build'],
  ['images/stress/smoke.c', 'build'],
  ['rig/edgpu/edgpu.c', 'build'],
  ['rig/machines/tiers.yaml', 'tests'],
  ['src/suites/smoke.suite.ts', 'tests'],
  ['src/suite/gpu.ts', 'tests'],
  ['guest-kernel/edgpu/.edgpu_drv.c.swp', undefined],
  ['guest-kernel/edgpu/4913', undefined],
  ['guest-kernel/edgpu/edgpu_drv.c~', undefined],
  ['guest-kernel/README.md', undefined],
] as const)('%s: %s', ([file, need]) => expect(needOf(file)).toBe(need));

test('several edits at once need what the greatest of them does', () => {
  expect(greatestNeed(['tests', 'driver'])).toBe('driver');
  expect(greatestNeed(['driver', 'build', 'tests'])).toBe('build');
  expect(greatestNeed([])).toBe('tests');
});
