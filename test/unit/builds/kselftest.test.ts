/** The kernel's self-tests: which targets a tree has, and what is run of one. */
import { expect, test } from 'vitest';
import { packagesAtRunTime } from '../../../src/builds/debian/libraries.ts';
import { checkTargets, commandsOf, kselftestKey, targetsOf } from '../../../src/builds/kernel/kselftest-build.ts';

const MAKEFILE = `# SPDX-License-Identifier: GPL-2.0
TARGETS += acct
TARGETS += dmabuf-heaps
TARGETS += drivers/dma-buf
ifneq (1, $(quicktest))
TARGETS += timers
endif
TARGETS += mm
TARGETS_HOTPLUG = cpu-hotplug
SKIP_TARGETS ?= bpf sched_ext
# TARGETS += gone
`;

test('the targets are those that the Makefile of the tree names', () => {
  expect(targetsOf(MAKEFILE)).toEqual(['acct', 'dmabuf-heaps', 'drivers/dma-buf', 'timers', 'mm']);
});

test('a target that the tree does not have is refused, and the targets are listed', () => {
  const known = targetsOf(MAKEFILE);
  expect(() => checkTargets(['mm', 'drivers/dma-buf'], known)).not.toThrow();
  expect(() => checkTargets(['mm', 'drm', 'dmabuf-heap'], known)).toThrow(
    expect.objectContaining({
      failureClass: 'usage',
      message: 'There is no target drm, dmabuf-heap among the self-tests of this kernel.',
      remedy: 'The targets are: acct, dmabuf-heaps, drivers/dma-buf, timers, mm.',
    }),
  );
});

test('each line of the list of kselftest is a program of its own', () => {
  expect(commandsOf('mm:ksft_mmap.sh\ndmabuf-heaps:dmabuf-heap\n\n')).toEqual([
    '/tmp/kselftest/run-one mm:ksft_mmap.sh',
    '/tmp/kselftest/run-one dmabuf-heaps:dmabuf-heap',
  ]);
});

const FETCHED = ['libc6-dev_2.41-12_amd64.deb', 'libcap2_1%3a2.75-10_amd64.deb', 'libnuma1_2.0.19-1_amd64.deb'];

test('with other libraries, and with other targets, they are built anew', () => {
  const key = (targets: readonly string[], libraries: readonly string[]): string =>
    kselftestKey({ source: 'linux' }, targets, libraries);
  expect(key(['mm'], FETCHED)).not.toBe(key(['mm'], FETCHED.slice(1)));
  expect(key(['mm', 'sync'], FETCHED)).not.toBe(key(['mm'], FETCHED));
  expect(key(['mm'], [...FETCHED])).toBe(key(['mm'], FETCHED));
});

test('where they run there is what they are linked with, and not what they are compiled with', () => {
  expect(packagesAtRunTime(FETCHED)).toEqual(['libcap2', 'libnuma1']);
});
