/**
 * The sources of edgpu-stress: programs use what they share, and what they share uses nothing of theirs, nor itself in
 * a circle.
 */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, test } from 'vitest';
import { listFiles } from '../../../src/cache/content-key.ts';
import { repositoryPath } from '../../../src/config/paths.ts';

const STRESS = repositoryPath('images/stress');

/** A source and its header are one unit, by their path without an ending. */
async function unitsWithIncludes(): Promise<Map<string, Set<string>>> {
  const units = new Map<string, Set<string>>();
  for (const file of (await listFiles(STRESS)).filter((name) => /\.[ch]$/.test(name))) {
    const unit = file.replace(/\.[ch]$/, '');
    const text = await readFile(path.join(STRESS, file), 'utf8');
    const included = [...text.matchAll(/^#include "([^"]+)\.h"/gm)].map(([, name = '']) => name);
    const used = units.get(unit) ?? new Set();
    for (const name of included) if (name !== 'edgpu_drm') used.add(name.includes('/') ? name : sibling(unit, name));
    used.delete(unit);
    units.set(unit, used);
  }
  return units;
}

function sibling(unit: string, name: string): string {
  return path.join(path.dirname(unit), name);
}

test('programs are in one folder, what they share in another, and only main.c beside them', async () => {
  const units = [...(await unitsWithIncludes()).keys()];
  expect(units.filter((unit) => !/^(programs|lib)\/\w+$/.test(unit))).toEqual(['main']);
});

test('what is shared uses no program, and a program no other', async () => {
  for (const [unit, used] of await unitsWithIncludes()) {
    const ofPrograms = [...used].filter((name) => name.startsWith('programs/'));
    if (unit !== 'main')
      expect(
        ofPrograms.filter((name) => name !== 'programs/programs'),
        unit,
      ).toEqual([]);
    if (unit.startsWith('lib/')) expect(ofPrograms, unit).toEqual([]);
  }
});

test('no unit is part of a circle', async () => {
  const units = await unitsWithIncludes();
  const order: string[] = [];
  const visit = (unit: string, above: readonly string[]): void => {
    if (above.includes(unit)) expect.fail([...above, unit].join(' -> '));
    if (order.includes(unit)) return;
    for (const used of units.get(unit) ?? []) visit(used, [...above, unit]);
    order.push(unit);
  };
  for (const unit of units.keys()) visit(unit, []);
  expect(order).toHaveLength(units.size);
});

test('all content comes from the seed of the run, and all random numbers from one generator', async () => {
  for (const file of (await listFiles(STRESS)).filter((name) => /\.[ch]$/.test(name))) {
    const text = await readFile(path.join(STRESS, file), 'utf8');
    expect(text, file).not.toMatch(/pattern_key\(\d/);
    expect(text, file).not.toMatch(/random_seeded\(\d/);
    expect(text, file).not.toMatch(/\bs?rand(om)?\(|<< 13\b/);
  }
});

/**
 * Calls that say by their result alone that they have not done what they were asked for. Not mount(), which is tried:
 * whoever needs what would be there fails.
 */
const TOLD_BY_RESULT =
  'p?write|p?read|fwrite|fread|ftruncate|clock_gettime|prctl|sigaction|sigprocmask|setitimer|posix_fadvise|pipe|' +
  'madvise|mprotect|waitpid|pthread_create|pthread_barrier_init|sched_setaffinity|ioctl';

test('no program says ok after a call whose failure it has not looked at', async () => {
  const ignored = new RegExp(`(?<=[;{})]\\s*)\\n\\t+(?:${TOLD_BY_RESULT})\\(`, 'g');
  for (const file of (await listFiles(STRESS)).filter((name) => /\.[ch]$/.test(name))) {
    const text = (await readFile(path.join(STRESS, file), 'utf8')).replace(/\/\*[\s\S]*?\*\//g, '');
    const found = Array.from(text.matchAll(ignored), ([call]) => call.trim());
    expect(found, file).toEqual([]);
  }
});
