/**
 * What the cover letter says about the patches by number, as mail would number them, holds for those that are there,
 * and all of it can be sent by mail.
 */
import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';

import { PATCH_FOLDER } from '../../../src/builds/kernel/kernel-build.ts';
import { readSeries } from '../../../src/builds/tree/patch-series.ts';
import { repositoryPath } from '../../../src/config/paths.ts';

const letter = await readFile(repositoryPath('guest-kernel/cover-letter.txt'), 'utf8');
const series = await readSeries(PATCH_FOLDER);
const subjects = series.map(({ text }) => /^Subject: \[PATCH\] (.*)/m.exec(text)?.[1] ?? '');

/** As in `drm/ttm, sleep (26 to 30):`. */
const parts = [...letter.matchAll(/^([a-z\d]+\/[a-z]+)[^\n(]*\((\d+)(?: to (\d+))?\):/gm)].map(
  ([, area = '', first, last = first]) => ({ area, first: Number(first), last: Number(last) }),
);

test('the cover letter announces as many patches as there are', () => {
  expect(/^Subject: \[PATCH 00\/(\d+)\]/.exec(letter)?.[1]).toBe(String(subjects.length));
});

test('its parts are all of the series, one after the other', () => {
  expect(parts.map(({ first }) => first)).toEqual([1, ...parts.slice(0, -1).map(({ last }) => last + 1)]);
  expect(parts.at(-1)?.last).toBe(subjects.length);
});

test.for(parts)('patches $first to $last are about $area', ({ area, first, last }) => {
  expect(subjects.slice(first - 1, last).filter((subject) => !subject.startsWith(area))).toEqual([]);
});

test('all patches are from the same sender', () => {
  const senders = series.map(({ text }) => /^From: (.*(?:\n .*)*)/m.exec(text)?.[1]);
  expect([...new Set(senders)]).toEqual([expect.stringMatching(/^dgpu-rig maintainers </)]);
});

test.for(series.map(({ name, text }) => ({ name, text })))('mail can quote the message of $name', ({ text }) => {
  const [header = ''] = text.split('\n---\n');
  const message = header.slice(header.indexOf('\n\n')).split('\n');
  // As checkpatch has it, which is not at hand here. What a kernel logs is not wrapped, and indented.
  expect(message.filter((line) => line.length > 75 && !/^(Fixes: | {2}\w)/.test(line))).toEqual([]);
});

/** A number in the text, and a word that the subject of that patch has. */
const mentions = [
  { text: /large folios \(patch (\d+),/, word: 'large folios' },
  { text: /page cache \(patch (\d+)\)/, word: 'give borrowed pages back' },
  { text: /budget of patch (\d+)/, word: "don't hand out more VRAM" },
  { text: /no obstacle since patch (\d+)/, word: 'pages of a swapped out object' },
] as const;

test.for(mentions)('the patch of "$word" has the number that it is called by', ({ text, word }) => {
  expect(subjects[Number(text.exec(letter)?.[1]) - 1]).toContain(word);
});

test('each number of a patch is looked up here', () => {
  expect([...letter.matchAll(/\bpatch\s+\d+/g)]).toHaveLength(mentions.length);
});
