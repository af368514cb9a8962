import { expect, test } from 'vitest';
import { needsOf } from '../../../src/cli/watched-files.ts';

test.for([
  ['guest-kernel/edgpu/edgpu.c', ['driver']],
  ['guest-kernel/edgpu/edgpu_drv.h', ['driver']],
  ['guest-kernel/edgpu/edgpu_drm.h', ['driver', 'stress']],
  ['guest-kernel/edgpu/Makefile', ['build']],
  ['guest-kernel/patches/0001-mm.patch', ['build']],
  ['guest-kernel/config/base.config', ['build']],
  ['images/stress/smoke.c', ['stress']],
  ['images/stress/Makefile', ['build']],
  ['images/guest/init', ['build']],
  ['rig/edgpu/edgpu.c', ['build']],
  ['rig/machines/tiers.yaml', []],
  ['src/suites/smoke.suite.ts', []],
  ['src/suite/gpu.ts', []],
  ['guest-kernel/edgpu/.edgpu_drv.c.swp', undefined],
  ['guest-kernel/edgpu/4913', undefined],
  ['guest-kernel/edgpu/edgpu_drv.c~', undefined],
  ['guest-kernel/README.md', undefined],
] as const)('%s: %s', ([file, needs]) => expect(needsOf(file)).toEqual(needs));
