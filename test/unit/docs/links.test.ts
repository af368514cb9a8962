/** Whoever follows a link of the documentation arrives. */
import { execa } from 'execa';
import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { expect, test } from 'vitest';
import { repositoryPath } from '../../../src/config/paths.ts';

const { stdout } = await execa('git', ['ls-files', '*.md'], { cwd: repositoryPath() });

/** As GitHub and GitLab make it of a heading. */
function anchorOf(heading: string): string {
  return heading
    .toLowerCase()
    .replace(/[^\w\- ]/g, '')
    .replaceAll(' ', '-');
}

async function isThere(file: string, anchor: string | undefined): Promise<boolean> {
  const found = await stat(file).catch(() => undefined);
  if (!found || anchor === undefined) return found !== undefined;
  const headings = (await readFile(file, 'utf8')).matchAll(/^#+ (.*)$/gm);
  return [...headings].some(([, heading = '']) => anchorOf(heading) === anchor);
}

test.for(stdout.split('\n'))('%s', async (name) => {
  const text = await readFile(repositoryPath(name), 'utf8');
  const missing: string[] = [];
  for (const [, target = ''] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
    if (/^\w+:/.test(target)) continue;
    const [file = '', anchor] = target.split('#');
    const where = file === '' ? repositoryPath(name) : path.resolve(path.dirname(repositoryPath(name)), file);
    if (!(await isThere(where, anchor))) missing.push(target);
  }
  expect(missing).toEqual([]);
});
