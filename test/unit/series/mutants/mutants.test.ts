/** What becomes of a small file of C: each operator has its place in it, and what is noise stays. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { execa } from 'execa';
import { expect, test } from 'vitest';
import { repositoryPath } from '../../../../src/config/paths.ts';
import { mutantsOf, type Mutant } from '../../../../src/series/mutants/mutants.ts';
import { OPERATORS } from '../../../../src/series/mutants/mutation-operators.ts';

const TEXT = await readFile(repositoryPath('test/unit/series/mutants/limit.c'), 'utf8');
const FILE = 'mm/limit.c';

function allLines(text: string): Set<number> {
  return new Set(text.split('\n').map((_, index) => index + 1));
}

const ALL = await mutantsOf(FILE, TEXT, allLines(TEXT));

/** `was → becomes`, of the mutants of an operator. */
function made(operator: Mutant['operator']): string[] {
  return ALL.filter((mutant) => mutant.operator === operator).map(({ was, becomes }) => `${was} → ${becomes}`);
}

test.for<[Mutant['operator'], string]>([
  ['condition-negated', 'if (!pool->ready) → if (pool->ready)'],
  ['condition-negated', 'ret = pool->used > 1 ? 1 : 2; → ret = !(pool->used > 1) ? 1 : 2;'],
  ['condition-dropped', 'if (!pool->ready) → if (false)'],
  ['condition-dropped', 'if (pool->empty || pool->gone) → if (pool->gone)'],
  ['bound-off-by-one', 'for (i = 0; i < 8; i++) → for (i = 0; i <= 8; i++)'],
  ['constant', 'for (i = 0; i < 8; i++) → for (i = 0; i < 9; i++)'],
  ['constant', 'refcount_put(pool, true); → refcount_put(pool, false);'],
  ['constant', 'knob_create(pool, 0644); → knob_create(pool, 0645);'],
  ['error-lost', 'return -ENODEV; → return 0;'],
  ['error-lost', 'ret = -ENOSPC; → ret = 0;'],
  ['error-lost', 'return ret; → return 0;'],
  ['error-lost', 'return ERR_PTR(-ENOENT); → return NULL;'],
  ['call-removed', 'publish(pool, folio); → ;'],
  ['statement-removed', 'pool->used++; → ;'],
  ['statements-swapped', 'folio_get(folio); publish(pool, folio); → publish(pool, folio); folio_get(folio);'],
  ['statements-swapped', 'kfree(pool->names); pool->names = NULL; → pool->names = NULL; kfree(pool->names);'],
  [
    'statements-swapped',
    'pool->names = NULL; mutex_unlock(&pool->lock); → mutex_unlock(&pool->lock); pool->names = NULL;',
  ],
  ['get-missing', 'folio_get(folio); → ;'],
  ['put-missing', 'refcount_put(pool, true); → ;'],
  ['lock-missing', 'mutex_lock(&pool->lock); → ;'],
  ['unlock-missing', 'mutex_unlock(&pool->lock); → ;'],
  ['folio-put-missing', 'folio_put(folio); → ;'],
  ['wait-missing', 'dma_resv_wait_timeout(pool->resv, USAGE, false, 10); → ;'],
  ['wait-missing', 'if (dma_resv_wait_timeout(pool->resv, USAGE, false, 10) == 0) → if (1 == 0)'],
  ['gfp-wrong', 'pool->slots[i] = alloc_slot(pool, GFP_KERNEL); → pool->slots[i] = alloc_slot(pool, GFP_NOWAIT);'],
  ['gfp-wrong', 'if (kmalloc_fails(GFP_NOIO)) → if (kmalloc_fails(GFP_KERNEL))'],
])('%s: %s', ([operator, change]) => {
  expect(made(operator)).toContain(change);
});

test('two statements that are about different members stay in their order, which no test could notice', () => {
  expect(made('statements-swapped').filter((change) => change.startsWith('kfree(pool->slots)'))).toEqual([]);
});

test('a declaration with a mark for sparse is a declaration', () => {
  expect(ALL.filter(({ was }) => was.includes('__user'))).toEqual([]);
});

test('every operator has a mutant', () => {
  expect([...new Set(ALL.map(({ operator }) => operator))].sort()).toEqual([...OPERATORS].sort());
});

test('messages, assertions, macros that declare and the heads of loops that the grammar does not know stay as they are', () => {
  const changed = ALL.map(({ was }) => was).filter((was) => /pr_debug|lockdep|LIMIT|LIST_HEAD|list_for_each/.test(was));
  expect(changed).toEqual([]);
  // Not so what is in such a loop.
  expect(made('call-removed')).toContain('settle(slot); → ;');
});

test('each mutant is another one, and git applies its diff', async () => {
  expect(new Set(ALL.map(({ id }) => id)).size).toBe(ALL.length);
  const folder = await mkdtemp(path.join(tmpdir(), 'dgpu-rig-test-'));
  try {
    // A copy for each, since git is slow to start.
    const copies = ALL.map(({ id, diff }) => ({
      file: path.join(folder, `${id}.c`),
      diff: diff.replaceAll(FILE, `${id}.c`),
    }));
    for (const { file } of copies) await writeFile(file, TEXT);
    const input = copies.map(({ diff }) => diff).join('');
    await execa('git', ['apply', '-'], { cwd: folder, input, env: { GIT_CEILING_DIRECTORIES: tmpdir() } });
    for (const { file, diff } of copies) expect(await readFile(file, 'utf8'), diff).not.toEqual(TEXT);
  } finally {
    await rm(folder, { recursive: true });
  }
});

test('only lines that are asked for are changed', async () => {
  const line = TEXT.split('\n').findIndex((text) => text.includes('publish(pool')) + 1;
  const some = await mutantsOf(FILE, TEXT, new Set([line]));
  // The swap would change the line before it, too.
  expect(some.map(({ operator }) => operator)).toEqual(['call-removed']);
  expect(some.map((mutant) => mutant.line)).toEqual([line]);
});

test('a mutant is known by its content: not by its line, but by its function and by which of several it is', async () => {
  const moved = `\n/* Something else. */\nint other(void)\n{\n\treturn 7;\n}\n${TEXT}`;
  const ids = (await mutantsOf(FILE, moved, allLines(moved))).map(({ id }) => id);
  expect(ids).toEqual(expect.arrayContaining(ALL.map(({ id }) => id)));
  const renamed = TEXT.replace('*find(', '*seek(');
  const others = (await mutantsOf(FILE, renamed, allLines(renamed))).map(({ id }) => id);
  const [kept, lost] = [true, false].map((there) => ALL.filter(({ id }) => others.includes(id) === there));
  expect(new Set(kept?.map((mutant) => mutant.function))).toEqual(new Set(['take', 'forget']));
  expect(new Set(lost?.map((mutant) => mutant.function))).toEqual(new Set(['find']));
  const twice = 'int f(void)\n{\n\tg();\n\tg();\n}\n';
  expect((await mutantsOf(FILE, twice, allLines(twice))).length).toBe(2);
});

test('a statement of several lines is known by the first of them', async () => {
  const text = 'int f(int a, int b)\n{\n\tif (a &&\n\t    b < 3)\n\t\treturn 0;\n\treturn 1;\n}\n';
  const bound = (await mutantsOf(FILE, text, allLines(text))).find(({ operator }) => operator === 'bound-off-by-one');
  expect(bound).toMatchObject({ line: 4, statement: 3, was: 'b < 3)', becomes: 'b <= 3)' });
});
