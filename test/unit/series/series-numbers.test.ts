import { describe, expect, test } from 'vitest';
import { numberSeries, type SeriesCommit } from '../../../src/series/series-numbers.ts';

const mm = (subject: string, ...more: string[]): SeriesCommit => ({ subject, files: ['mm/shmem.c', ...more] });
const ttm = (subject: string, ...more: string[]): SeriesCommit => ({
  subject,
  files: ['drivers/gpu/drm/ttm/ttm_tt.c', ...more],
});

const PRESENT = new Map([
  ['a', 1],
  ['b', 4],
  ['t', 11],
  ['u', 13],
]);

describe('numbers of a series', () => {
  test('stay where the subject is the same', () => {
    expect(numberSeries([mm('a'), mm('b'), ttm('t'), ttm('u')], PRESENT)).toEqual({ numbers: [1, 4, 11, 13] });
  });

  test('stay when a patch goes', () => {
    expect(numberSeries([mm('b'), ttm('u')], PRESENT)).toEqual({ numbers: [4, 13] });
  });

  test('of new patches are the next free ones of their range', () => {
    const commits = [mm('a'), mm('new'), mm('b'), ttm('t'), ttm('x'), ttm('u'), ttm('y')];
    expect(numberSeries(commits, PRESENT)).toEqual({ numbers: [1, 2, 4, 11, 12, 13, 14] });
    expect(numberSeries([ttm('first')], new Map())).toEqual({ numbers: [11] });
  });

  test('of others are not taken', () => {
    expect(numberSeries([ttm('t'), ttm('x')], PRESENT, new Set([12, 13]))).toEqual({ numbers: [11, 14] });
  });

  test('move up where there is no room', () => {
    const commits = [ttm('t'), ttm('x'), ttm('y'), ttm('u')];
    expect(numberSeries(commits, PRESENT)).toEqual({ numbers: [11, 12, 13, 14] });
  });

  test('follow a new order', () => {
    expect(numberSeries([mm('b'), mm('a')], PRESENT)).toEqual({ numbers: [4, 5] });
  });

  test.for([
    ['a driver file', [ttm('t', 'drivers/gpu/drm/edgpu/edgpu_drv.c')], 'lives in guest-kernel/edgpu'],
    ['no home', [{ subject: 's', files: ['kernel/fork.c'] }], 'changes nothing in'],
    ['two homes', [mm('s', 'drivers/gpu/drm/ttm/ttm_tt.c')], 'split it'],
    ['a stray file', [mm('s', 'kernel/fork.c')], 'changes kernel/fork.c'],
    ['a neighbour of an allowed file', [mm('s', 'include/linux-evil.h')], 'changes include/linux-evil.h'],
    ['ranges out of order', [ttm('t'), mm('s')], 'has to come before'],
    ['a full range', Array.from({ length: 11 }, (_, index) => mm(`s${index}`)), 'finds no number left in 1 to 10'],
  ] as const)('are refused for %s', ([, commits, reason]) => {
    expect(numberSeries(commits, PRESENT)).toEqual({ fault: expect.stringContaining(reason) as string });
  });
});
