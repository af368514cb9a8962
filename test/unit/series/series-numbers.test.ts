import { describe, expect, test } from 'vitest';
import { numberSeries, type SeriesCommit } from '../../../src/series/series-numbers.ts';

const mm = (subject: string, ...more: string[]): SeriesCommit => ({ subject, files: ['mm/shmem.c', ...more] });
const ttm = (subject: string, ...more: string[]): SeriesCommit => ({
  subject,
  files: ['drivers/gpu/drm/ttm/ttm_tt.c', ...more],
});

const PRESENT = new Map([
  ['fix', 2],
  ['other fix', 3],
  ['a', 10],
  ['b', 13],
  ['t', 30],
  ['u', 32],
]);

describe('numbers of a series', () => {
  test('stay where the subject is the same', () => {
    expect(numberSeries([mm('a'), mm('b'), ttm('t'), ttm('u')], PRESENT)).toEqual({ numbers: [10, 13, 30, 32] });
  });

  test('stay when a patch goes', () => {
    expect(numberSeries([mm('b'), ttm('u')], PRESENT)).toEqual({ numbers: [13, 32] });
  });

  test('of new patches are the next free ones of their range', () => {
    const commits = [mm('a'), mm('new'), mm('b'), ttm('t'), ttm('x'), ttm('u'), ttm('y')];
    expect(numberSeries(commits, PRESENT)).toEqual({ numbers: [10, 11, 13, 30, 31, 32, 33] });
    expect(numberSeries([ttm('first')], new Map())).toEqual({ numbers: [30] });
  });

  test('are the last ones for a controller of cgroups', () => {
    const dmem = { subject: 'c', files: ['kernel/cgroup/dmem.c', 'include/linux/cgroup_dmem.h'] };
    expect(numberSeries([mm('a'), ttm('t'), dmem], PRESENT)).toEqual({ numbers: [10, 30, 95] });
  });

  test('of others are not taken', () => {
    expect(numberSeries([ttm('t'), ttm('x')], PRESENT, new Set([31, 32]))).toEqual({ numbers: [30, 33] });
  });

  test('move up where there is no room', () => {
    const commits = [ttm('t'), ttm('x'), ttm('y'), ttm('u')];
    expect(numberSeries(commits, PRESENT)).toEqual({ numbers: [30, 31, 32, 33] });
  });

  test('of fixes are the first ones, whatever they change', () => {
    const anywhere = { subject: 'other fix', files: ['lib/test_hmm.c'] };
    expect(numberSeries([ttm('fix'), anywhere, mm('a'), ttm('t')], PRESENT)).toEqual({ numbers: [2, 3, 10, 30] });
  });

  test('follow a new order', () => {
    expect(numberSeries([mm('b'), mm('a')], PRESENT)).toEqual({ numbers: [13, 14] });
  });

  test.for([
    ['a driver file', [ttm('t', 'drivers/gpu/drm/edgpu/edgpu_drv.c')], 'lives in guest-kernel/edgpu'],
    ['no home', [{ subject: 's', files: ['kernel/fork.c'] }], 'changes nothing in'],
    ['two homes', [mm('s', 'drivers/gpu/drm/ttm/ttm_tt.c')], 'split it'],
    ['a stray file', [mm('s', 'kernel/fork.c')], 'changes kernel/fork.c'],
    ['a neighbour of an allowed file', [mm('s', 'include/linux-evil.h')], 'changes include/linux-evil.h'],
    ['ranges out of order', [ttm('t'), mm('s')], 'has to come before'],
    ['a fix that is not first', [mm('a'), ttm('fix')], '(fixes) has to come before'],
    ['a full range', Array.from({ length: 21 }, (_, index) => mm(`s${index}`)), 'finds no number left in 10 to 29'],
  ] as const)('are refused for %s', ([, commits, reason]) => {
    expect(numberSeries(commits, PRESENT)).toEqual({ fault: expect.stringContaining(reason) as string });
  });
});
