/**
 * What docs/positions claims is there: each test, KUnit case, bench and patch that a page names, and each number of a
 * line that begins with "Figure", in the kept run or in the source that the line links to.
 */
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import ts from 'typescript';
import { describe, expect, test } from 'vitest';
import { BENCHES } from '../../../docs/positions/plots/benches.ts';
import { benchPlot } from '../../../docs/positions/plots/bench-plot.ts';
import { figuresOf, fill, isFilled, quoted, SOURCE } from '../../../docs/positions/plots/figures.ts';
import { find, keptFile, readKept } from '../../../docs/positions/plots/kept-run.ts';
import { repositoryPath } from '../../../src/config/paths.ts';
import { upstreamVerdicts } from '../../../src/plan/upstream-verdicts.ts';
import { benchFiles, suiteFiles, suiteNameOf } from '../../../src/plan/suite-files.ts';

const FOLDER = repositoryPath('docs/positions');
const pages = (await readdir(FOLDER)).filter((name) => name.endsWith('.md'));
const threads = pages.filter((name) => /^\d{4}-/.test(name));
const patches = await readdir(repositoryPath('guest-kernel/patches'));

const read = (name: string): Promise<string> => readFile(path.join(FOLDER, name), 'utf8');
const unbroken = (text: string): string => text.replaceAll(/\s+/g, ' ');

/** A group or a test of a suite, with the groups that it is in; what is filled in later is "%s". */
type Titles = readonly string[];

function titlesOf(source: string): Titles[] {
  const found: Titles[] = [];
  const visit = (node: ts.Node, groups: Titles): void => {
    const kind = ts.isCallExpression(node) ? /^(describe|contract|test)\b/.exec(node.expression.getText(file)) : null;
    const title = kind ? literal((node as ts.CallExpression).arguments[0]) : undefined;
    const titles = title === undefined ? groups : [...groups, title];
    if (title !== undefined && kind?.[0] === 'test') found.push(titles);
    ts.forEachChild(node, (child) => visit(child, titles));
  };
  const file = ts.createSourceFile('suite.ts', source, ts.ScriptTarget.Latest);
  visit(file, []);
  return found;
}

function literal(node: ts.Node | undefined): string | undefined {
  if (!node) return undefined;
  if (ts.isStringLiteralLike(node)) return node.text;
  if (!ts.isTemplateExpression(node)) return undefined;
  return node.head.text + node.templateSpans.map((span) => `%s${span.literal.text}`).join('');
}

interface Suite {
  readonly source: string;
  readonly titles: readonly Titles[];
}

/** Whether it is one of the suite's tests; each word that fills a gap of its title has to be in the suite, too. */
function isTestOf({ source, titles }: Suite, name: Titles): boolean {
  const fits = (part: string, title: string): boolean => {
    const pieces = title.split(/%[sdi]|\$\w+/).map((piece) => piece.replaceAll(/[$()*+.?[\\\]^{|}]/g, '\\$&'));
    const gaps = new RegExp(`^${pieces.join('(.+)')}$`).exec(part)?.slice(1);
    return gaps?.every((gap) => (gap.match(/\w+/g) ?? []).every((word) => source.includes(word))) ?? false;
  };
  return titles.some((one) => one.length === name.length && one.every((title, at) => fits(name[at] ?? '', title)));
}

const files = await suiteFiles([]);
const suites = new Map(
  await Promise.all(
    files.map(async (file) => {
      const source = await readFile(file, 'utf8');
      return [suiteNameOf(file), { source, titles: titlesOf(source) }] as const;
    }),
  ),
);
const benches = new Set((await benchFiles([])).map(suiteNameOf));
const kernelCases = await Promise.all(
  patches.map(async (patch) => {
    const text = await readFile(repositoryPath('guest-kernel/patches', patch), 'utf8');
    return [...text.matchAll(/^\+\s*KUNIT_CASE(?:_\w+)?\((\w+)/gm)].map(([, name]) => name);
  }),
);

function isTest(name: string): boolean {
  const [suite = '', ...titles] = name.split(' › ');
  const found = suites.get(suite);
  return found !== undefined && isTestOf(found, titles);
}

/** What a text names that is not there: `suite › test`, suite `…`, bench `…`, KUnit `…`, `…`, patch …. */
function unknownNames(text: string): string[] {
  const all = (pattern: RegExp): string[] => [...text.matchAll(pattern)].map(([, name = '']) => name);
  const cases = all(/KUnit (`\w+`(?:(?:,| and) `\w+`)*)/g).flatMap((list) => list.match(/\w{4,}/g) ?? []);
  const tests = [...text.replaceAll(SOURCE, '').matchAll(/`([^`]+ › [^`]+)`/g)].map(([, name = '']) => name);
  return [
    ...tests.filter((name) => !isTest(name)),
    ...all(/suites? `([\w-]+)`/g).filter((name) => !suites.has(name)),
    ...all(/bench(?:es)? `([\w-]+)`/g).filter((name) => !benches.has(name)),
    ...cases.filter((name) => !kernelCases.flat().includes(name)),
    ...all(/[Pp]atch (\d{4})/g).filter((number) => !patches.some((patch) => patch.startsWith(number))),
  ];
}

const NUMBER = /\d+(?:,\d{3})*(?:\.\d+)?/g;

/** Numbers and quotations of a figure that nothing bears out. */
async function unfounded(figure: string): Promise<string[]> {
  const { text, rest, compared } = await fill(figure);
  const wrong = text === figure ? [] : [`it should be: ${text}`];
  if (compared.some((count) => count < 2)) wrong.push(`nothing is compared: ${figure}`);
  const known = new Set<string>();
  for (const [, target = '', spans = ''] of figure.matchAll(SOURCE)) {
    for (const number of spans.match(NUMBER) ?? []) known.add(number);
    if (!isFilled(target)) {
      const file = unbroken(await readFile(path.join(FOLDER, target), 'utf8'));
      wrong.push(...quoted(spans).filter((span) => !file.includes(unbroken(span))));
    }
  }
  return [...wrong, ...(rest.match(NUMBER) ?? []).filter((number) => !known.has(number))];
}

function linesOf(text: string, begin: string): string[] {
  return unwrapped(text).filter((line) => line.startsWith(`- **${begin}**`));
}

/** One line for each entry of a list. */
function unwrapped(text: string): string[] {
  return text.replaceAll(/\n {2}(?=\S)/g, ' ').split('\n');
}

test.for(pages)('%s: what it names is there', async (name) =>
  expect(unknownNames(unbroken(await read(name)))).toEqual([]),
);

test.for(threads)('%s: each number of a figure is what its source says', async (name) => {
  const figures = figuresOf(await read(name));
  expect(figures.length).toBeGreaterThan(1);
  expect((await Promise.all(figures.map(unfounded))).flat()).toEqual([]);
});

test.for(threads)(
  '%s: each position has a verdict, and one that is answered a figure and what shows it',
  async (name) => {
    const [, ...sections] = (await read(name)).split(/^## /m);
    expect(sections.length).toBeGreaterThan(3);
    const incomplete = sections.filter((section) => {
      const lines = (begin: string): string[] => linesOf(section, begin);
      const [verdict = '', ...others] = lines('Verdict');
      const open = /^- \*\*Verdict\*\*: (Unanswered|Not measured|By design)\b/.test(verdict);
      const answers = ['Figure', 'Shown by'].map((begin) => lines(begin).length);
      return (
        lines('Position').length !== 1 ||
        others.length > 0 ||
        (open ? answers[1] !== 0 : answers.some((count) => count !== 1))
      );
    });
    expect(incomplete.map((section) => section.split('\n')[0])).toEqual([]);
  },
);

test('the index has every page', async () => {
  const links = [...(await read('README.md')).matchAll(/\]\(([\w-]+\.md)\)/g)].map(([, page]) => page);
  expect([...links, 'README.md'].sort()).toEqual(pages.sort());
});

const everyPage = (await Promise.all(pages.map(read))).join('\n');

test.for(Object.entries(BENCHES))(
  '%s: a run is kept, and a page has its figures and its plot',
  async ([name, { plot }]) => {
    const run = await readKept(name);
    expect(everyPage).toContain(`](plots/${name}.json)`);
    if (!plot) return;
    expect(await readFile(keptFile(name, 'svg'), 'utf8')).toBe(benchPlot(plot, run));
    expect(everyPage).toContain(`![${plot.title}](plots/${name}.svg)`);
  },
);

describe('control', () => {
  test('names that are not there are told', () => {
    const right =
      '`evict › chunks › stopping after each of them, wc`, KUnit `ttm_sleep_budget`, bench `dma`, patch 0010';
    expect(unknownNames(right)).toEqual([]);
    const wrong = ['evict › chunks › stopping after each of them, gold', 'evict › chunks', 'evict › stopping › wc'];
    expect(unknownNames(wrong.map((name) => `\`${name}\``).join(', '))).toEqual(wrong);
    expect(unknownNames('KUnit `ttm_sleep_budget`, `ttm_no`; bench `dme`, suite `evil`, patch 0999').sort()).toEqual(
      ['0999', 'dme', 'evil', 'ttm_no'].sort(),
    );
  });

  test('a number that its source does not have is told', async () => {
    const source = '([suite](../../src/suites/purge.suite.ts) `OF_OTHERS = 32`)';
    expect(await unfounded(`At most 32 ${source}`)).toEqual([]);
    expect(await unfounded(`At most 33 ${source}`)).toEqual(['33']);
    expect(await unfounded(`At most 33 ${source.replace('32', '33')}`)).toEqual(['OF_OTHERS = 33']);
  });

  test('so is a median that the kept run does not have', async () => {
    const { medians } = find(await readKept('evict'), 'out and back › huge objects (64 MiB), cached', 'out');
    const [shmem = NaN, backup = NaN] = [medians['shmem'], medians['backup']];
    const source = '([evict](plots/evict.json) `out and back › huge objects (64 MiB), cached › out`)';
    const said = (ours: number): string => `\`shmem\` ${ours.toFixed(2)}, \`backup\` ${backup.toFixed(1)} ${source}`;
    expect(await unfounded(said(shmem))).toEqual([]);
    expect(await unfounded(said(shmem + 0.01))).toEqual([`it should be: ${said(shmem)}`]);
    expect(await unfounded(`less ${source}`)).not.toEqual([]);
    // What is before a link is from there, and not from the next one.
    const twice = (back: string): string => `${said(shmem)}; ${back} ${source.replace(' › out`', ' › back`')}`;
    expect(await unfounded(twice(`\`shmem\` ${shmem.toFixed(2)}, \`backup\` 1`))).not.toEqual([]);
  });

  test('so is a number of cases that upstream has no such verdicts of', async () => {
    const source = '([verdicts](../../guest-kernel/upstream-verdicts.json) `drm_gem_shmem_test`)';
    const said = (passed: number): string => `\`pass\` ${passed}, \`fail\` 0 ${source}`;
    const verdicts = Object.values(await upstreamVerdicts('drm_gem_shmem_test'));
    const pass = verdicts.filter((verdict) => verdict === 'pass').length;
    expect(await unfounded(said(pass))).toEqual([]);
    expect(await unfounded(said(pass + 1))).toEqual([`it should be: ${said(pass)}`]);
  });
});
