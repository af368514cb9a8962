import { expect, test } from 'vitest';
import { neededModules } from '../../../src/builds/kernel/kernel-build.ts';

const DEPENDENCIES = `kernel/gpu/edgpu.ko: kernel/gpu/ttm.ko kernel/gpu/exec.ko
kernel/gpu/ttm.ko:
`;

test.for([
  ['kernel/gpu/edgpu.ko', ['kernel/gpu/ttm.ko', 'kernel/gpu/exec.ko']],
  ['kernel/gpu/ttm.ko', []],
  ['kernel/gpu/nosuch.ko', []],
] as const)('what %s needs', ([name, needed]) => expect(neededModules(DEPENDENCIES, name)).toEqual(needed));
